"""A thread that writes what was gathered when nobody else does so soon.

Frames are gathered, and written when the handlers that can run have run: that makes small messages cheap. But a handler may go on for long, and
threads that are not ours may log.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

TICK = 0.002  # seconds; looks are cheap, but take the GIL from the handlers
IDLE_TICKS = 10  # in which nobody wanted anything: then it sleeps until somebody does


class Flusher:
    """Starts with the first use."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self.wanted = False  # it looks, and will do so once more
        self._is_awake = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """What is gathered now is written within some milliseconds. Any thread."""
        self.wanted = True
        if not self._is_awake:
            self._is_awake = True
            if self._thread is None:
                self._start()
            self._wakes.put(None)

    def forget(self) -> None:
        """In a forked child, which has nothing to write: soon() does nothing from now on."""
        self.wanted = self._is_awake = True

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="histrio-flush", daemon=True)
                self._thread.start()

    def _main(self) -> None:
        while True:
            self._wakes.get()
            idle = 0
            while idle < IDLE_TICKS:
                time.sleep(TICK)
                idle += 1
                if self.wanted:
                    self.wanted, idle = False, 0
                    self._flush()
            self._is_awake = False
            if self.wanted:  # since the last look, by who thought that we are awake
                self.soon()
