"""What the actors of every system do: one class, so that all systems do the same work and can be checked by the same results."""

import collections
import math
import os
import random
import signal
import time

WORDS = [f"word{number}" for number in range(5000)]


class Work:
    """Plain Python. Each system makes its actors of it in its own way."""

    def __init__(self):
        self.accounts = [1000] * 10

    def echo(self, value):
        return value

    def pid(self):
        return os.getpid()

    def primes(self, first, end):
        return sum(all(n % d for d in range(2, math.isqrt(n) + 1)) for n in range(max(first, 2), end))

    def mandelbrot(self, row, size):
        """Iterations of one row's points, one byte each."""
        counts = bytearray()
        for column in range(size):
            point, value, count = complex(3 * column / size - 2, 2 * row / size - 1), 0j, 0
            while count < 100 and abs(value) <= 2:
                value = value * value + point
                count += 1
            counts.append(count)
        return bytes(counts)

    def words(self, text):
        return dict(collections.Counter(text.split()))

    def queens(self, size, first):
        """Solutions with the first row's queen in column `first`."""
        def count(row, columns, left, right):
            if row == size:
                return 1
            return sum(count(row + 1, columns | 1 << c, left | 1 << row + c, right | 1 << row - c + size) for c in range(size)
                       if not (columns >> c & 1 or left >> row + c & 1 or right >> row - c + size & 1))

        return count(1, 1 << first, 1 << first, 1 << size - first)

    def pi(self, seed, points):
        chance = random.Random(seed).random
        return sum(chance() ** 2 + chance() ** 2 < 1 for _ in range(points))

    def ufunc(self, size):
        """NumPy on large arrays: its loops run without the GIL."""
        import numpy

        values = numpy.arange(size, dtype=numpy.float64)
        return float(numpy.sqrt(values * 2 + 1).sum())

    def array(self, values):
        """A large array there, and back with one element changed."""
        copy = values if values.flags.writeable else values.copy()
        copy[0] += 1
        return copy

    def busy(self, seconds):
        """Computes for that long; how many units it got done."""
        deadline = time.perf_counter() + seconds
        units = 0
        while time.perf_counter() < deadline:
            sum(range(10_000))
            units += 1
        return units

    def transfer(self, source, target, amount):
        self.accounts[source] = self._changed(self.accounts[source], -amount)
        self.accounts[target] = self._changed(self.accounts[target], amount)

    def _changed(self, balance, amount):
        return balance + amount

    def total(self):
        return sum(self.accounts)

    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)


METHODS = [name for name in vars(Work) if not name.startswith("_")]


def text(seed, words):
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def jobs(name, quick):
    """(method, list of arguments, function that makes one value to check of all results) of a CPU-bound work."""
    scale = 2 if quick else 4
    if name == "primes":
        step = 4000 * scale
        return "primes", [(first, first + step) for first in range(0, 24 * step, step)], sum
    if name == "mandelbrot":
        size = 80 * scale
        return "mandelbrot", [(row, size) for row in range(size)], lambda rows: sum(map(sum, rows))
    if name == "words":
        return "words", [(text(seed, 20_000 * scale),) for seed in range(24)], merged
    if name == "queens":
        size = 8 if quick else 9
        return "queens", [(size, first) for first in range(size)], sum
    if name == "pi":
        return "pi", [(seed, 20_000 * scale) for seed in range(24)], sum
    if name == "ufunc":
        return "ufunc", [(500_000 * scale,)] * 24, sum
    raise KeyError(name)


def merged(counters):
    total = collections.Counter()
    for counter in counters:
        total.update(counter)
    return sum(total.values()) + len(total)
