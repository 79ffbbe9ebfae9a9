"""One system, one group of works, once: prints lines of JSON, {"work", "value", "unit"} each. run.py calls it for each round."""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
import other_node  # noqa: E402
import packages  # noqa: E402
import slow_calls  # noqa: E402
from memory import family, pss_of_family  # noqa: E402
from systems import find  # noqa: E402
from work import jobs  # noqa: E402

RATE = 500


def sample(work, value, unit):
    print(json.dumps({"work": work, "value": value, "unit": unit}), flush=True)


def quantiles(work, seconds):
    ordered = sorted(seconds)
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        sample(f"{work}_{name}", ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e6, "us")
    sample(f"{work}_max", ordered[-1] * 1e6, "us")


class Bench:
    def __init__(self, system, quick):
        self.system = system
        self.quick = quick
        self.run = system.run
        self.started = False

    def start(self, count):
        self.started = True
        return self.run(self.system.start, count)

    def calls_per_second(self, actor):
        """How many are worth measuring: about a second of them."""
        self.run(self.system.one_by_one, actor, "echo", (1,), 50)
        return 50 / sum(self.run(self.system.one_by_one, actor, "echo", (1,), 50))

    # ---- groups ----

    def micro(self):
        one, two = self.start(2)
        system, part = self.system, 0.3 if self.quick else 1
        if self.run(system.ask, one, "echo", [1, "two"]) != [1, "two"]:
            raise AssertionError("echo gives something else")
        count = int(max(100, self.calls_per_second(one) * part))
        seconds = self.run(system.one_by_one, one, "echo", (1,), count)
        sample("ask", count / sum(seconds), "calls/s")
        quantiles("ask", seconds)
        seconds = self.run(system.one_by_one, one, "echo", ("x" * 1024,), count)
        sample("ask_1KiB", count / sum(seconds), "calls/s")
        seconds = self.run(system.one_by_one, one, "echo", (b"x" * 2**20,), 20)
        sample("ask_1MiB", 20 / sum(seconds), "calls/s")
        if system.has_windows:
            count = max(3000, int(count * 5 // 1000 * 1000))
            self.run(system.in_flight, [one], "echo", (1,), 1000, 1000)
            sample("in_flight", count / self.run(system.in_flight, [one], "echo", (1,), count, 1000), "calls/s")
            sample("fan_out", count / self.run(system.in_flight, [one, two], "echo", (1,), count, 1000), "calls/s")

    def spawn(self):
        actors = self.start(1)
        before = pss_of_family()
        count = 20
        seconds = []
        for _ in range(count):
            started = time.perf_counter()
            actors.append(self.run(self.ready))
            seconds.append(time.perf_counter() - started)
        sample("spawn", statistics.median(seconds) * 1000, "ms")
        sample("memory", max(0, pss_of_family() - before) / count, "KiB")

    def light(self):
        """Actors of which one process has very many."""
        count = self.system.light_count // (10 if self.quick else 1)
        if not count:
            return
        actors, seconds = self.start(1), []
        spawn = getattr(self.system, "spawn_light", lambda: self.run(self.system.spawn))
        for _ in range(count // 10):
            started = time.perf_counter()
            actors.append(spawn())
            seconds.append(time.perf_counter() - started)
            self.run(self.system.ask, actors[-1], "echo", 1)
        sample("light_spawn", statistics.median(seconds) * 1e6, "us")
        before = pss_when_quiet()
        actors += [spawn() for _ in range(count)]
        sample("light_memory", (pss_when_quiet() - before) / count, "KiB")

    def from_c(self):
        if hasattr(self.system, "from_c"):
            told = self.system.from_c(self.quick)
            if not told:
                raise AssertionError("the caller in C said nothing")
            for calls in told:
                sample("from_c", calls, "calls/s")

    def package(self):
        module = packages.MODULES.get(self.system.name)
        if module:
            sample("package_import", packages.import_ms(module), "ms")
            sample("package_size", packages.size_mib(module), "MiB")

    def ready(self):
        """A new actor that has answered."""
        if hasattr(self.system, "loop"):
            return self.ready_awaited()
        actor = self.system.spawn()
        self.system.ask(actor, "echo", 1)
        return actor

    async def ready_awaited(self):
        actor = await self.system.spawn()
        await self.system.ask(actor, "echo", 1)
        return actor

    def cpu(self):
        actors = self.start(2)
        names = ["primes", "mandelbrot", "words", "queens", "pi"]
        if has_numpy():
            names.append("ufunc")
        for actor in actors:
            self.run(self.system.ask, actor, "ufunc" if "ufunc" in names else "primes", *([1000] if "ufunc" in names else [0, 100]))
        for name in names:
            method, items, check = jobs(name, self.quick)
            taken = {}
            for workers in (1, 2):
                started = time.perf_counter()
                results = self.run(self.system.share, actors[:workers], method, items)
                taken[workers] = time.perf_counter() - started
                sample(f"check_{name}", check(results), "")
                sample(f"{name}_{workers}", taken[workers], "s")
            sample(f"speedup_{name}", taken[1] / taken[2], "x")

    def mixed(self):
        """An echo actor asked at a fixed rate, beside an actor that computes all the time."""
        echo, busy = self.start(2)
        system = self.system
        seconds = 2 if self.quick else 4
        count = int(RATE * seconds)
        self.run(system.one_by_one, echo, "echo", (1,), 200)
        self.run(system.ask, busy, "busy", 0.05)
        if system.has_windows:
            latencies, units = self.run(system.beside, busy, "busy", (seconds,), system.open_loop, echo, 1, RATE, count)
            quantiles("mixed", latencies)
            sample("mixed_units", units / seconds, "units/s")
            latencies, _ = self.run(system.beside, busy, "busy", (seconds,), system.blocking_loop, echo, 1, RATE, count)
            quantiles("mixed_blocking", latencies)
            sample("mixed_blocking_answered", 100 * len(latencies) / count, "%")

    def bank(self):
        bank = self.start(1)[0]
        count = 5000 if self.quick else 20_000
        arguments = [(number % 10, (number * 7 + 3) % 10, 1) for number in range(count)]
        self.run(self.system.share, [bank], "transfer", arguments[:100])
        started = time.perf_counter()
        self.run(self.system.share, [bank], "transfer", arguments)
        sample("transfers", count / (time.perf_counter() - started), "calls/s")
        sample("check_total", self.run(self.system.ask, bank, "total"), "")

    def io(self):
        calls = slow_calls.of(self.system)
        if calls is not None:
            sample("slow_calls", calls, "s")

    def faults(self):
        play = faults.PLAYS.get(self.system.name)
        for _ in range(5 if play else 0):
            seconds, lost = self.run(play, self.system)
            sample("recovery", seconds * 1000, "ms")
            sample("recovery_lost", lost, "asks")

    def other_node(self):
        play = other_node.PLAYS.get(self.system.name)
        if play:
            quantiles("other_node", play(self.system, 500, 1000 if self.quick else 4000))

    def arrays(self):
        if not has_numpy():
            return
        import numpy

        actor = self.start(1)[0]
        values = numpy.ones(10 * 2**20)
        for number in range(6):
            started = time.perf_counter()
            back = self.run(self.system.ask, actor, "array", values)
            seconds = time.perf_counter() - started
            if back[0] not in (2, number + 2) or len(back) != len(values):
                raise AssertionError("the array came back wrong")
            # Who keeps memory needs it twice: the caller has the last result while it waits for the next one.
            sample(("array_80MiB_first", "array_80MiB_second")[number] if number < 2 else "array_80MiB", seconds * 1000, "ms")


def pss_when_quiet():
    time.sleep(0.5)
    return pss_of_family()


def has_numpy():
    try:
        import numpy  # noqa: F401
    except ImportError:
        return False
    return True


GROUPS = ["micro", "from_c", "spawn", "light", "package", "cpu", "mixed", "bank", "io", "faults", "other_node", "arrays"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("system")
    parser.add_argument("group", choices=GROUPS)
    options = parser.parse_args()
    bench = Bench(find(options.system)(), options.quick)
    getattr(bench, options.group)()
    if bench.started:
        bench.run(bench.system.stop)
    for pid in family()[1:]:  # what a system leaves running must not count for the next one
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
