"""Actors for the tests of the worker."""

import asyncio
import contextvars
import importlib
import logging
import os
import sys
import threading
import time

import histrio


class NoAmount(Exception):
    """Does not survive pickling by itself: its constructor takes two arguments."""

    def __init__(self, who, amount):
        super().__init__(f"{who} has no {amount}")
        self.amount = amount


class NotEnough(Exception):
    """Nor does this: what its constructor takes is not what it gives to its base."""

    def __init__(self, amount):
        super().__init__(f"only {amount} left")


class Elsewhere(OSError):
    """Cannot be made without its constructor: an OSError's text is not in its arguments alone."""

    def __init__(self, who, path):
        super().__init__(2, f"not with {who}", path)


class Enough(StopIteration):
    pass


class Unpicklable(Exception):
    def __reduce__(self):
        sys.exit("no pickle")


class Counter(histrio.Actor):
    def __init__(self, start=0):
        self.n = start
        self.stopped = None

    @histrio.method
    def add(self, k):
        self.n += k
        return self.n

    @histrio.method
    def fail(self, text="no amount"):
        text = text.replace("?", "\udcff")
        raise ValueError(text)

    @histrio.method
    def refuse(self):
        raise histrio.BadArgument("k: above 0")

    @histrio.method
    def raise_(self, expression):
        raise eval(expression)

    @histrio.method
    def fail_badly(self):
        raise Unpicklable

    @histrio.method
    def bad_result(self):
        return lambda: 1

    @histrio.method
    def big(self, size):
        return b"x" * size

    @histrio.method
    def where(self):
        return (self.ctx.path, self.ctx.unit, self.ctx.epoch, self.ctx.incarnation, self.ctx.system, self.ctx.node, self.ctx.remaining())

    @histrio.method
    def sleep(self, seconds):
        time.sleep(seconds)
        return self.n

    @histrio.method
    def wait_for(self, path):
        """Until there is such a file."""
        while not os.path.exists(path):
            time.sleep(0.005)
        return self.n

    @histrio.method
    def make(self, path):
        """Such a file."""
        open(path, "x").close()

    @histrio.method
    def wrong_inside(self):
        return len(5)

    @histrio.method
    def crash(self):
        os.kill(os.getpid(), 11)

    @histrio.method
    def exit(self):
        sys.exit(3)

    @histrio.method
    def import_from(self, folder):
        """What is started in this process from now on may be in that folder."""
        sys.path.insert(0, folder)

    @histrio.method
    def fork(self):
        return os.fork()

    @histrio.method
    def fork_and_say(self):
        """The exit code of a child that prints and goes on."""
        pid = os.fork()
        if pid == 0:
            print("of a child")
            time.sleep(0.1)
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    @histrio.method
    def say(self, text):
        print(text)
        print("and", "no end", end="")
        logging.getLogger("bank").warning("logged %s", text)

    @histrio.method
    def finish(self, reason="normal"):
        self.ctx.stop(reason)
        return "bye"

    @histrio.method
    def me(self):
        return self.ref

    def on_stop(self, why):
        print("stopping", why)


class Caller(histrio.Actor):
    """Asks in plain code."""

    @histrio.method
    def ask(self, other, k, timeout=None):
        return other.add(k).result(timeout)

    @histrio.method
    def add(self, k):
        return k + 1

    @histrio.method
    def ask_named(self, name, **kwargs):
        return self.ctx.lookup(name).deposit(**kwargs).result()

    @histrio.method
    def tell(self, other, k):
        other.add.tell(k)

    @histrio.method
    def unpicklable(self, other):
        other.add(lambda: 1)

    @histrio.method
    def fire(self, other, k):
        self.kept = other.add(k)
        return "fired"

    @histrio.method
    def spawn(self, start):
        child = self.ctx.spawn(Counter, start, name="child", isolation="process").result()
        return child


@histrio.actor(snapshot_every=0)
class Lingering(histrio.Actor):
    """Sends, and goes on until there is a file of that path."""

    def snapshot(self):
        return 5

    def restore(self, state):
        pass

    @histrio.method
    async def save(self, path):
        self.ctx.save()
        await self._linger(path)

    @histrio.method
    async def say(self, path):
        print("async")
        await self._linger(path)

    async def _linger(self, path):
        while not os.path.exists(path):
            await asyncio.sleep(0.005)


class PlainLingering(histrio.Actor):
    def __init__(self):
        self.thread = None

    def _linger(self, path):
        while not os.path.exists(path):
            time.sleep(0.005)

    @histrio.method
    def tell(self, other, path):
        other.add.tell(1)
        self._linger(path)

    @histrio.method
    def say(self, path):
        print("plain")
        self._linger(path)

    @histrio.method
    def say_later(self, path):
        """When nobody does anything any more."""
        def say():
            self._linger(path)
            print("a thread")

        self.thread = threading.Thread(target=say)
        self.thread.start()


class Keeper(histrio.Actor):
    """Keeps the context of a handler for other actors of this process."""

    kept = None

    @histrio.method
    def keep(self):
        Keeper.kept = contextvars.copy_context()

    @histrio.method
    def paths(self):
        """Of this message and of the one that was kept."""
        return histrio.current().path, Keeper.kept.run(lambda: histrio.current().path)


class Slow(histrio.Actor):
    """Async handlers."""

    def __init__(self):
        self.events = []
        self.gate = asyncio.Event()
        self.running = 0
        self.most = 0

    async def _count(self):
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        self.running -= 1
        return self.most

    @histrio.method(concurrency=4)
    async def together(self):
        return await self._count()

    @histrio.method(concurrency=4)
    async def open(self):
        self.gate.set()

    @histrio.method
    async def alone(self, seconds=0.0):
        try:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(seconds)
            return self.most
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        finally:
            self.running -= 1

    @histrio.method
    async def seen(self):
        return self.events

    @histrio.method
    async def ask(self, other, k):
        return await other.add(k)

    @histrio.method
    async def add(self, k):
        return k + 2

    @histrio.method
    def block(self, other):
        return other.add(1).result()

    @histrio.method
    async def ticks(self, count):
        for i in range(count):
            yield i

    @histrio.method
    async def endless(self):
        try:
            i = 0
            while True:
                yield i
                i += 1
                await asyncio.sleep(0.001)
        finally:
            self.events.append("closed")

    @histrio.method
    async def live(self, count):
        """Some items at once, and then none for very long."""
        for i in range(count):
            yield i
        await asyncio.sleep(3600)

    @histrio.method
    async def broken(self):
        yield 1
        raise ValueError("after one")

    @histrio.method
    async def fail(self, text="async"):
        await asyncio.sleep(0)
        text = text.replace("?", "\udcff")
        raise ValueError(text)

    @histrio.method
    async def fail_badly(self):
        raise Unpicklable

    @histrio.method
    async def say(self, text):
        print(text)
        print("and", text, end="")

    @histrio.method
    async def finish(self, reason):
        self.ctx.stop(reason)

    @histrio.method
    async def raise_(self, expression):
        raise eval(expression)


class Words(histrio.Actor):
    @histrio.method
    def each(self, text):
        yield from text.split()


@histrio.actor(on_error="restart")
class Fragile(histrio.Actor):
    @histrio.method
    def fail(self):
        raise ValueError("fragile")


class Ticking(histrio.Actor):
    def __init__(self):
        self.ticks = 0

    @histrio.every(seconds=30)
    def tick(self):
        self.ticks += 1

    @histrio.method
    def count(self):
        return self.ticks


class NeedsArgument:
    def __init__(self, must):
        self.must = must


class Echo(histrio.Actor):
    """For values in msgpack."""

    @histrio.method
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @histrio.method
    def give(self, expression):
        return eval(expression)

    @histrio.method
    def none(self):
        pass


class Explodes:
    """Can be pickled, and not be unpickled."""

    def __reduce__(self):
        return divmod, (1, 0)


class Plain:
    """No base, no decorators."""

    def __init__(self, start=0):
        self.n = start

    def add(self, k):
        self.n += k
        return self.n

    def path(self):
        return histrio.current().path

    def same(self, value):
        return value

    def _hidden(self):
        return "hidden"


class Watching(histrio.Actor):
    def __init__(self):
        self.seen = []

    @histrio.method
    def list(self):
        return self.seen

    def on_exit(self, who, reason):
        self.seen.append((who, reason))


class LateImport(histrio.Actor):
    """Its constructor, or a handler, imports a module that cannot be imported."""

    def __init__(self, name=""):
        if name:
            importlib.import_module(name)

    @histrio.method
    def load(self, name):
        importlib.import_module(name)


class ExitsAtTheEnd(histrio.Actor):
    def on_stop(self, why):
        sys.exit(7)

    @histrio.method
    def finish(self):
        self.ctx.stop()


class ExitsAtTheEndOfAsync(ExitsAtTheEnd):
    @histrio.method
    async def wait(self):
        pass

    @histrio.method
    async def exit_in_a_task(self):
        async def leave():
            sys.exit(8)

        self.task = asyncio.create_task(leave())


class Keyed(histrio.Actor):
    """For idempotency keys where handlers run side by side."""

    def __init__(self):
        self.executed = 0
        self.gate = asyncio.Event()

    @histrio.method(concurrency=8)
    async def count(self):
        self.executed += 1
        await self.gate.wait()
        return self.executed

    @histrio.method(concurrency=8)
    async def fail(self):
        self.executed += 1
        await self.gate.wait()
        raise ValueError(f"number {self.executed}")

    @histrio.method(concurrency=8)
    async def open(self):
        self.gate.set()
        return self.executed
