"""Calls that hold others, end on other threads or are made again; streams that are left; actors that watch actors."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

import histrio
from call_actors import Asking, AsyncAsking, AsyncParent, AsyncStopping, Blind, Box, Parent, Stopping, Target, Watcher
from histrio import _call

PATIENCE = 60


@pytest.fixture
def target(system):
    return system.spawn(Target).result()


def becomes(look, wanted):
    until = time.monotonic() + PATIENCE
    while (found := look()) != wanted:
        assert time.monotonic() < until, f"it is {found}"
        time.sleep(0.01)


# ---- several calls as one ----


def test_calls_inside_of_gather(system, target):
    pool = system.pool(Target, size=2, route="broadcast").result()

    async def main():
        assert await histrio.gather(histrio.gather(target.give(1), target.give(2)), target.give(3)) == [[1, 2], 3]
        assert await histrio.gather(pool.any.give(4), target.give(5)) == [[4, 4], 5]
        two = await histrio.gather(system.pool(Target, size=1), system.pool(Target, size=2))
        assert [len(one) for one in two] == [1, 2]
        assert [answers async for answers in pool.map(Target.give, range(3), ordered=False)] == [[n, n] for n in range(3)]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert histrio.gather(histrio.gather(target.give(1)), system.pool(Target, size=1)).result(PATIENCE)[0] == [1]
    assert sorted(pool.map(Target.give, range(3), ordered=False)) == [[n, n] for n in range(3)]


def test_gather_is_a_call(target):
    called = threading.Event()
    both = histrio.gather(target.give(1), target.give(2))
    both.add_done_callback(called.set)
    assert both.result(PATIENCE) == [1, 2] and both.done() and called.wait(PATIENCE)
    left = target.sleep(0.5)
    pair = histrio.gather(left, target.give(1))
    assert pair.cancel() and pair.done() and left.done() and not pair.cancel()


def test_gather_raises_the_first_error_at_once(system, target):
    slow = system.spawn(Target, isolation="process").result()
    waiting, began = slow.sleep(20), time.monotonic()
    with pytest.raises(ValueError, match="refused"):
        histrio.gather(waiting, target.refuse()).result()
    assert time.monotonic() - began < 10 and waiting.done()


def test_inline_calls_in_gather(system):
    assert system.spawn(AsyncAsking).result().gather_inline().result(PATIENCE) == [1, 2]


def test_a_circle_behind_gather_is_found(system):
    with pytest.raises(histrio.DeadlockError):
        system.spawn(Asking).result().gather_itself.opt(timeout=PATIENCE)().result()


@pytest.mark.parametrize("parent", [Parent, AsyncParent])
def test_a_circle_through_a_constructor_is_found(system, parent):
    with pytest.raises(histrio.StartFailed, match="DeadlockError"):
        system.spawn(parent).result().make_child.opt(timeout=PATIENCE)().result()


# ---- calls that end on another thread ----


def in_thread(function):
    done = []
    thread = threading.Thread(target=lambda: done.append(function()), daemon=True)
    thread.start()
    return thread, done


def test_who_waits_notices_that_another_thread_cancels(target):
    def wait():
        with pytest.raises(asyncio.CancelledError):
            call.result()

    call, began = target.sleep(8), time.monotonic()
    thread, _ = in_thread(wait)
    time.sleep(0.2)
    call.cancel()
    thread.join(PATIENCE)
    assert time.monotonic() - began < 6


def test_who_waits_for_news_notices_that_nobody_watches(system, target):
    watch = system.watch(target)
    thread, done = in_thread(lambda: list(watch))
    time.sleep(0.2)
    watch.close()
    thread.join(PATIENCE)
    assert done == [[]]


def test_a_callback_that_raises_harms_nobody(target, caplog):
    call = target.give(1)
    call.add_done_callback(lambda: {}["x"])
    others = [target.give(n) for n in range(10)]
    assert call.result(PATIENCE) == 1 and [one.result(PATIENCE) for one in others] == list(range(10))
    assert "a done callback of a call raised" in caplog.text


# ---- calls that are made again ----


@pytest.mark.parametrize("asking", [Asking, AsyncAsking])
def test_an_actor_asks_again(system, tmp_path, asking):
    """As the same actor, and with the deadline of the message that it handles."""
    other = system.spawn(Target, name=f"again-{asking.__name__.lower()}", isolation="process", restart="permanent").result()
    call = system.spawn(asking).result().ask_again.opt(timeout=PATIENCE)(other, str(tmp_path / "crashed"))
    has_sender, remaining = call.result()
    assert has_sender and 0 < remaining <= 20


def test_what_a_handler_met_with_is_not_made_again(system):
    asking = system.spawn(Asking).result()
    with pytest.raises(histrio.Unavailable) as raised:
        asking.ask_nobody.opt(retries=3)().result()
    assert raised.value.executed and asking.how_often().result() == 1


def test_cancelling_a_call_that_is_made_again(target):
    call = target.sleep.opt(retries=3)(5)
    assert call.cancel() and call.done() and not call.cancel()


# ---- streams that are left ----


def test_a_stream_whose_time_is_over_is_closed(target, system):
    notes = system.spawn(Target).result()
    with pytest.raises(histrio.AskTimeout):
        next(target.slow_items.opt(timeout=0.1)(notes))
    becomes(lambda: notes.notes().result(), ["closed"])


def test_a_stream_whose_consumer_died_is_closed(system, target):
    notes = system.spawn(Target).result()
    consumer = system.spawn(Asking, isolation="process").result()
    with pytest.raises(histrio.ActorCrashed):
        consumer.take_two_and_die(target, notes).result()
    becomes(lambda: notes.notes().result(), ["closed"])


def test_a_stream_is_forgotten_under_a_lock(system, target):
    """The garbage of a program may be collected at any place."""
    notes = system.spawn(Target).result()
    stream = target.count(notes)
    assert next(stream) == 0
    circle = [stream]
    circle.append(circle)
    with _call._lock:
        del stream, circle
        gc.collect()
    becomes(lambda: notes.notes().result(), ["closed"])


# ---- what handlers may do ----


@pytest.mark.parametrize(("cls", "text"), [(Stopping, "on_stop normal"), (AsyncStopping, "async on_stop normal")])
def test_an_actor_that_stops_itself_can_send_in_its_hook(system, target, cls, text):
    system.spawn(cls, target).result().leave().result()
    becomes(lambda: target.notes().result(), [text])


def test_a_thread_of_a_handler_is_told_that_it_cannot_send(system, target):
    (text,) = system.spawn(Asking).result().from_thread(target).result()
    assert "asyncio.to_thread" in text and target.notes().result() == []


def test_an_event_loop_in_a_plain_handler_is_refused(system, target):
    with pytest.raises(RuntimeError, match=r"use .result\(\) in it"):
        system.spawn(Asking).result().run_loop.opt(timeout=PATIENCE)(target).result()


def test_generic_actors(system):
    assert system.spawn(Box[int], 5).result().get().result() == 5
    assert system.pool(Box[str], "a", size=1).result().any.get().result() == "a"


# ---- actors that watch actors ----


def test_an_actor_watches_another(system, target):
    watcher = system.spawn(Watcher).result()
    crashing = system.spawn(Target, isolation="process").result()
    for one in (target, crashing):
        watcher.begin(one).result()
    watcher.end(target).result()
    system.exit(target)
    with pytest.raises(histrio.ActorCrashed):
        crashing.crash().result()
    becomes(lambda: len(watcher.seen().result()), 1)
    ((ref, reason),) = watcher.seen().result()
    assert ref == crashing and "exit code 1" in reason
    becomes(lambda: crashing.give(1).result(), 1)  # the next incarnation
    for end in ("shutdown", "noproc"):
        watcher.begin(crashing).result()
        system.exit(crashing)
        becomes(lambda end=end: watcher.seen().result()[-1], (crashing, end))


def test_who_watches_must_have_the_hook(system, target):
    with pytest.raises(TypeError, match="has no on_down"):
        system.spawn(Blind).result().begin(target).result()


# ---- descriptors ----

BURST = """
import asyncio, sys
sys.path.insert(0, {folder!r})
import histrio
from call_actors import Target

async def main(target):
    calls = [target.give(bytes(1 << 20)) for _ in range(300)]
    print(sum([len(await call) for call in calls]))

with histrio.local(workers=1) as system:
    asyncio.run(main(system.spawn(Target, mailbox=1000).result()))
"""


def test_a_burst_of_large_messages_needs_few_descriptors():
    folder = os.path.dirname(os.path.abspath(__file__))
    command = ["bash", "-c", 'ulimit -S -n 256; exec "$@"', "bash", sys.executable, "-c", BURST.format(folder=folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout.strip() == str(300 << 20), done.stderr[-2000:]
