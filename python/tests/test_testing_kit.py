"""histrio.testing: the same actors without a node. What both can do is tested on both (the marker)."""

import asyncio
import threading
import time

import pytest
from testing_actors import (
    Clerk, Clocks, Counter, Deep, Impatient, Log, OneForAll, OneForOne, Patient, PatientRest, RestForOne, Restless, Sleeper, Teller,
    TwoOfAName, Writer,
)

import histrio
from histrio import testing


@pytest.fixture
def system():
    with testing.system(seed=1) as one:
        yield one


def settle(system):
    asyncio.run(system.settle())


def until(ask, expected):
    """What an ask gives, once it is what is expected; there may be nobody to ask in between."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if ask() == expected:
                return expected
        except histrio.NoSuchActor:
            pass
    return ask()


# ---- on both ----


@pytest.mark.histrio("test", "node")
def test_asks_and_tells(histrio_system):
    counter = histrio_system.spawn(Counter, 5, name="counter").result()
    assert counter.add(1).result() == 6
    counter.add.tell(4)
    assert counter.add(0).result() == 10
    with pytest.raises(ValueError, match="no") as caught:
        counter.fail("no").result()
    assert isinstance(caught.value.__cause__, histrio.RemoteError)
    assert counter.add(0).result() == 10, "who asks is told, and the actor lives on"
    with pytest.raises(histrio.NoSuchActor):
        histrio_system.lookup("local/nobody", Counter).add(1).result()


@pytest.mark.histrio("test", "node")
def test_a_tell_with_an_idempotency_key(histrio_system):
    counter = histrio_system.spawn(Counter, name="counter").result()
    for _ in range(3):
        counter.add.opt(idempotency_key="a").tell(2)
    assert counter.add(0).result() == 2


@pytest.mark.histrio("test", "node")
def test_tasks_of_an_incarnation_end_with_it(histrio_system):
    actor = histrio_system.spawn(Restless, name="restless").result()
    assert 1 in actor.listen(0.05).result()["beats"]
    actor.fail.tell()
    told = actor.listen(0.05).result()
    assert (told["beats"], told["ends"], told["cleaned"]) == ([2], [1], [1])


@pytest.mark.histrio("test", "node")
def test_awaited(histrio_system):
    async def main():
        counter = await histrio_system.spawn(Counter)
        assert await histrio.gather(*(counter.add(1) for _ in range(5))) == [1, 2, 3, 4, 5]
        teller = await histrio_system.spawn(Teller, counter)
        assert await teller.deposit_later(5) == 10

    asyncio.run(main())


@pytest.mark.histrio("test", "node")
def test_an_actor_that_waits_for_another(histrio_system):
    counter = histrio_system.spawn(Counter, name="counter").result()
    teller = histrio_system.spawn(Teller, counter, name="teller").result()
    assert teller.deposit_later(7).result(timeout=10) == 7


@pytest.mark.histrio("test", "node")
def test_a_circle_of_asks(histrio_system):
    counter = histrio_system.spawn(Counter).result()
    one = histrio_system.spawn(Teller, counter, name="one").result()
    two = histrio_system.spawn(Teller, counter, name="two").result()
    with pytest.raises(histrio.DeadlockError, match="local/one -> local/two -> local/one"):
        one.ask_me(two).result(timeout=20)


@pytest.mark.histrio("test", "node")
@pytest.mark.parametrize("kind, restarted", [(OneForOne, "b"), (OneForAll, "abc"), (RestForOne, "bc")])
def test_strategies(histrio_system, kind, restarted):
    group = histrio_system.spawn(kind, name="group").result()
    with histrio_system.watch(group.b) as ends:
        group.b.fail.tell("on purpose")
        assert ends.next().result(timeout=20).reason.startswith("ValueError: on purpose (testing_actors.py:")
    for name in "abc":
        expected = 2 if name in restarted else 1
        child = getattr(group, name)
        assert until(lambda: child.incarnation().result(timeout=20), expected) == expected


@pytest.mark.histrio("test", "node")
def test_a_restart_waits_and_its_messages_with_it(histrio_system):
    patient = histrio_system.spawn(Patient, name="patient").result()
    other = histrio_system.spawn(Counter, name="other").result()
    clock = getattr(histrio_system, "clock", None)
    others_wait = []
    for wait in (0.3, 0.5, 0.5):
        began = clock.now if clock else time.monotonic()
        patient.fail.tell("on purpose")
        answer = patient.incarnation()
        if clock is None:
            assert other.add(1).result(timeout=20)
            others_wait.append(time.monotonic() - began >= wait)
        answer.result(timeout=20)
        took = (clock.now if clock else time.monotonic()) - began
        assert took >= wait - 0.002
        assert clock is None or took == pytest.approx(wait)
    assert clock or sum(others_wait) <= 1, "nobody else waits; a busy machine can be slow once"
    assert patient.incarnation().result() == 4


def story(events, count):
    """The next events, as words."""
    told = [events.next().result(timeout=20) for _ in range(count)]
    return [(type(one).__name__, one.kind, *([one.incarnation] if isinstance(one, histrio.Restarted) else [])) for one in told], told


@pytest.mark.parametrize("reason, kind", [
    ("normal", "normal"), ("shutdown", "shutdown"), ("killed", "killed"), ("SIGSEGV bank.py:41 in add", "signal"),
    ("SIGKILL (out of memory)", "memory"), ("timeout bank.py:41 in add", "timeout"), ("exit code 3", "exit"), ("noproc", "unreachable"),
    ("ValueError: no amount (bank.py:41 in add)", "exception"), ("KeyError (bank.py:41 in add)", "exception"), ("StopIteration", "exception"),
    ("bank.Broke", "exception"), ("start failed: OSError: no", "exception"), ("error", "error"), ("tired", "error"), ("it had to be", "error"), ("", "error"),
])
def test_kinds_of_ends(reason, kind):
    assert histrio.Terminated(None, reason).kind == kind


@pytest.mark.histrio("test", "node")
def test_restarts_are_told_to_who_watches(histrio_system):
    group = histrio_system.spawn(OneForAll, name="group").result()
    with histrio_system.watch(group.a) as a, histrio_system.watch(group.b) as b:
        group.b.fail.tell("on purpose")
        words, (ended, restarted) = story(b, 2)
        assert words == [("Terminated", "exception"), ("Restarted", "exception", 2)]
        assert ended.reason.startswith("ValueError: on purpose (testing_actors.py:") and restarted.reason == ended.reason
        assert ended.traceback.startswith("Traceback (most recent call last):") and ended.traceback.endswith("ValueError: on purpose")
        assert ", in fail" in restarted.traceback and restarted.traceback == ended.traceback
        assert restarted.actor == ended.actor == group.b
        assert story(a, 2)[0] == [("Terminated", "shutdown"), ("Restarted", "shutdown", 2)], "with it"
        group.b.fail.tell("again")
        assert story(b, 2)[0] == [("Terminated", "exception"), ("Restarted", "exception", 3)], "the same watch"
    assert group.b.incarnation().result(timeout=20) == 3


def in_time(system, wait, attempt):
    """Plays attempt(name) until it was over before a wait that began with it was, so that all of it came in between; a busy machine is
    too slow at times. What the attempt returned."""
    clock = getattr(system, "clock", None)
    for number in range(100):
        began = time.monotonic()
        played = attempt(f"try-{number}")
        if clock or time.monotonic() - began < wait:
            return played
    raise AssertionError(f"100 times not in {wait} s")


@pytest.mark.histrio("test", "node")
def test_a_restart_that_waits_is_told_when_it_comes(histrio_system):
    clock = getattr(histrio_system, "clock", None)

    def watch_twice(name):
        patient = histrio_system.spawn(Patient, name=name).result()
        events, began = histrio_system.watch(patient), clock.now if clock else time.monotonic()
        patient.fail.tell("on purpose")
        assert story(events, 1)[0] == [("Terminated", "exception")], "at once"
        later = histrio_system.watch(patient)
        with pytest.raises(histrio.NoSuchActor):
            histrio_system.lookup("local/nobody", Counter).add(1).result()  # answered after what was sent before it
        return events, later, began

    events, later, began = in_time(histrio_system, 0.3, watch_twice)
    with events, later:
        assert story(events, 1)[0] == [("Restarted", "exception", 2)]
        assert (clock.now if clock else time.monotonic()) - began >= 0.29
        assert story(later, 1)[0] == [("Restarted", "exception", 2)], "who came between the two"


@pytest.mark.histrio("test", "node")
def test_a_watch_ends_with_the_last_incarnation(histrio_system):
    counter = histrio_system.spawn(Counter, name="counter", restart="temporary").result()
    with histrio_system.watch(counter) as events:
        counter.fail.tell("on purpose")
        assert story(events, 1)[0] == [("Terminated", "exception")]
        with pytest.raises(histrio.SystemClosed, match="nothing is watched"):
            events.next().result(timeout=20)
    deep = histrio_system.spawn(Deep, name="deep").result()
    with histrio_system.watch(deep.inner) as inner, histrio_system.watch(deep.inner.a) as child:
        for _ in range(3):
            deep.inner.a.fail.tell("again")
        assert story(inner, 2)[0] == [("Terminated", "shutdown"), ("Restarted", "shutdown", 2)]
        told = list(child)
        assert isinstance(told[-1], histrio.Terminated), "its supervisor gave up"


@pytest.mark.histrio("test", "node")
def test_a_group_that_waits(histrio_system):
    def fail_twice(name):
        group, began = histrio_system.spawn(PatientRest, name=name).result(), time.monotonic()
        with histrio_system.watch(group.a) as first, histrio_system.watch(group.c) as ends:
            group.b.fail.tell("on purpose")
            assert ends.next().result(timeout=20).reason == "shutdown", "at once"
            group.a.fail.tell("too")
            assert story(first, 1)[0] == [("Terminated", "exception")]
        return group, began

    group, began = in_time(histrio_system, 0.3, fail_twice)
    assert group.c.incarnation().result(timeout=20) == 2
    assert group.b.incarnation().result() == 2, "restarted once, with a"
    assert group.a.incarnation().result() == 2
    assert hasattr(histrio_system, "clock") or time.monotonic() - began >= 0.3


@pytest.mark.histrio("test", "node")
def test_giving_up(histrio_system):
    group = histrio_system.spawn(OneForOne, name="group", restart="temporary").result()
    with histrio_system.watch(group) as ends:
        for _ in range(3):
            group.a.fail.tell("again")
        assert "ValueError: again" in ends.next().result(timeout=20).reason
    with pytest.raises(histrio.NoSuchActor):
        group.b.add(1).result(timeout=20)


@pytest.mark.histrio("test", "node")
def test_an_actor_that_stops(histrio_system):
    counter = histrio_system.spawn(Counter, name="counter", restart="transient").result()
    with histrio_system.watch(counter) as ends:
        counter.stop_normally().result()
        assert ends.next().result(timeout=20).reason == "normal"
    with pytest.raises(histrio.NoSuchActor):
        counter.add(1).result()


@pytest.mark.histrio("test", "node")
def test_a_supervisor_below_a_supervisor(histrio_system):
    deep = histrio_system.spawn(Deep, name="deep").result()
    for supervisor, child in ((deep.inner, deep.inner.a), (deep.fragile, deep.fragile.d)):
        with histrio_system.watch(supervisor) as ends:
            for _ in range(3):
                child.fail.tell("again")
            assert ends.next().result(timeout=20).reason == "shutdown", "it gave up"
    assert until(lambda: deep.inner.b.incarnation().result(timeout=20), 2) == 2, "started again by the one above"
    with pytest.raises(histrio.NoSuchActor):
        deep.fragile.e.incarnation().result(timeout=20)  # a transient one is not
    assert deep.other.incarnation().result() == 1


@pytest.mark.histrio("test", "node")
@pytest.mark.parametrize("reason, told", [("kill", "killed"), ("shutdown", "shutdown")])
def test_exits(histrio_system, reason, told):
    counter = histrio_system.spawn(Counter, name="counter", restart="permanent").result()
    group = histrio_system.spawn(OneForOne, name="group").result()
    for ref in (counter, group.a):
        with histrio_system.watch(ref) as ends:
            histrio_system.exit(ref, reason)
            assert ends.next().result(timeout=20).reason == told
    with pytest.raises(histrio.NoSuchActor):
        counter.add(1).result()
    assert group.b.incarnation().result() == 1


@pytest.mark.histrio("test", "node")
def test_what_cannot_be_started(histrio_system):
    with pytest.raises(histrio.StartFailed):
        histrio_system.spawn(Writer).result()
    with pytest.raises(histrio.StartFailed, match='two children are named "a"'):
        histrio_system.spawn(TwoOfAName).result()


# ---- what only the kit can ----


def test_arguments_are_really_sent(system):
    counter = system.spawn(Counter).result()
    with pytest.raises(histrio.EncodingError, match="argument 1"):
        counter.add(threading.Lock())
    log = system.spawn(Log).result()
    lines = log.read().result()
    lines.append("mine")
    assert log.read().result() == [], "an answer is a copy"


@pytest.mark.histrio("test", "node")
def test_a_plain_method_that_waits(histrio_system):
    counter = histrio_system.spawn(Counter).result()
    clerk = histrio_system.spawn(Clerk, counter).result()
    assert [clerk.deposit(1).result() for _ in range(3)] == [1, 2, 3]


def test_a_crash_keeps_the_mailbox(system):
    counter = system.spawn(Counter, 10, name="counter").result()
    calls = [counter.add(1) for _ in range(3)]
    system.crash(counter)
    assert [call.result() for call in calls] == [11, 12, 13]
    assert counter.incarnation().result() == 2
    assert system.trace.of("restart") == ["local/counter"]
    assert system.trace.reasons("local/counter") == ["SIGSEGV"]


def test_a_crash_in_a_message(system):
    counter = system.spawn(Counter, name="counter", isolation="process").result()
    calm = system.spawn(Counter, name="calm").result()
    system.crash(counter, "ABRT", when="add")
    first, second = counter.add(1), counter.add(2)
    with pytest.raises(histrio.ActorCrashed) as caught:
        first.result()
    assert caught.value.signal == "SIGABRT"
    assert second.result() == 2
    assert calm.incarnation().result() == 1, "another process"


def test_shared_actors_crash_together_but_one_is_charged(system):
    one = system.spawn(Counter, name="one").result()
    two = system.spawn(Counter, name="two").result()
    for _ in range(3):
        system.crash(one)
        settle(system)
    assert one.incarnation().result() == two.incarnation().result() == 4
    system.crash(one)
    with pytest.raises(histrio.NoSuchActor):
        one.add(1).result()
    assert two.incarnation().result() == 5, "it restarted for free"


def test_drop_delay_duplicate(system):
    counter = system.spawn(Counter, name="counter").result()
    rule = system.drop(counter, "add")
    with pytest.raises(histrio.AskTimeout):
        counter.add.opt(timeout=5)(1).result()
    assert rule.seen == 1 and system.clock.now >= 5
    system.duplicate(counter, "add")
    counter.add(10).result()
    settle(system)
    assert counter.add(0).result() == 20, "not idempotent: it shows"
    system.delay(counter, 3, "add")
    counter.add.tell(100)
    assert counter.add(0).result() == 20, "overtaken"
    asyncio.run(system.advance(3))
    assert counter.add(0).result() == 120


def test_a_lost_answer_and_an_idempotency_key(system):
    counter = system.spawn(Counter, name="counter").result()
    system.drop(counter, "add")
    assert counter.add.opt(timeout=5, retries=2, idempotency_key="a")(7).result() == 7
    assert counter.add.opt(idempotency_key="a")(7).result() == 7, "the same key is executed once"
    assert counter.add(0).result() == 7


def test_time_passes_when_all_wait(system):
    sleeper = system.spawn(Sleeper, name="sleeper").result()
    assert sleeper.sleep(50).result() == "slept 50 s"
    assert system.clock.now == pytest.approx(50)
    with pytest.raises(histrio.AskTimeout):
        sleeper.sleep.opt(timeout=10)(3600).result()
    assert system.clock.now == pytest.approx(60)


def test_what_is_left_of_the_time(system):
    sleeper = system.spawn(Sleeper, name="sleeper").result()
    assert sleeper.sleep_and_look.opt(timeout=100)(30).result() == pytest.approx([100, 70], abs=1)


def test_nobody_waits_for_an_ask(system):
    sleeper = system.spawn(Sleeper, name="sleeper").result()
    with pytest.raises(histrio.AskTimeout):
        sleeper.sleep.opt(timeout=10)(3600).result()
    impatient = system.spawn(Impatient).result()
    impatient.wait.tell(sleeper)
    impatient.fail.tell()
    assert until(lambda: sleeper.so_far().result(), ["woken"] * 2) == ["woken"] * 2
    assert system.clock.now == pytest.approx(11), "at once"


def test_timers_and_a_clock_by_hand():
    async def main():
        async with testing.system(clock=testing.VirtualClock(auto=False)) as system:
            sleeper = await system.spawn(Sleeper)
            await system.advance(29)
            assert await sleeper.count_ticks() == 0
            await system.advance(61)
            assert await sleeper.count_ticks() == 3
            call = asyncio.ensure_future(sleeper.sleep(5))
            await asyncio.sleep(0.02)
            assert not call.done(), "nobody let time pass"
            await system.advance(5)
            assert await call == "slept 5 s"

    asyncio.run(main())


def test_timers_that_are_messages_as_well(system):
    clocks = system.spawn(Clocks).result()
    asyncio.run(system.advance(5.5))
    assert (clocks.tick().result(), clocks.tock().result()) == (6, 6)


def test_methods_that_interleave(system):
    sleeper = system.spawn(Sleeper).result()
    calls = [sleeper.interleave(name) for name in "ab"]
    assert calls[1].result() == ["a begins", "b begins", "a ends", "b ends"]
    assert system.clock.now == pytest.approx(1), "side by side"


def order(seed):
    with testing.system(seed=seed) as system:
        log = system.spawn(Log).result()
        writers = [system.spawn(Writer, name, log).result() for name in "abc"]
        for number in range(4):
            for writer in writers:
                writer.write.tell(number)
        settle(system)
        return "".join(log.read().result())


def test_the_seed_decides_the_order():
    orders = {seed: order(seed) for seed in range(20)}
    assert len(set(orders.values())) > 10
    assert all(order(seed) == orders[seed] for seed in orders), "the same seed, the same order"
    for text in orders.values():
        for name in "abc":
            assert [text[i + 1] for i in range(0, len(text), 2) if text[i] == name] == list("0123"), "each writer's lines in order"


def test_the_end_stops_in_reverse_order():
    with testing.system() as system:
        system.spawn(OneForOne, name="group").result()
        system.spawn(Counter, name="last").result()
    ends = [entry.actor for entry in system.trace if entry.what == "end"]
    assert ends == ["local/last", "local/group/c", "local/group/b", "local/group/a", "local/group"]
    with pytest.raises(histrio.SystemClosed):
        system.lookup("local/last", Counter).add(1).result()

