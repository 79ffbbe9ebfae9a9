"""Programs with histrio.local(), on a real node (HISTRIO_NODE)."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import histrio
from actors import Caller, Counter, Echo, Plain, Slow, Words
from limit_actors import Greedy

HERE = pathlib.Path(__file__).parent
PATIENCE = 60


def test_blocking(system):
    c = system.spawn(Counter, 5, name="blocking").result()
    assert repr(c) == "<Counter at local/blocking>"
    assert c.add(1).result() == 6
    c.add.tell(10)
    assert c.add(k=1).result(timeout=PATIENCE) == 17
    assert [call.result() for call in [c.add(1) for _ in range(1000)]] == list(range(18, 1018))
    assert histrio.gather(c.add(1), c.where()).result()[0] == 1018


def test_who_waits_for_long_sleeps(system):
    """A look for an answer that does not come takes 300 us, and after some of them it is seldom done."""
    slow = system.spawn(Counter).result()
    before, began = time.process_time(), time.monotonic()
    for _ in range(100):
        slow.sleep(0.005).result()
    assert time.process_time() - before < 0.2 * (time.monotonic() - began)


def test_much_is_sent_before_the_sender_waits(system, tmp_path):
    """A loop writes what a coroutine has sent when the coroutine waits; the actor need not wait for that when it is much."""
    c = system.spawn(Counter).result()

    async def send():
        c.make.tell(str(tmp_path / "first"))
        for _ in range(1000):
            c.add.tell(1)
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "first").exists():
            assert time.monotonic() < until
            time.sleep(0.001)

    asyncio.run(send())
    assert c.add(0).result() == 1000


def test_async_and_blocking_together(system):
    async def main():
        c = await system.spawn(Counter)
        assert await c.add(1) == 1
        assert await histrio.gather(*(c.add(1) for _ in range(1000))) == list(range(2, 1002))
        results = await asyncio.gather(*(once(c.add(0)) for _ in range(10)))
        assert results == [1001] * 10
        loop = asyncio.get_running_loop()
        blocking = await loop.run_in_executor(None, lambda: [c.add(1).result() for _ in range(50)])
        assert blocking[-1] == 1051
        assert c.add(0).result() == 1051  # blocks the loop, and works

    async def once(call):
        return await call

    asyncio.run(main())
    asyncio.run(main())  # another loop


def test_many_threads(system):
    c = system.spawn(Counter).result()
    errors = []

    def work():
        try:
            for _ in range(200):
                c.add(1).result(timeout=PATIENCE)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and c.add(0).result() == 1600


def test_tells_are_not_left(system):
    c = system.spawn(Counter).result()
    for _ in range(100):
        c.add.tell(1)
    time.sleep(0.5)
    assert c.add(0).result() == 100


def test_errors(system):
    c = system.spawn(Counter, name="errors").result()
    with pytest.raises(ValueError, match="no amount") as found:
        c.fail().result()
    assert "actors.py" in str(found.value.__cause__)
    with pytest.raises(histrio.EncodingError, match="argument 1"):
        c.add(lambda: 1)
    with pytest.raises(histrio.BadArgument, match="add of local/errors: missing a required argument"):
        c.add().result()
    with pytest.raises(histrio.NoSuchMethod):
        c.nothing()
    with pytest.raises(histrio.NoSuchActor):
        system.lookup("local/nobody", Counter).add(1).result()
    with pytest.raises(histrio.StartFailed, match=r"Counter\(\): .*TypeError: .*positional argument"):
        system.spawn(Counter, 1, 2, 3).result()
    with pytest.raises(ValueError, match="DNS label"):
        system.spawn(Counter, name="a/b")
    with pytest.raises(histrio.AskTimeout):
        c.sleep(0.5).result(timeout=0.05)
    assert c.add(1).result() == 1


def test_actors_ask_each_other(system):
    first, second = system.spawn(Caller).result(), system.spawn(Slow).result()
    counter = system.spawn(Counter).result()
    assert first.ask(counter, 5).result() == 5
    assert second.ask(counter, 5).result() == 10
    assert first.ask(second, 5).result() == 7
    assert histrio.gather(*(first.ask(counter, 1) for _ in range(50)), *(second.ask(counter, 1) for _ in range(50))).result()[-1] > 0


def test_deadlock(system):
    caller = system.spawn(Caller, name="self").result()
    with pytest.raises(histrio.DeadlockError) as found:
        caller.ask(caller, 1).result()
    assert found.value.cycle == ["local/self", "local/self"]


def test_processes_that_number_their_asks_alike_are_no_circle(system):
    first, second = (system.spawn(Caller, isolation="process").result() for _ in range(2))
    counter = system.spawn(Counter).result()
    counter.sleep.tell(0.5)
    waits = second.ask(counter, 1)  # its first ask
    assert first.ask(second, 1).result() == 2  # and that of another worker
    assert waits.result() == 1


def test_an_answer_that_cannot_be_read_is_an_error_of_its_call_alone(system):
    echo = system.spawn(Echo, name="unread").result()
    calls = [echo.give(text) for text in ("1", "__import__('actors').Explodes()", "2", "print", "None")]
    assert calls[0].result() == 1
    with pytest.raises(histrio.EncodingError, match="^the result of give of local/unread cannot be read: ZeroDivisionError: ") as found:
        calls[1].result()
    assert found.value.executed and isinstance(found.value.__cause__, ZeroDivisionError)
    assert [call.result() for call in calls[2:]] == [2, print, None]

    async def awaited():
        with pytest.raises(histrio.EncodingError):
            await echo.give("__import__('actors').Explodes()")
        return await echo.give("3")

    assert asyncio.run(awaited()) == 3


def test_plain_classes(system):
    plain = system.spawn(Plain, 5, name="plain").result()
    assert plain.add(1).result() == 6
    assert plain.path().result() == "local/plain"


def test_streams(system):
    slow, words = system.spawn(Slow).result(), system.spawn(Words).result()
    assert list(slow.ticks(100)) == list(range(100))
    assert list(words.each("a b c")) == ["a", "b", "c"]

    async def some():
        seen = []
        async for item in slow.endless():
            seen.append(item)
            if item == 20:
                break
        return seen

    assert asyncio.run(some()) == list(range(21))
    deadline = time.monotonic() + PATIENCE
    while "closed" not in slow.seen().result() and time.monotonic() < deadline:
        pass
    assert slow.seen().result() == ["closed"]
    with pytest.raises(ValueError, match="after one"):
        list(slow.broken())


def test_a_live_stream_does_not_hold_back_what_there_is(system):
    slow = system.spawn(Slow).result()
    stream = iter(slow.live.opt(timeout=PATIENCE)(3))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]


def test_a_crash_and_who_watches(system):
    c = system.spawn(Counter, 5, name="crashing", isolation="process").result()
    with system.watch(c) as events:
        with pytest.raises(histrio.ActorCrashed) as found:
            c.crash().result()
        assert found.value.signal == "SIGSEGV" and found.value.maybe_executed
        assert found.value.reason.startswith("SIGSEGV actors.py:") and found.value.reason.endswith(" in crash")
        assert str(found.value).startswith("crash of local/crashing: SIGSEGV actors.py:")
        assert 'actors.py", line' in found.value.traceback and "maybe executed" not in found.value.traceback
        event = events.next().result(timeout=PATIENCE)
        assert isinstance(event, histrio.Terminated) and event.reason.startswith("SIGSEGV actors.py:")
        assert event.kind == "signal" and 'actors.py", line' in event.traceback
        again = events.next().result(timeout=PATIENCE)
        assert isinstance(again, histrio.Restarted) and again.incarnation == 2
        assert (again.reason, again.traceback, again.kind) == (event.reason, event.traceback, "signal")
        with pytest.raises(histrio.ActorCrashed):
            c.crash().result()
        assert [type(events.next().result(timeout=PATIENCE)).__name__ for _ in range(2)] == ["Terminated", "Restarted"]
    assert c.add.opt(retries=5)(1).result() == 6


def test_an_actor_that_ends_itself_is_named(system):
    c = system.spawn(Counter, name="ending").result()
    with pytest.raises(histrio.ActorCrashed, match=r"^exit of local/ending: SystemExit: 3 \(actors.py:\d+ in exit\)$") as found:
        c.exit().result()
    assert found.value.reason.startswith("SystemExit: 3 (actors.py:") and found.value.traceback == "" and found.value.signal is None


def test_retries(system):
    c = system.spawn(Counter, isolation="process").result()
    assert c.add.opt(idempotency_key="o-17")(1).result() == 1
    assert c.add.opt(idempotency_key="o-17")(1).result() == 1
    with pytest.raises(histrio.ActorCrashed):
        c.crash.opt(retries=3)().result()
    with pytest.raises(histrio.ActorCrashed):
        c.crash.opt(retries=1, idempotency_key="x")().result()


def test_pools(system):
    pool = system.pool(Counter, 5, size=3, name="pool").result()
    assert [repr(one) for one in pool] == [f"<Counter at local/pool-{i}>" for i in range(3)]
    assert [pool.any.add(1).result() for _ in range(6)] == [6, 6, 6, 7, 7, 7]
    assert list(pool.map(Counter.add, range(0), in_flight=2)) == []
    workers = system.pool(Caller, size=3).result()
    assert list(workers.map(Caller.add, range(100), in_flight=5)) == list(range(1, 101))
    assert sorted(workers.map(Caller.add, range(100), in_flight=5, ordered=False)) == list(range(1, 101))

    async def main():
        assert sorted([r async for r in workers.map(Caller.add, range(50), ordered=False)]) == list(range(1, 51))
        everywhere = await system.pool(Counter, 1, size=2, route="broadcast")
        assert await everywhere.any.add(1) == [2, 2]
        keyed = await system.pool(Counter, size=4, route="hash:k")
        for k in range(20):
            await keyed.any.add(k)
            await keyed.any.add(k)
        assert sum([await one.add(0) for one in keyed]) == 2 * sum(range(20))
        loaded = await system.pool(Slow, size=2, route="least-loaded")
        long = loaded.any.alone(1000)
        assert await loaded.any.add(1) == 3  # by the other one
        long.cancel()
        with pytest.raises(ValueError, match="no amount"):
            async for _ in everywhere.map(Counter.fail, ["no amount"]):
                pass

    asyncio.run(main())
    with pytest.raises(ValueError, match="round-robin"):
        system.pool(Counter, route="random")
    with pytest.raises(TypeError, match='no parameter "x"'):
        system.pool(Counter, size=1, route="hash:x").result().any.add(1)


def test_exit(system):
    c = system.spawn(Counter, name="leaving").result()
    with system.watch(c) as events:
        system.exit(c)
        assert [event.reason for event in events] == ["shutdown"]
    with pytest.raises(histrio.NoSuchActor):
        c.add(1).result()


def test_after_the_end():
    with histrio.local(workers=1) as system:
        c = system.spawn(Slow).result()
        call = c.alone(1000)
    with pytest.raises(histrio.SystemClosed):
        call.result()
    with pytest.raises(histrio.SystemClosed):
        c.add(1)


def test_the_node_ends_first():
    with histrio.local(workers=1) as system:
        c = system.spawn(Slow).result()
        call = c.alone(1000)
        os.killpg(system._process.pid, signal.SIGKILL)
        with pytest.raises(histrio.SystemClosed, match="node has ended"):
            call.result(timeout=PATIENCE)


def test_async_with():
    async def main():
        async with histrio.local(workers=1) as system:
            c = await system.spawn(Counter)
            return await c.add(2)

    assert asyncio.run(main()) == 2


def test_a_handler_that_never_ends():
    with histrio.local(workers=1, handler_timeout=0.3) as system:
        greedy = system.spawn(Greedy, name="greedy").result()
        before = greedy.pid().result()
        with system.watch(greedy) as events:
            with pytest.raises(histrio.ActorCrashed, match=r"limit_actors.py:\d+ in loop"):
                greedy.loop().result(timeout=PATIENCE)
            assert events.next().result(timeout=PATIENCE).kind == "timeout"
        assert greedy.pid.opt(retries=5)().result() != before, "the next incarnation, in another process"


def test_a_handler_that_takes_all_memory():
    with histrio.local(workers=1, memory=256 << 20) as system:
        greedy = system.spawn(Greedy, name="greedy").result()
        with pytest.raises((MemoryError, histrio.ActorCrashed)):
            greedy.hoard().result(timeout=PATIENCE)
        assert greedy.pid.opt(retries=5)().result() > 0


@pytest.mark.parametrize("limits,error,text", [
    ({"handler_timeout": 0}, ValueError, "handler_timeout=0"),
    ({"handler_timeout": "1 s"}, ValueError, "is no duration"),
    ({"memory": 1000}, ValueError, "memory=1000: .* at least 16 MiB"),
    ({"memory": "512Mi"}, TypeError, "memory='512Mi': .* bytes"),
])
def test_limits_that_make_no_sense(limits, error, text):
    with pytest.raises(error, match=text):
        histrio.local(**limits)


def test_a_system_that_was_not_opened():
    system = histrio.local()
    for use in (lambda: system.spawn(Counter), lambda: system.pool(Counter), lambda: system.lookup("local/c", Counter),
                lambda: system.watch(None), lambda: system.exit(None), system.close):
        with pytest.raises(RuntimeError, match="with histrio.local"):
            use()
    assert not hasattr(system, "other")


def test_no_node(monkeypatch):
    monkeypatch.setenv("HISTRIO_NODE", "/nowhere/histrio-node")
    with pytest.raises(histrio.NodeNotFound, match="/nowhere/histrio-node"):
        with histrio.local():
            pass
    monkeypatch.delenv("HISTRIO_NODE")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(histrio.NodeNotFound, match="build it with ./dev build"):
        with histrio.local():
            pass


PROGRAM = """
import histrio
class Adder(histrio.Actor):
    @histrio.method
    def add(self, k: int) -> int:
        print("adding", k)
        return k + 1
"""
GUARDED = PROGRAM + """
if __name__ == "__main__":
    with histrio.local(workers=1) as s:
        print("got", s.spawn(Adder).result().add(1).result())
"""
UNGUARDED = PROGRAM + """
with histrio.local(workers=1) as s:
    print("got", s.spawn(Adder).result().add(1).result())
"""
ASYNC = PROGRAM + """
import asyncio
async def main():
    async with histrio.local(workers=1) as s:
        a = await s.spawn(Adder)
        print("got", await a.add(1))
asyncio.run(main())
"""


def run(arguments, folder):
    done = subprocess.run([sys.executable, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""}, check=False)
    return done.stdout, done.stderr


@pytest.mark.parametrize("text", [GUARDED, UNGUARDED, ASYNC])
def test_classes_of_the_program_itself(tmp_path, text):
    (tmp_path / "app.py").write_text(text)
    out, err = run(["app.py"], tmp_path)
    assert "got 2" in out, err
    for arguments in (["-m", "app"], ["-m", "histrio", "run", "app.py"]):
        out, err = run(arguments, tmp_path)
        assert "got 2" in out, err


@pytest.mark.parametrize("threads", ["", "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"])
def test_the_folder_where_it_was_started_hides_nothing(tmp_path, threads):
    code, elsewhere = tmp_path / "code", tmp_path / "elsewhere"
    code.mkdir()
    elsewhere.mkdir()
    for name in ("copy", "typing", "json", "histrio"):
        (elsewhere / f"{name}.py").write_text("raise RuntimeError('not what was wanted')")
    (code / "helper.py").write_text("ONE = 1")
    (code / "app.py").write_text(threads + GUARDED.replace("k + 1", "k + helper.ONE").replace("import histrio", "import helper, histrio"))
    out, err = run(["../code/app.py"], elsewhere)  # threads: workers are executed, not forked
    assert "got 2" in out, err


def test_what_actors_print(tmp_path):
    (tmp_path / "app.py").write_text("""
import histrio, os
from actors import Counter
with histrio.local(workers=1) as s:
    c = s.spawn(Counter, name="c").result()
    c.say("hello").result()
    c.fail.tell("no money")
    c.add(1).result()
""")
    out, err = run(["app.py"], tmp_path)
    assert "[local/c] hello\n[local/c] and no end\n" in out, out + err
    assert "[local/c] WARNING logged hello" in err
    assert "[local/c] ERROR ValueError: no money (actors.py:" in err and 'raise ValueError(text)' in err


def test_classes_without_a_file(tmp_path):
    out, err = run(["-c", UNGUARDED], tmp_path)
    assert "got 2" in out, err
    (tmp_path / "cloudpickle.py").write_text("raise ImportError('not here')")
    out, err = run(["-c", UNGUARDED], tmp_path)
    assert "got" not in out and "install cloudpickle" in err
