"""An actor's process ends by SIGSEGV with 100 asks behind it: seconds until it answers again, and how many of the asks failed."""

import asyncio
import time
from concurrent.futures.process import BrokenProcessPool

ASKS = 100


def pipe(system):
    """By hand: the caller sees the end of the pipe, forks another process, and sends again what was not answered."""
    actor = system.start(1)[0]
    system.ask(actor, "echo", 0)
    actor.connection.send(("crash", ()))
    started = time.perf_counter()
    answered, first = 0, 0.0
    sent = False
    while answered < ASKS:
        try:
            if not sent:
                for number in range(answered, ASKS):
                    actor.connection.send(("echo", (number,)))
                sent = True
            actor.connection.recv()
        except (EOFError, OSError):
            actor.process.join()
            system.actors.remove(actor)
            actor, sent = system.spawn(), False
            continue
        answered += 1
        first = first or time.perf_counter() - started
    return first, 0


def executor(system):
    """The pool is broken and all its work fails: make another pool."""
    pool = system.start(1)[0]
    system.ask(pool, "echo", 0)
    tickets = []
    system.send(pool, "crash")
    started = time.perf_counter()
    lost = 0
    for number in range(ASKS):
        try:
            tickets.append(system.send(pool, "echo", number))
        except BrokenProcessPool:
            lost += 1
    for ticket in tickets:
        try:
            system.result(ticket)
        except BrokenProcessPool:
            lost += 1
    system.pools.remove(pool)
    system.ask(system.spawn(), "echo", 0)
    return time.perf_counter() - started, lost


async def awaited(system):
    """The system restarts the actor."""
    if not hasattr(system, "patient"):
        system.patient = (await system.start(1))[0]
    pid = await system.ask(system.patient, "pid")
    crash = asyncio.ensure_future(system.ask(system.patient, "crash"))
    asks = [asyncio.ensure_future(system.ask(system.patient, "echo", number)) for number in range(ASKS)]
    started = time.perf_counter()
    first = []
    for ask in asks:
        ask.add_done_callback(lambda ask: ask.exception() or first or first.append(time.perf_counter() - started))
    results = await asyncio.gather(*asks, return_exceptions=True)
    while not first:
        if time.perf_counter() > started + 60:
            raise AssertionError("it does not answer any more")
        try:
            await system.ask(system.patient, "echo", 0)
        except Exception:
            continue
        first.append(time.perf_counter() - started)
    await asyncio.gather(crash, return_exceptions=True)
    if await system.ask(system.patient, "pid") == pid:
        raise AssertionError("it did not crash")
    return first[0], sum(isinstance(result, BaseException) for result in results)


PLAYS = {"mp.Pipe": pipe, "ProcessPool": executor, "Ray": awaited, "histrio": awaited}
