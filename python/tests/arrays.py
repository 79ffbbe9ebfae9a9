"""Actors for the tests of large data."""

import os
import pickle
import time

import numpy

import histrio


class Arrays(histrio.Actor):
    def __init__(self, first=None):
        self.array = first

    @histrio.method
    def same(self, values):
        return values

    @histrio.method
    def view(self, values):
        return pickle.PickleBuffer(values)

    @histrio.method
    def add_one(self, values):
        """Changes what came, and keeps it."""
        self.array = values
        values[0] += 1
        return values

    @histrio.method
    def keep(self, values):
        self.array = values

    @histrio.method
    def kept(self):
        return self.array

    @histrio.method
    def total(self, values):
        return float(values.sum())

    @histrio.method
    def rows(self, count, size):
        for number in range(count):
            yield numpy.full(size, float(number))

    @histrio.method
    def hold(self, seconds):
        time.sleep(seconds)

    @histrio.method
    def hold_until(self, path):
        """Until there is such a file."""
        while not os.path.exists(path):
            time.sleep(0.005)

    @histrio.method
    def crash(self):
        os.kill(os.getpid(), 11)

    @histrio.method
    def pid(self):
        return os.getpid()

    @histrio.method
    def spawn_below(self, size):
        return self.ctx.spawn(Arrays, numpy.ones(size)).result()


class Relay(histrio.Actor):
    @histrio.method
    def pass_on(self, other, values):
        return other.add_one(values).result()

    @histrio.method
    def pid(self):
        return os.getpid()
