"""Time that passes when it is told to."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextvars import Context
from typing import Any, Callable, TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")


class VirtualClock:
    """Seconds since the system began. auto: when all actors wait for time to pass, and the test for an actor, it passes at once."""

    def __init__(self, *, auto: bool = True) -> None:
        self.now = 0.0
        self.auto = auto
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        timer = Timer(action)
        heapq.heappush(self._timers, (self.now + max(0.0, seconds), next(self._order), timer))
        return timer

    def next_due(self) -> float | None:
        while self._timers and self._timers[0][2].action is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run_due(self) -> bool:
        """Runs one timer whose time has come."""
        due = self.next_due()
        if due is None or due > self.now:
            return False
        _, _, timer = heapq.heappop(self._timers)
        action, timer.action = timer.action, None
        assert action is not None
        action()
        return True


class Timer:
    """Cancelled by taking its action away."""

    def __init__(self, action: Callable[[], None] | None) -> None:
        self.action = action

    def cancel(self) -> None:
        self.action = None


class StepLoop(asyncio.SelectorEventLoop):
    """The event loop of actors with async methods: it runs only in step(), in whatever thread, and its time is the clock's."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.is_stepping = False

    def time(self) -> float:
        return self._clock.now

    def call_at(self, when: float, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts],
                context: Context | None = None) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._clock.after(when - self._clock.now, lambda: None)  # so that the clock stops there
        return handle

    def has_work(self) -> bool:
        loop: Any = self
        scheduled = loop._scheduled
        return bool(loop._ready) or any(not one.cancelled() and one.when() <= self._clock.now for one in scheduled)

    def step(self) -> None:
        """Runs what is ready, also below another running loop: this one never waits."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        self.is_stepping = True
        try:
            self.call_soon(self.stop)
            self.run_forever()
        finally:
            self.is_stepping = False
            asyncio._set_running_loop(outer)
