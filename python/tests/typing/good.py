"""Programs that both type checkers must accept, with the types that they must find."""

from datetime import timedelta
from typing import Any, AsyncIterator, Iterator, assert_type

import histrio
from histrio import ActorRef, Call, Stream


@histrio.actor(isolation="process", mailbox=1000, overflow="fail",
               supervise=histrio.OneForOne(restarts=5, period=timedelta(minutes=1), backoff=(0.05, "5s")))
class Counter(histrio.Actor):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    @histrio.method
    def add(self, k: int, twice: bool = False) -> int:
        self.n += k
        return self.n

    @histrio.method(concurrency=16, timeout=2.0)
    async def enrich(self, url: str) -> dict[str, str]:
        total = await self.add(1)
        assert_type(total, int)
        assert_type(await self.ref.add(1), int)
        assert_type(self.ctx.remaining(), float | None)
        return {url: str(total)}

    @histrio.method
    async def ticks(self, count: int) -> AsyncIterator[int]:
        for i in range(count):
            yield i

    @histrio.method
    def words(self) -> Iterator[str]:
        yield "a"

    @histrio.every(seconds=30)
    async def flush(self) -> None: ...

    @histrio.every(seconds=30)
    @histrio.method(timeout=1)
    async def tick(self) -> int:
        return 1

    @histrio.method(timeout=1)
    @histrio.every(seconds=30)
    def tock(self) -> int:
        return 1

    @histrio.method
    @histrio.every(seconds=30)
    async def both(self) -> int:
        return 1

    @histrio.method
    def give(self, other: "Counter") -> "Counter":
        other.add.tell(1)
        return self.ref


@histrio.actor
class Pair(histrio.Actor):
    def __init__(self, left: int, right: str) -> None: ...

    @histrio.method
    async def spread(self) -> int:
        child = await self.ctx.spawn(Counter, 1, name="left")
        other = self.ctx.lookup("../printer", Counter)
        return await child.add(1) + await other.add(2)


@histrio.supervisor(strategy="rest_for_one", restarts=3, period="5s")
class Tellers(histrio.Actor):
    counter = histrio.child(Counter, 5)
    pair = histrio.child(Pair, 1, "x", restart="transient")


class Plain:
    def __init__(self, start: int) -> None: ...

    def add(self, k: int) -> int:
        return k


async def program(sys: histrio.System) -> None:
    c = await sys.spawn(Counter, 5, name="eu")
    assert_type(c, Counter)
    assert_type(await sys.spawn(Counter), Counter)
    assert_type(await sys.spawn(Counter, start=5), Counter)
    assert_type(await sys.spawn(Pair, 1, "a"), Pair)
    assert_type(await sys.spawn(Pair, 1, "a", isolation="process", name="p"), Pair)
    assert_type(c.add(1), Call[int])
    assert_type(await c.add(1), int)
    assert_type(await c.add(1, twice=True), int)
    assert_type(c.add(1).result(timeout=1), int)
    assert_type(await c.enrich("u"), dict[str, str])
    assert_type(await c.add.opt(timeout=0.2, retries=3, idempotency_key="o-17")(1), int)
    c.add.tell(3)
    assert_type(await c.tick(), int)
    assert_type(await c.tock(), int)
    assert_type(await c.both(), int)
    assert_type(c.ticks(10), Stream[int])
    async for tick in c.ticks(10):
        assert_type(tick, int)
    for word in c.words():
        assert_type(word, str)
    assert_type(await c.give(c), Counter)
    assert_type(await histrio.gather(c.add(1), c.enrich("u")), tuple[int, dict[str, str]])
    assert_type(await histrio.gather(*(c.add(i) for i in range(5))), list[int])
    tellers = await sys.spawn(Tellers, name="tellers")
    assert_type(await tellers.counter.add(1), int)
    plain = await sys.spawn(Plain, 5)
    assert_type(plain, ActorRef)
    value: Any = await plain.add(1)
    assert_type(sys.lookup("ledger", Counter), Counter)
    await sys.lookup("ledger").deposit(amount=value)
    sys.exit(c)
    pool = await sys.pool(Counter, 1, size=4, route="least-loaded")
    assert_type(pool, histrio.Pool[Counter])
    assert_type(await pool.any.enrich("u"), dict[str, str])
    async for result in pool.map(Counter.enrich, ["u"], in_flight=64, ordered=False):
        assert_type(result, dict[str, str])
    async with sys.watch(c) as events:
        async for event in events:
            assert_type(event, histrio.Event)
            if isinstance(event, histrio.Restarted):
                assert_type(event.incarnation, int)
                assert_type(event.traceback, str)
                print(f"{event.actor} runs again after {event.kind}: {event.reason}")
            elif isinstance(event, histrio.Terminated):
                assert_type(event.reason, str)
                assert event.kind != "normal"
