"""The callers: the same measuring loops for every system, for those that are called with futures (Blocking) and those that are
awaited (Awaited). All give raw samples in seconds."""

import asyncio
import collections
import queue
import threading
import time

now = time.perf_counter


class Blocking:
    """A system called from plain code. A subclass has start(count) -> actors, send(actor, method, *arguments) -> ticket,
    result(ticket), and stop(); `ask` is both, where there is nothing quicker."""

    has_windows = True  # whether many calls can be on their way
    light_count = 0  # actors to spawn in one process, where that is possible

    def ask(self, actor, method, *arguments):
        return self.result(self.send(actor, method, *arguments))

    def run(self, function, *arguments):
        return function(*arguments)

    def one_by_one(self, actor, method, arguments, count):
        seconds = []
        for _ in range(count):
            started = now()
            self.ask(actor, method, *arguments)
            seconds.append(now() - started)
        return seconds

    def in_flight(self, actors, method, arguments, count, window):
        """Seconds for `count` calls, of which up to `window` are on their way."""
        started = now()
        tickets = collections.deque()
        for number in range(count):
            if len(tickets) >= window:
                self.result(tickets.popleft())
            tickets.append(self.send(actors[number % len(actors)], method, *arguments))
        while tickets:
            self.result(tickets.popleft())
        return now() - started

    def share(self, actors, method, items):
        """All items, spread over the actors; results in order."""
        tickets = [self.send(actors[number % len(actors)], method, *item) for number, item in enumerate(items)]
        return [self.result(ticket) for ticket in tickets]

    def open_loop(self, actor, value, rate, count):
        """Latencies from the scheduled time; a second thread takes the answers, so that none delays the next question."""
        sent = queue.SimpleQueue()
        seconds = []

        def receive():
            for _ in range(count):
                due, ticket = sent.get()
                self.result(ticket)
                seconds.append(now() - due)

        receiver = threading.Thread(target=receive)
        receiver.start()
        started = now()
        for number in range(count):
            due = started + number / rate
            time.sleep(max(0, due - now()))
            sent.put((due, self.send(actor, "echo", value)))
        receiver.join()
        return seconds

    def blocking_loop(self, actor, value, rate, count, ask=None):
        """The same by one caller that waits for each answer; what is not asked within the time is not answered."""
        ask = ask or (lambda: self.ask(actor, "echo", value))
        seconds = []
        started = now()
        for number in range(count):
            due = started + number / rate
            if now() > started + count / rate:
                break
            time.sleep(max(0, due - now()))
            ask()
            seconds.append(now() - due)
        return seconds

    def beside(self, actor, method, arguments, function, *more):
        """(what function() gives, what the actor's method gives) with the method running beside it."""
        ticket = self.send(actor, method, *arguments)
        return function(*more), self.result(ticket)


class Awaited:
    """A system called from a coroutine. A subclass has start, ask and stop as coroutines."""

    has_windows = True
    light_count = 0
    batch = 1000  # how many calls one gather() has

    def run(self, function, *arguments):
        return self.loop.run_until_complete(function(*arguments))

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    async def one_by_one(self, actor, method, arguments, count):
        seconds = []
        for _ in range(count):
            started = now()
            await self.ask(actor, method, *arguments)
            seconds.append(now() - started)
        return seconds

    async def in_flight(self, actors, method, arguments, count, window):
        started = now()
        for first in range(0, count, window):
            await asyncio.gather(*(self.ask(actors[number % len(actors)], method, *arguments)
                                   for number in range(first, min(first + window, count))))
        return now() - started

    async def share(self, actors, method, items):
        return await asyncio.gather(*(self.ask(actors[number % len(actors)], method, *item) for number, item in enumerate(items)))

    async def open_loop(self, actor, value, rate, count):
        async def one(due):
            await self.ask(actor, "echo", value)
            seconds.append(now() - due)

        seconds = []
        tasks = []
        started = now()
        for number in range(count):
            due = started + number / rate
            await asyncio.sleep(max(0, due - now()))
            tasks.append(asyncio.ensure_future(one(due)))
        await asyncio.gather(*tasks)
        return seconds

    async def blocking_loop(self, actor, value, rate, count):
        seconds = []
        started = now()
        for number in range(count):
            due = started + number / rate
            if now() > started + count / rate:
                break
            await asyncio.sleep(max(0, due - now()))
            await self.ask(actor, "echo", value)
            seconds.append(now() - due)
        return seconds

    async def beside(self, actor, method, arguments, function, *more):
        task = asyncio.ensure_future(self.ask(actor, method, *arguments))
        return await function(*more), await task
