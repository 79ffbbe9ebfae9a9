"""Actors that take all the time, or all the memory."""

import os

import histrio


class Greedy(histrio.Actor):
    @histrio.method
    def loop(self) -> None:
        while True:
            pass

    @histrio.method
    def hoard(self) -> None:
        kept = []
        while True:
            kept.append(bytearray(1 << 20))

    @histrio.method
    def pid(self) -> int:
        return os.getpid()
