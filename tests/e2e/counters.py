"""Actors of the end-to-end test of Python: their only way to a cluster is a ConfigMap."""

import ctypes

import histrio


class Counter(histrio.Actor):
    """Counts, and takes its process down when asked to."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    @histrio.method
    def add(self, amount: int) -> int:
        self.count += amount
        return self.count

    @histrio.method
    def crash(self) -> None:
        ctypes.string_at(0)


class Adder(histrio.Actor):
    """Asks another actor, perhaps on another node."""

    @histrio.method
    async def forward(self, counter: str, amount: int) -> int:
        return await self.ctx.lookup(counter, Counter).add(amount)
