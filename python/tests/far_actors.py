"""Actors for the tests of two nodes."""

import asyncio
import os

import numpy

import histrio
from actors import Counter
from arrays import Arrays


class Patient(histrio.Actor):
    """Has handlers that end when nobody waits for them any more."""

    def __init__(self):
        self.seen = []

    @histrio.method(concurrency=8)
    async def wait(self, what):
        self.seen.append(what)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.seen.append(f"{what} is cancelled")
            raise

    @histrio.method(concurrency=8)
    async def what(self):
        return self.seen


class Doomed(histrio.Actor):
    """Asks, and does not live to see the answer."""

    @histrio.method(concurrency=2)
    async def ask(self, what):
        return await self.ctx.lookup("patient", Patient).wait(what)

    @histrio.method(concurrency=2)
    async def fail(self):
        raise ValueError("on purpose")

    @histrio.method(concurrency=2)
    async def die(self):
        os._exit(3)


class Near(histrio.Actor):
    """Asks those on the other node."""

    @histrio.method
    def there_and_back(self, size):
        """What came of an array of so many bytes: its length, its ends, and whether it can be written into."""
        values = numpy.arange(size // 8, dtype=numpy.float64)
        back = self.ctx.lookup("arrays", Arrays).add_one(values).result()
        return [8 * len(back), back[0], back[-1], back.flags.writeable, values[0]]

    @histrio.method
    def keep_there(self, size):
        self.ctx.lookup("arrays", Arrays).keep.tell(numpy.full(size, 7, numpy.uint8))
        back = self.ctx.lookup("arrays", Arrays).kept().result()
        return [len(back), int(back[0]), int(back[-1])]

    @histrio.method
    def pickle_there(self, size):
        return self.ctx.lookup("arrays", Arrays).same(b"x" * size).result() == b"x" * size

    @histrio.method
    def count(self, times):
        add = self.ctx.lookup("counter", Counter).add
        return sum(add(1).result() > 0 for _ in range(times))


class Early(histrio.Actor):
    """Does not wait for answers."""

    async def _until(self, what, actor="patient"):
        """Waits until an actor has seen that; its list."""
        patient = self.ctx.lookup(actor, Patient)
        while what not in (seen := await patient.what()):
            await asyncio.sleep(0.01)
        return seen

    @histrio.method
    async def until(self, actor, what):
        return await self._until(what, actor)

    @histrio.method
    async def cancel(self):
        call = asyncio.ensure_future(self.ctx.lookup("patient", Patient).wait("a call"))
        await self._until("a call")
        call.cancel()
        return await self._until("a call is cancelled")

    @histrio.method
    async def time_out(self):
        patient, timed_out = self.ctx.lookup("patient", Patient), False
        while "a brief one" not in await patient.what():  # on a busy machine its time can be over before it begins
            try:
                await patient.wait.opt(timeout=2)("a brief one")
            except histrio.AskTimeout:
                timed_out = True
        assert timed_out
        return await self._until("a brief one is cancelled")

    @histrio.method
    async def leave(self, how):
        """The asker ends, alone or with its process."""
        doomed = await self.ctx.spawn(Doomed, isolation="process")
        doomed.ask.tell(how)
        await self._until(how)
        getattr(doomed, how).tell()
        return await self._until(f"{how} is cancelled")
