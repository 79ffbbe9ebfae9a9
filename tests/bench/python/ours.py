"""Histrio's actors: each in a process of its own, so that it is what the peers' are."""

import asyncio
import json
import os
import subprocess
import sys

import histrio
from callers import Awaited, Blocking, now
from slow_calls import fetch
from work import METHODS, Work


class Actor(Work, histrio.Actor):
    """The work, its methods made messages."""


for _name in METHODS:
    setattr(Actor, _name, histrio.method(vars(Work)[_name]))
# It is crashed on purpose, again and again.
histrio.actor(supervise=histrio.OneForOne(restarts=1000, period="10s"))(Actor)


class Fetcher(histrio.Actor):
    @histrio.method(concurrency=100)
    async def fetch(self, port: int) -> bool:
        return await fetch(port)


class Histrio(Awaited):
    name = "histrio"
    light_count = 10_000

    async def start(self, count):
        self.system = histrio.local(workers=count)
        await self.system.__aenter__()
        return [await self.spawn() for _ in range(count)]

    async def spawn(self):
        return await self.system.spawn(Actor, isolation="process")

    def spawn_light(self):
        """Plain code, as in one_by_one()."""
        return self.system.spawn(Actor).result()

    def from_c(self, quick):
        """Calls a second of an actor in C that asks one in Python, by round."""
        program = os.path.join(os.path.dirname(os.environ["HISTRIO_NODE"]), "host_bench")
        command = [program, "--python", sys.executable, "--calls", "20000" if quick else "200000"]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return [json.loads(line)["callsPerSecond"] for line in told.splitlines()]

    async def start_fetcher(self):
        self.system = histrio.local(workers=1)
        await self.system.__aenter__()
        return await self.system.spawn(Fetcher)

    async def one_by_one(self, actor, method, arguments, count):
        """`.result()` in plain code is its quickest way."""
        bound, seconds = getattr(actor, method), []
        for _ in range(count):
            started = now()
            bound(*arguments).result()
            seconds.append(now() - started)
        return seconds

    async def in_flight(self, actors, method, arguments, count, window):
        bounds = [getattr(actor, method) for actor in actors]
        started = now()
        for first in range(0, count, window):
            for call in [bounds[number % len(bounds)](*arguments) for number in range(first, min(first + window, count))]:
                call.result()
        return now() - started

    def send(self, actor, method, *arguments):
        return getattr(actor, method)(*arguments)

    def result(self, call):
        return call.result()

    async def open_loop(self, actor, value, rate, count):
        """By threads, as of what is called from plain code: the timers of an event loop are a millisecond late."""
        return await asyncio.to_thread(Blocking.open_loop, self, actor, value, rate, count)

    async def beside(self, actor, method, arguments, function, *more):
        """The message is sent before the function begins, which may keep this loop from running."""
        call = self.send(actor, method, *arguments)
        return await function(*more), await call

    async def blocking_loop(self, actor, value, rate, count):
        return Blocking.blocking_loop(self, actor, value, rate, count, lambda: actor.echo(value).result())

    async def ask(self, actor, method, *arguments):
        return await getattr(actor, method)(*arguments)

    async def stop(self):
        await self.system.__aexit__(None, None, None)


SYSTEMS = {Histrio.name: Histrio}
