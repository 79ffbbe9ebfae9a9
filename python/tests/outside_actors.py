"""Actors that clients ask, and that are clients themselves."""

import histrio
from carry_actors import Looker, Seen


class Relay(histrio.Actor):
    trace = ""

    @histrio.method
    async def look(self) -> Seen:
        return await self.ctx.lookup("looker", Looker).look()

    @histrio.method
    async def look_through(self, url: str) -> Seen:
        async with histrio.connect(url) as system:
            return await system.lookup("looker", Looker).look()

    @histrio.method
    def note(self) -> None:
        self.trace = self.ctx.traceparent

    @histrio.method
    def noted(self) -> str:
        return self.trace


class Arguments(histrio.Actor):
    """Methods of each kind of parameters."""

    @histrio.method
    def usual(self, a: int, b: int = 2, c: int = 0) -> list[int]:
        return [a, b, c]

    @histrio.method
    def only(self, a: int, b: int = 2, *, c: int = 0) -> list[int]:
        return [a, b, c]

    @histrio.method
    def more(self, a: int, c: int = 0, **others: int) -> list[object]:
        return [a, c, others]

    @histrio.method
    def first(self, a: int, /, *, c: int = 0) -> list[int]:
        return [a, c]
