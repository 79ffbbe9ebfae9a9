"""Actors that keep their state over restarts."""

import os
import signal

import histrio


class Account(histrio.Actor):
    def __init__(self) -> None:
        self.balance = 0
        self.restored = False

    def snapshot(self) -> object:
        return self.balance

    def restore(self, state: int) -> None:
        self.balance = state
        self.restored = True

    @histrio.method
    def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    @histrio.method
    def look(self) -> tuple[int, bool]:
        return self.balance, self.restored

    @histrio.method
    def fail(self) -> None:
        self.balance = -1
        raise ValueError("asked to fail")

    @histrio.method
    def crash(self) -> None:
        self.balance = -1
        os.kill(os.getpid(), signal.SIGSEGV)


@histrio.actor(snapshot_every=3)
class Seldom(Account):
    """Kept after each third message."""


@histrio.actor(snapshot_every=0)
class OnDemand(Account):
    @histrio.method
    def save(self) -> None:
        self.ctx.save()


class Async(Account):
    @histrio.method
    async def deposit_later(self, amount: int) -> int:
        self.balance += amount
        return self.balance


class Stubborn(Account):
    """Its state cannot be pickled, or is too large."""

    @histrio.method
    def become(self, size: int) -> None:
        self.balance = (lambda: 1) if size == 0 else b"x" * size


class Confused(Account):
    def restore(self, state: int) -> None:
        raise ValueError("what is this?")


class OneHook(histrio.Actor):
    def snapshot(self) -> object:
        return 1
