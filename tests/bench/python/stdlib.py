"""Systems of the standard library."""

import asyncio
import multiprocessing
import os
import queue
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor

from callers import Awaited, Blocking
from work import Work


class Threads(Blocking):
    """An actor by hand: a thread and a queue each."""

    name = "threads"
    light_count = 1000

    def start(self, count):
        self.queues = []
        return [self.spawn() for _ in range(count)]

    def spawn(self):
        mailbox = queue.SimpleQueue()
        self.queues.append(mailbox)
        threading.Thread(target=self.serve, args=[mailbox, Work()], daemon=True).start()
        return mailbox

    @staticmethod
    def serve(mailbox, work):
        while message := mailbox.get():
            future, method, arguments = message
            try:
                future.set_result(getattr(work, method)(*arguments))
            except Exception as error:
                future.set_exception(error)

    def send(self, actor, method, *arguments):
        future = Future()
        actor.put((future, method, arguments))
        return future

    def result(self, future):
        return future.result()

    def stop(self):
        for mailbox in self.queues:
            mailbox.put(None)


class Asyncio(Awaited):
    """A task and a queue each, in the caller's loop. What computes lets others in after each millisecond or so."""

    name = "asyncio"
    light_count = 10_000

    async def start(self, count):
        self.tasks = []
        return [await self.spawn() for _ in range(count)]

    async def spawn(self):
        mailbox = asyncio.Queue()
        self.tasks.append(asyncio.ensure_future(self.serve(mailbox, Work())))
        return mailbox

    async def serve(self, mailbox, work):
        while True:
            future, method, arguments = await mailbox.get()
            if method == "busy":
                future.set_result(await self.busy(work, *arguments))
            elif not future.done():
                future.set_result(getattr(work, method)(*arguments))

    async def busy(self, work, seconds):
        units, deadline = 0, time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            units += work.busy(0.001)
            await asyncio.sleep(0)
        return units

    async def ask(self, actor, method, *arguments):
        future = self.loop.create_future()
        actor.put_nowait((future, method, arguments))
        return await future

    async def stop(self):
        for task in self.tasks:
            task.cancel()


class Executor(Blocking):
    """ProcessPoolExecutor with one process an "actor"; it has no state to speak of."""

    name = "ProcessPool"

    def start(self, count):
        self.pools = []
        return [self.spawn() for _ in range(count)]

    def spawn(self):
        # Not by fork: the pool that replaces a broken one would be forked from a process with threads, and can hang.
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("forkserver"), initializer=begin)
        self.pools.append(pool)
        return pool

    def send(self, actor, method, *arguments):
        return actor.submit(handle, method, arguments)

    def result(self, future):
        return future.result()

    def stop(self):
        for pool in self.pools:
            pool.shutdown()


def begin():
    global _work
    _work = Work()


def handle(method, arguments):
    return getattr(_work, method)(*arguments)


class Pipe(Blocking):
    """multiprocessing.Pipe by hand: a process each, requests answered in order. What a careful programmer writes in an hour."""

    name = "mp.Pipe"

    def start(self, count):
        self.actors = []
        return [self.spawn() for _ in range(count)]

    def spawn(self):
        actor = PipeActor()
        self.actors.append(actor)
        return actor

    def ask(self, actor, method, *arguments):
        connection = actor.connection
        connection.send((method, arguments))
        return connection.recv()

    def send(self, actor, method, *arguments):
        actor.connection.send((method, arguments))
        return actor

    def result(self, actor):
        return actor.connection.recv()

    def in_flight(self, actors, method, arguments, count, window):
        """In windows, without a wake-up for each message; 100, because sockets that are full both ways would wait for each other."""
        started = time.perf_counter()
        window = min(window, 100)
        for first in range(0, count, window):
            tickets = [self.send(actors[number % len(actors)], method, *arguments)
                       for number in range(first, min(first + window, count))]
            for actor in tickets:
                actor.connection.recv()
        return time.perf_counter() - started

    def share(self, actors, method, items):
        """A thread feeds each process, one item at a time, so that no pipe is full in both directions."""
        results = [None] * len(items)

        def feed(first):
            for number in range(first, len(items), len(actors)):
                results[number] = self.ask(actors[first], method, *items[number])

        threads = [threading.Thread(target=feed, args=[first]) for first in range(len(actors))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def stop(self):
        for actor in self.actors:
            actor.process.kill()  # later ones hold copies of the earlier ones' pipes, so that a close would not end them
            actor.process.join()


class PipeActor:
    def __init__(self):
        context = multiprocessing.get_context("fork")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve_pipe, args=[other, self.connection], daemon=True)
        self.process.start()
        other.close()


def serve_pipe(connection, other):
    other.close()
    work = Work()
    while True:
        try:
            method, arguments = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        connection.send(getattr(work, method)(*arguments))


SYSTEMS = {kind.name: kind for kind in (Threads, Asyncio, Executor, Pipe)}
