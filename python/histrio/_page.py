"""The page of docs/host.md: what the node reads when this process is gone."""

from __future__ import annotations

import mmap
import os
import threading
import time
from typing import Any

from ._frames import compiled

OVER = 1 << 63
PAGE_BYTES = 4096
FIRST = 2  # words before the table


class Page:
    """The table of deliveries that have begun and are not over. Entry 0 is the one on the stack of the thread that dispatches.

    An entry of a delivery that is over stays, marked, until its answer was written: take_over() before a flush, then clear().
    """

    def __init__(self, fd: int = -1) -> None:
        size = os.fstat(fd).st_size if fd >= 0 else PAGE_BYTES
        self._memory = mmap.mmap(fd, size) if fd >= 0 else mmap.mmap(-1, size)
        self._words = memoryview(self._memory).cast("Q")
        self._free = list(range(size // 8 - 1, FIRST, -1))
        self._over: list[int] = []
        self._lock = threading.Lock()

    def begin(self, number: int) -> int:
        """A delivery begins; its entry, or 0 when the table is full."""
        with self._lock:
            if not self._free:
                return 0
            entry = self._free.pop()
        self._words[entry] = number
        return entry

    def over(self, entry: int) -> None:
        """The delivery's answer is ready to be written."""
        self._words[entry] |= OVER
        with self._lock:
            self._over.append(entry)

    def take_over(self) -> list[int]:
        """The entries whose answers the next flush writes."""
        if not self._over:
            return []
        with self._lock:
            taken, self._over = self._over, []
        return taken

    def clear(self, entries: list[int]) -> None:
        for entry in entries:
            self._words[entry] = 0
        with self._lock:
            self._free.extend(entries)

    def on_stack(self, number: int) -> None:
        """The handler of `number` runs now, on the thread that dispatches; 0: none."""
        self._words[0] = time.monotonic_ns() if number else 0
        self._words[FIRST] = number

    def in_loop(self, running: bool) -> None:
        """A handler runs in the thread of the event loop."""
        self._words[1] = time.monotonic_ns() if running else 0

    def forget(self) -> None:
        """A forked child must not write into its parent's page."""
        self._words = memoryview(bytearray(self._words.nbytes)).cast("Q")


def page_of(fd: int) -> Any:
    """The page that goes with the port."""
    core = compiled()
    return Page(fd) if core is None else core.Page(fd)
