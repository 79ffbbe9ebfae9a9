"""State that survives restarts: snapshot() and restore()."""

import time

import pytest
from state_actors import Account, Async, Confused, OnDemand, OneHook, Seldom, Stubborn

import histrio


def until(ask, expected):
    """What an ask gives, once it is what is expected: a tell that fails is handled at some time."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = ask()
        if found == expected:
            break
        time.sleep(0.01)
    return found


@pytest.mark.histrio("test", "node")
@pytest.mark.parametrize("cls", [Account, Async])
def test_state_is_kept(histrio_system, cls):
    account = histrio_system.spawn(cls, name="account").result()
    assert account.deposit(5).result() == 5
    account.deposit.tell(2)
    assert account.look().result() == (7, False)
    for kept in (7, 8):
        account.fail.tell()  # what it did to the state is forgotten
        assert until(lambda: account.look().result(), (kept, True)) == (kept, True)
        assert account.deposit(1).result() == kept + 1


@pytest.mark.histrio("test", "node")
def test_state_of_async_methods_is_kept(histrio_system):
    account = histrio_system.spawn(Async, name="account").result()
    assert account.deposit_later(5).result() == 5
    account.fail.tell()
    assert until(lambda: account.look().result(), (5, True)) == (5, True)


@pytest.mark.histrio("test", "node")
def test_not_after_each_message(histrio_system):
    account = histrio_system.spawn(Seldom, name="seldom").result()
    assert [account.deposit(1).result() for _ in range(5)][-1] == 5
    account.fail.tell()
    assert until(lambda: account.look().result(), (3, True)) == (3, True)


@pytest.mark.histrio("test", "node")
def test_on_demand(histrio_system):
    account = histrio_system.spawn(OnDemand, name="demand").result()
    account.deposit(4).result()
    account.save().result()
    account.deposit(4).result()
    account.fail.tell()
    assert until(lambda: account.look().result(), (4, True)) == (4, True)


@pytest.mark.histrio("node")
def test_state_survives_the_process(histrio_system):
    account = histrio_system.spawn(Account, name="account", isolation="process").result()
    before = [account.deposit(1) for _ in range(100)]
    crashed = account.crash()
    after = [account.deposit(1) for _ in range(100)]
    assert [call.result() for call in before] == list(range(1, 101))
    with pytest.raises(histrio.ActorCrashed) as found:
        crashed.result()
    assert found.value.signal == "SIGSEGV" and found.value.maybe_executed
    assert [call.result() for call in after] == list(range(101, 201)), "as if nothing had happened"
    assert account.look().result() == (200, True)


@pytest.mark.histrio("test", "node")
def test_an_actor_without_hooks_begins_anew(histrio_system):
    account = histrio_system.spawn(Plain, name="plain").result()
    assert account.add(1).result() == 1
    account.fail.tell()
    assert until(lambda: account.add(0).result(), 0) == 0


class Plain(histrio.Actor):
    def __init__(self) -> None:
        self.n = 0

    @histrio.method
    def add(self, k: int) -> int:
        self.n += k
        return self.n

    @histrio.method
    def fail(self) -> None:
        raise ValueError("asked to fail")


@pytest.mark.histrio("test", "node")
def test_state_that_cannot_be_kept(histrio_system):
    account = histrio_system.spawn(Stubborn, name="stubborn").result()
    account.deposit(3).result()
    with pytest.raises(histrio.EncodingError, match="the state of .*stubborn cannot be pickled") as found:
        account.become(0).result()
    assert found.value.executed, "the handler ran"
    with pytest.raises(histrio.ValueTooLarge, match="the state of") as found:
        account.become(5 * 1024 * 1024).result()
    assert found.value.executed
    account.fail.tell()
    assert until(lambda: account.look().result(), (3, True)) == (3, True), "the last good state"


@pytest.mark.histrio("test", "node")
def test_a_state_that_is_not_understood(histrio_system):
    account = histrio_system.spawn(Confused, name="confused").result()
    account.deposit(3).result()
    account.fail.tell()
    deadline = time.monotonic() + 20
    with pytest.raises(histrio.ActorError):
        while time.monotonic() < deadline:
            account.look().result()
            time.sleep(0.01)


def test_mistakes(histrio_system):
    with pytest.raises(TypeError, match="OneHook has one of snapshot\\(\\) and restore\\(\\) only"):
        histrio_system.spawn(OneHook).result()
    with pytest.raises(ValueError, match="snapshot_every=-1"):
        histrio.actor(snapshot_every=-1)(Account)
    with pytest.raises(TypeError, match="are plain functions"):

        @histrio.actor
        class Later(histrio.Actor):
            async def snapshot(self) -> object:
                return 1

            def restore(self, state: object) -> None:
                pass
