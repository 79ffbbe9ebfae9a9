"""Actors for the tests of calls, streams and watching."""

import asyncio
import os
import pathlib
import threading
import time
from typing import Generic, TypeVar

import histrio


class Target(histrio.Actor):
    """Its lists are what the tests ask for."""

    def __init__(self):
        self.told = []

    @histrio.method
    def note(self, text):
        self.told.append(text)

    @histrio.method
    def notes(self):
        return self.told

    @histrio.method
    def give(self, value):
        return value

    @histrio.method
    def refuse(self):
        raise ValueError("refused")

    @histrio.method
    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    @histrio.method
    def crash_once(self, path):
        """The first time, as the file tells, it takes the process along."""
        if not os.path.exists(path):
            pathlib.Path(path).touch()
            os._exit(1)
        return self.ctx.sender is not None, round(self.ctx.remaining() or 0)

    @histrio.method
    def crash(self):
        os._exit(1)

    @histrio.method
    def count(self, note_to, until=1000):
        try:
            for number in range(until):
                yield number
        finally:
            note_to.note.tell("closed")

    @histrio.method
    def slow_items(self, note_to):
        try:
            for number in range(10):
                time.sleep(0.3)
                yield number
        finally:
            note_to.note.tell("closed")


class Stopping(histrio.Actor):
    def __init__(self, other):
        self.other = other

    @histrio.method
    def leave(self):
        self.ctx.stop()

    def on_stop(self, reason):
        self.other.note.tell(f"on_stop {reason}")


class AsyncStopping(Stopping):
    @histrio.method
    async def wait(self):
        await asyncio.sleep(0)

    async def on_stop(self, reason):
        await self.other.note(f"async on_stop {reason}")


class Asking(histrio.Actor):
    """What a handler can do with calls."""

    @histrio.method
    def ask_again(self, other, path):
        return other.crash_once.opt(timeout=20, retries=5, idempotency_key=path)(path).result()

    @histrio.method
    def ask_nobody(self):
        """Cannot be made again: who knows what it did before."""
        self.asked = getattr(self, "asked", 0) + 1
        raise histrio.Unavailable("nobody is there")

    @histrio.method
    def how_often(self):
        return self.asked

    @histrio.method
    def run_loop(self, other):
        async def wait():
            return await other.give(1)

        return asyncio.run(wait())

    @histrio.method
    def from_thread(self, other):
        raised = []

        def send():
            try:
                other.note.tell("from a thread")
            except histrio.Denied as error:
                raised.append(str(error))

        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
        return raised

    @histrio.method
    def gather_itself(self):
        """A circle behind gather()."""
        return histrio.gather(self.ref.gather_itself(), self.ref.gather_itself()).result()

    @histrio.method
    def take_two_and_die(self, other, note_to):
        stream = other.count(note_to)
        next(stream), next(stream)
        os._exit(1)


class Child(histrio.Actor):
    def __init__(self, parent):
        self.got = parent.give_child().result()


class Parent(histrio.Actor):
    @histrio.method
    def give_child(self):
        return 1

    @histrio.method
    def make_child(self):
        return self.ctx.spawn(Child, self.ref).result()


class AsyncParent(histrio.Actor):
    @histrio.method
    def give_child(self):
        return 1

    @histrio.method
    async def make_child(self):
        return await self.ctx.spawn(Child, self.ref)


class AsyncAsking(histrio.Actor):
    @histrio.method
    async def ask_again(self, other, path):
        return await other.crash_once.opt(timeout=20, retries=5, idempotency_key=path)(path)

    @histrio.method
    async def gather_inline(self):
        return await histrio.gather(self.own(1), self.own(2))

    @histrio.method
    async def own(self, value):
        await asyncio.sleep(0.01)
        return value


X = TypeVar("X")


class Box(histrio.Actor, Generic[X]):
    def __init__(self, value: X) -> None:
        self.value = value

    @histrio.method
    def get(self) -> X:
        return self.value


class Watcher(histrio.Actor):
    def __init__(self):
        self.downs = []

    @histrio.method
    def begin(self, other):
        self.ctx.watch(other)

    @histrio.method
    def end(self, other):
        self.ctx.unwatch(other)

    @histrio.method
    def seen(self):
        return self.downs

    def on_down(self, ref, reason):
        self.downs.append((ref, reason))


class Blind(histrio.Actor):
    @histrio.method
    def begin(self, other):
        self.ctx.watch(other)
