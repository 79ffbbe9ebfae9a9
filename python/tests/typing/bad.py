"""Programs that both type checkers must refuse: in each line that ends with "# wrong", and nowhere else."""

import histrio


class Counter(histrio.Actor):
    def __init__(self, start: int = 0) -> None: ...

    @histrio.method
    def add(self, k: int) -> int:
        return k

    @histrio.method
    async def slow(self, k: int) -> int:
        return k


class Pair(histrio.Actor):
    def __init__(self, left: int, right: str) -> None: ...


class Plain:
    def __init__(self, start: int) -> None: ...


@histrio.actor(isolation="thread")  # wrong
class Bad(histrio.Actor): ...


@histrio.actor(mailbx=5)  # wrong
class Misspelt(histrio.Actor): ...


@histrio.supervisor(strategy="one_for_two")  # wrong
class Supervisor(histrio.Actor):
    counter = histrio.child(Counter, "five")  # wrong
    pair = histrio.child(Pair, 1, 2, restart="transient")  # wrong


async def program(sys: histrio.System, c: Counter) -> None:
    await c.add("1")  # wrong
    await c.add()  # wrong
    await c.add(1, 2)  # wrong
    await c.add(k="1")  # wrong
    await c.subtract(1)  # wrong
    await c.slow("1")  # wrong
    c.add.tell("1")  # wrong
    await c.add.opt(timeouts=1)(1)  # wrong
    await c.add.opt(timeout=1)("1")  # wrong
    text: str = await c.add(1)  # wrong
    words: str = c.slow(1).result()  # wrong
    await sys.spawn(Counter, "5")  # wrong
    await sys.spawn(Counter, "5", name="c")  # wrong
    await sys.spawn(Counter, 5, 6)  # wrong
    await sys.spawn(Counter, stop=5)  # wrong
    await sys.spawn(Pair, 1)  # wrong
    await sys.spawn(Pair, 1, 2, name="p")  # wrong
    await sys.spawn(Pair, 1, "2", isolation="thread")  # wrong
    await sys.spawn(Plain, "5")  # wrong
    pair: Pair = await sys.spawn(Counter, 5)  # wrong
    await sys.lookup("x", Counter).subtract(1)  # wrong
    pool = await sys.pool(Counter, "5", size=2)  # wrong
    numbers = await sys.pool(Counter, size=2)
    numbers.map(Counter.slow, ["a"])  # wrong
    await numbers.any.add("1")  # wrong
    del text, words, pair, pool
