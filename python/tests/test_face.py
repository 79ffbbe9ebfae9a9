"""The public face without a node: objects made by hand, references, options, errors."""

import asyncio
import os
import pickle
import subprocess
import sys

import pytest

import histrio
from histrio import _errors as errors
from histrio._behavior import behavior_of
from histrio._context import resolve
from histrio._options import Address, CallOptions, seconds
from histrio._ref import make_ref


class Counter(histrio.Actor):
    def __init__(self, start=0):
        self.n = start

    @histrio.method
    def add(self, k):
        self.n += k
        return self.n

    @histrio.method(concurrency=2, timeout="1s")
    async def twice(self, k):
        await self.add(k)
        return await self.add(k)

    @histrio.method
    async def ticks(self, count):
        for i in range(count):
            yield i

    @histrio.every(seconds=30)
    def flush(self):
        pass

    def helper(self):
        return 1


class Plain:
    def add(self, k):
        return k

    def _hidden(self):
        pass

    def on_stop(self, why):
        pass


def test_methods_of_an_object_made_by_hand_run_at_once():
    counter = Counter(5)
    counter.add(1)
    assert counter.n == 6
    assert counter.add(1).result() == 7
    assert asyncio.run(once(counter.twice(1))) == 9
    assert counter.twice(1).result() == 11
    assert asyncio.run(collect(counter.ticks(3))) == [0, 1, 2]
    with pytest.raises(RuntimeError, match="made by hand"):
        counter.ref  # noqa: B018


async def once(call):
    return await call


async def collect(stream):
    return [item async for item in stream]


def test_a_behavior_knows_its_messages():
    behavior = behavior_of(Counter)
    assert sorted(behavior.messages) == ["add", "flush", "ticks", "twice"]
    assert behavior.messages["twice"].concurrency == 2
    assert behavior.messages["twice"].timeout == 1.0
    assert [timer.name for timer in behavior.timers] == ["flush"]
    assert behavior.name == "test_face:Counter"
    assert behavior.is_async
    assert sorted(behavior_of(Plain).messages) == ["add"]
    assert not behavior_of(Plain).is_async


def test_what_is_no_message_says_what_to_do():
    ref = make_ref(Address("local/c"), Counter)
    with pytest.raises(histrio.NoSuchMethod, match="@histrio.method"):
        ref.helper()
    with pytest.raises(AttributeError, match='did you mean "add"'):
        ref.ad()
    with pytest.raises(RuntimeError, match="no actor system runs"):
        ref.add(1)


def test_references_travel():
    named = make_ref(Address("tellers.0/counter"), Counter)
    unnamed = make_ref(Address("", 7, 9), None)
    for ref in (named, unnamed):
        again = pickle.loads(pickle.dumps(ref, 5))
        assert again == ref and hash(again) == hash(ref) and type(again) is type(ref)
    assert named != unnamed
    assert dir(named) == ["add", "flush", "ticks", "twice"]
    assert repr(named) == "<Counter at tellers.0/counter>"


def test_errors_travel():
    for error in (histrio.AskTimeout("late", True), histrio.ActorCrashed("SIGSEGV bank.py:41 in add", "stack", False),
                  histrio.DeadlockError("in a circle", ["a", "b"]), histrio.RemoteError("x", "m:E", "a", "add", "tb")):
        again = pickle.loads(pickle.dumps(error, 5))
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
    assert histrio.ActorCrashed("SIGSEGV bank.py:41 in add").signal == "SIGSEGV"
    assert histrio.ActorCrashed("ValueError: x").signal is None


def test_options_that_make_no_sense_are_refused():
    for options in ({"isolation": "thread"}, {"on_error": "ignore"}, {"overflow": "fail"}, {"restart": "never"}):
        with pytest.raises(ValueError):
            histrio.actor(**options)(Plain)
    with pytest.raises(TypeError, match="no option mailbx"):
        histrio.actor(mailbx=1)(Plain)
    with pytest.raises(TypeError, match="only an async method"):
        histrio.method(concurrency=2)(Plain.add)
    with pytest.raises(ValueError, match="at least 1 ms"):
        histrio.every(seconds=0)
    with pytest.raises(TypeError, match="no children"):
        histrio.supervisor()(Plain)


def test_a_timer_that_is_a_message_as_well_is_written_in_either_order():
    class Above(histrio.Actor):
        @histrio.every(seconds=30)
        @histrio.method(concurrency=2, timeout="1s")
        async def flush(self):
            return 5

    class Below(histrio.Actor):
        @histrio.method(concurrency=2, timeout="1s")
        @histrio.every(seconds=30)
        async def flush(self):
            return 5

    class Sooner(Above):
        flush = histrio.every(seconds=1)(Above.flush)

    for cls, period in ((Above, 30), (Below, 30), (Sooner, 1), (Above, 30)):
        [timer] = behavior_of(cls).timers
        assert (timer.name, timer.every, timer.concurrency, timer.timeout, timer.is_async) == ("flush", period, 2, 1.0, True)
        assert asyncio.run(once(cls().flush())) == 5


def test_what_has_no_self_is_no_message():
    for what, kind in ((staticmethod, "a staticmethod"), (classmethod, "a classmethod"), (property, "a property")):
        for decorator in (histrio.method, histrio.method(timeout=1), histrio.every(seconds=1)):
            with pytest.raises(TypeError, match=f"{kind} cannot be a message"):
                decorator(what(Plain.add))

        class Wrong(histrio.Actor):
            add = what(histrio.method(Plain.add))

        with pytest.raises(TypeError, match=f"Wrong.add: {kind} cannot be a message"):
            behavior_of(Wrong)


def test_the_manifests_words_are_taken():
    @histrio.actor(isolation="Process", restart="Transient", shutdown="1m30s")
    class One(histrio.Actor):
        pass

    options = behavior_of(One).options
    assert (options.isolation, options.restart, options.shutdown) == ("Process", "Transient", 90.0)
    assert seconds("250ms") == 0.25
    for wrong in (("1s", "50ms"), (0, 1)):
        with pytest.raises(ValueError, match="the first wait and the longest one"):
            histrio.OneForOne(backoff=wrong)
    with pytest.raises(ValueError, match="is no duration"):
        seconds("5 s")


class Asked:
    """A runtime that notes what it was asked with."""

    def ask(self, address, message, args, kwargs, options):
        return options

    def stream(self, address, message, args, kwargs, options, window):
        return options, window


def test_options_that_are_not_given_again_stay():
    ref = make_ref(Address("local/c"), Counter, Asked())
    once_more = ref.add.opt(timeout=0.2, retries=1).opt(retries=3).opt(idempotency_key="o-17")
    assert once_more(1) == CallOptions(0.2, 3, "o-17")
    assert once_more.opt(retries=0, timeout="1s")(1) == CallOptions(1.0, 0, "o-17")
    assert ref.add(1) == CallOptions(), "the reference's own is as it was"
    assert ref.ticks.opt(window=4).opt(timeout=2)(1) == (CallOptions(2.0), 4)
    assert ref.ticks.opt(timeout=2).opt(window=4)(1) == (CallOptions(2.0), 4)


def test_names_resolve():
    assert resolve("tellers.0/counter", "../printer") == "tellers.0/printer"
    assert resolve("tellers.0/counter", "./a") == "tellers.0/counter/a"
    assert resolve("", "ledger") == "ledger"
    with pytest.raises(ValueError):
        resolve("", "./a")


def test_children_of_a_supervisor_are_attributes_of_its_reference():
    @histrio.supervisor(strategy="one_for_all")
    class Tellers(histrio.Actor):
        counter = histrio.child(Counter, 5)
        second_counter = histrio.child(Counter, restart="temporary")

    tellers = make_ref(Address("local/tellers"), Tellers)
    assert repr(tellers.second_counter) == "<Counter at local/tellers/second-counter>"
    assert behavior_of(Tellers).strategy.word == "OneForAll"
    with pytest.raises(AttributeError):
        make_ref(Address("", 1, 2), Tellers).counter  # noqa: B018


def test_gather():
    async def three():
        calls = [histrio.Call() for _ in range(3)]
        asyncio.get_running_loop().call_later(0, lambda: [call.complete(i) for i, call in enumerate(calls)])
        return await histrio.gather(*calls)

    assert asyncio.run(three()) == [0, 1, 2]

    async def failing():
        one, two = histrio.Call(), histrio.Call()
        asyncio.get_running_loop().call_later(0, lambda: two.fail(ValueError("x")))
        with pytest.raises(ValueError):
            await histrio.gather(one, two)
        return one

    one = asyncio.run(failing())
    with pytest.raises(asyncio.CancelledError):
        one.result()


def test_the_compiled_part_is_there():
    from histrio._frames import compiled

    assert (compiled() is None) == (os.environ.get("HISTRIO_PURE") == "1")


def test_import_loads_no_event_loop():
    code = "import sys, histrio; sys.exit('asyncio' in sys.modules or 'msgpack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("text, reason, traceback, executed, said", [
    ("SIGSEGV a.py:3 in go\nlocal/a crashed in \"go\"; maybe executed\n", "SIGSEGV a.py:3 in go", "", None, "go of local/a: SIGSEGV a.py:3 in go"),
    ("SIGSEGV\nlocal/a crashed in \"go\"; it was executed, its answer is lost\nStack:\n  File a\n", "SIGSEGV", "Stack:\n  File a", True,
     "go of local/a: SIGSEGV\nStack:\n  File a"),
    ("local/a crashed in \"go\": exit code 3; maybe executed", "exit code 3", "", None, "local/a crashed in \"go\": exit code 3; maybe executed"),
    ("ValueError: a", "ValueError: a", "", None, "go of local/a: ValueError: a"),
])
def test_what_nodes_say_of_crashes(text, reason, traceback, executed, said):
    error = errors.of_code(errors.CRASHED, text, "local/a", "go")
    assert (error.reason, error.traceback, error.executed, error.maybe_executed, str(error)) == (reason, traceback, executed, True, said)
