"""Actors for the tests of histrio.testing."""

from __future__ import annotations

import asyncio

import histrio


class Counter(histrio.Actor):
    def __init__(self, start: int = 0) -> None:
        self.value = start

    @histrio.method
    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    @histrio.method
    def fail(self, text: str) -> None:
        raise ValueError(text)

    @histrio.method
    def incarnation(self) -> int:
        return self.ctx.incarnation

    @histrio.method
    def stop_normally(self) -> None:
        self.ctx.stop()


@histrio.actor(on_error="restart", supervise=histrio.OneForOne(restarts=5, period="10s", backoff=("300ms", "500ms")))
class Patient(Counter):
    pass


class Sleeper(histrio.Actor):
    def __init__(self) -> None:
        self.ticks = 0
        self.log: list[str] = []

    @histrio.every(seconds=30)
    async def tick(self) -> None:
        self.ticks += 1

    @histrio.method
    async def sleep_and_look(self, seconds: float) -> list[float | None]:
        """What is left of the time before and after."""
        before = self.ctx.remaining()
        await asyncio.sleep(seconds)
        return [before, self.ctx.remaining()]

    @histrio.method
    async def count_ticks(self) -> int:
        return self.ticks

    @histrio.method
    async def sleep(self, seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.log.append("woken")
            raise
        return f"slept {seconds:g} s"

    @histrio.method
    async def so_far(self) -> list[str]:
        return self.log

    @histrio.method(concurrency=4)
    async def interleave(self, name: str) -> list[str]:
        self.log.append(f"{name} begins")
        await asyncio.sleep(1)
        self.log.append(f"{name} ends")
        return self.log


class Restless(histrio.Actor):
    """Has a task of its own, which tells what lives in its process how it fares."""

    told: dict[str, list[int]] = {"beats": [], "ends": [], "cleaned": []}

    def __init__(self, number: int = 0) -> None:
        self.number = number or self.ctx.incarnation

    async def on_start(self) -> None:
        self.task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        number = self.number
        try:
            while True:
                await asyncio.sleep(0.001)
                self.told["beats"].append(number)
        except asyncio.CancelledError:
            self.told["ends"].append(number)
            await asyncio.create_task(self._clean(number))
            raise

    async def _clean(self, number: int) -> None:
        await asyncio.sleep(0)
        self.told["cleaned"].append(number)

    @histrio.method
    async def fail(self) -> None:
        raise ValueError("enough")

    @histrio.method
    async def listen(self, seconds: float) -> dict[str, list[int]]:
        """What was told by all in that time, and which tasks have ended."""
        self.told["beats"].clear()
        await asyncio.sleep(seconds)
        return {name: sorted(set(numbers)) for name, numbers in self.told.items()}


class Clocks(histrio.Actor):
    """Timers that are messages as well."""

    def __init__(self) -> None:
        self.ticks = 0
        self.tocks = 0

    @histrio.every(seconds=1)
    @histrio.method
    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    @histrio.method
    @histrio.every(seconds=1)
    def tock(self) -> int:
        self.tocks += 1
        return self.tocks


class Impatient(histrio.Actor):
    """Fails while it waits."""

    @histrio.method(concurrency=2)
    async def wait(self, sleeper: histrio.ActorRef[Sleeper]) -> str:
        return await sleeper.sleep(3600)

    @histrio.method(concurrency=2)
    async def fail(self) -> None:
        await asyncio.sleep(1)
        raise ValueError("impatient")


class Clerk(histrio.Actor):
    """Asks a counter, in the middle of a plain method."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    @histrio.method
    def deposit(self, amount: int) -> int:
        return self.counter.add(amount).result()


class Teller(histrio.Actor):
    """The same in coroutines."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    @histrio.method
    async def deposit_later(self, amount: int) -> int:
        return await self.counter.add(amount)

    @histrio.method
    async def ask_me(self, other: Teller) -> int:
        return await other.ask_back(self.ref)

    @histrio.method
    async def ask_back(self, other: Teller) -> int:
        return await other.deposit_later(1)


class Log(histrio.Actor):
    def __init__(self) -> None:
        self.lines: list[str] = []

    @histrio.method
    def write(self, line: str) -> None:
        self.lines.append(line)

    @histrio.method
    def read(self) -> list[str]:
        return self.lines


class Writer(histrio.Actor):
    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self.log = log

    @histrio.method
    def write(self, number: int) -> None:
        self.log.write.tell(f"{self.name}{number}")


@histrio.supervisor(strategy="one_for_one", restarts=2, period="10s")
class OneForOne(histrio.Actor):
    a = histrio.child(Counter)
    b = histrio.child(Counter)
    c = histrio.child(Counter)


@histrio.supervisor(strategy="one_for_all", restarts=2, period="10s")
class OneForAll(histrio.Actor):
    a = histrio.child(Counter)
    b = histrio.child(Counter)
    c = histrio.child(Counter)


@histrio.supervisor(strategy="rest_for_one", restarts=2, period="10s")
class RestForOne(histrio.Actor):
    a = histrio.child(Counter)
    b = histrio.child(Counter)
    c = histrio.child(Counter)


@histrio.supervisor(strategy="one_for_one", restarts=2, period="10s")
class Fragile(histrio.Actor):
    d = histrio.child(Counter)
    e = histrio.child(Counter)


@histrio.supervisor(strategy="rest_for_one", restarts=5, period="10s", backoff=("300ms", "500ms"))
class PatientRest(histrio.Actor):
    a = histrio.child(Counter)
    b = histrio.child(Counter)
    c = histrio.child(Counter)


@histrio.supervisor(strategy="one_for_one")
class TwoOfAName(histrio.Actor):
    first = histrio.child(OneForOne)
    second = histrio.child(OneForAll)


@histrio.supervisor(strategy="one_for_one", restarts=5, period="10s")
class Deep(histrio.Actor):
    inner = histrio.child(OneForOne, restart="permanent")
    other = histrio.child(Counter)
    fragile = histrio.child(Fragile)
