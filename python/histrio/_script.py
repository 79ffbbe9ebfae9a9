"""The runtime of a program that called histrio.local(): it speaks frames with its node as the actor `local`.

Nobody owns the port: whoever waits reads it. A thread in `.result()` reads until its own answer is there, and completes
others' calls on the way; other threads wait until it is done and one of them goes on. Event loops read when they are told that
there is something, as long as a coroutine of theirs waits.

Invariants:
1. `_reading` is held while the port is read. Who releases it wakes one thread of `_followers`, if there is one.
2. What was sent is flushed by who waits, by the loop that sent it, or by the flusher: never left.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _frames as frames
from . import _watch as watch
from ._call import Call
from ._errors import SystemClosed
from ._frames import Closed, Frame, port_of
from ._peer import Peer
from ._runtime import Execution

if TYPE_CHECKING:
    import asyncio
    import socket

SLOT = 1
BURST_NS = 50_000


class Script(Peer):
    """Any thread may use it."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        super().__init__(port_of(sock), timeout)
        self._reading = threading.Lock()
        self._followers: deque[Any] = deque()
        self._awaited: dict[asyncio.AbstractEventLoop, set[Call[Any]]] = {}  # loops that are told, and what they wait for
        self._flushing: set[asyncio.AbstractEventLoop] = set()
        self._flusher: threading.Thread | None = None
        self._flusher_wake = threading.Semaphore(0)
        self._flusher_armed = False
        self._last_sent_ns = 0
        self.watches = watch.Watches(self)
        sys.modules.setdefault("__mp_main__", sys.modules["__main__"])  # how workers call this program's module
        os.register_at_fork(after_in_child=self._forked)

    def open(self, timeout: float) -> None:
        """Says hello and waits for the answer."""
        self.hello("script")
        deadline = time.monotonic() + timeout
        try:
            while not self.system:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SystemClosed(f"the node did not answer within {timeout:g} s")
                for frame in self.port.read(left):
                    self._accept(frame)
        except Closed:
            raise SystemClosed("the node ended while it started: what it said is in its log, above") from None

    def close(self) -> None:
        """Ends the connection, and so the node."""
        self.flush_quietly()
        self.port.shutdown()
        self.over(SystemClosed("the system was closed"))
        for loop in list(self._awaited):
            self._detach(loop)
        self._flusher_wake.release()
        with self._reading:
            self.port.close()

    # ---- sending ----

    def _slot(self, execution: Execution | None) -> int:
        return SLOT

    def sent(self, is_much: bool = False) -> None:
        if is_much:
            self._flush()
            return
        loop = _running_loop()
        if loop is not None:
            if loop not in self._flushing:
                self._flushing.add(loop)
                loop.call_soon(self._flush_from, loop)
            return
        now = time.monotonic_ns()
        is_burst, self._last_sent_ns = now - self._last_sent_ns < BURST_NS, now
        if not is_burst:
            self._flush()
        elif not self._flusher_armed:
            self._arm()

    def _flush_from(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flushing.discard(loop)
        self.flush_quietly()

    def _flush(self) -> None:
        try:
            self.port.flush()
        except Closed:
            self._gone()

    def flush_quietly(self) -> None:
        try:
            self._flush()
        except SystemClosed:
            pass

    def _arm(self) -> None:
        """Many messages one after the other: they are written together, soon, by a thread of their own."""
        self._flusher_armed = True
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_forever, name="histrio-flusher", daemon=True)
            self._flusher.start()
        self._flusher_wake.release()

    def _flush_forever(self) -> None:
        while self.closed is None:
            self._flusher_wake.acquire()
            self._flusher_armed = False
            self.flush_quietly()

    # ---- waiting ----

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        self._last_sent_ns = 0  # what is sent next is no more of a burst
        if self.port.pending():
            self._flush()
        while not call.done():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if self._reading.acquire(blocking=False):
                try:
                    self._lead(call, left)
                finally:
                    self._stop_reading()
            else:
                self._follow(call, left)
        return True

    def _lead(self, call: Call[Any], left: float | None) -> None:
        """Reads once. This thread is the one that reads."""
        if call.done():
            return
        try:
            for frame in self.port.read(self.slice_of(left), self.requests):
                self._accept(frame)
        except (Closed, OSError, ValueError):
            self._gone()
        if self.port.pending():
            self._flush()

    def _follow(self, call: Call[Any], left: float | None) -> None:
        """Waits until the call is done, or nobody reads any more."""
        over = threading.Semaphore(0)
        self._followers.append(over)
        call.add_done_callback(over.release)
        if not self._reading.locked():
            over.release()  # who read has just stopped and may not have seen us
        try:
            over.acquire(timeout=left)
        finally:
            try:
                self._followers.remove(over)
            except ValueError:
                self._wake_one()  # it was meant to lead, and perhaps its call is done, or it was interrupted

    def _stop_reading(self) -> None:
        self._reading.release()
        self._wake_one()

    def _wake_one(self) -> None:
        try:
            self._followers.popleft().release()
        except IndexError:
            pass

    # ---- event loops ----

    def attach(self, loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
        if self.closed is not None:
            return
        awaited = self._awaited.get(loop)
        if awaited is None:
            for other in [one for one in self._awaited if one.is_closed()]:
                self._awaited.pop(other, None)
            awaited = self._awaited[loop] = set()
            loop.add_reader(self.port.fileno(), self._readable, loop)
        awaited.add(call)
        call.add_done_callback(partial(awaited.discard, call))

    def _readable(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.closed is not None or not self._awaited.get(loop):
            self._detach(loop)  # what comes is for threads, which a loop that wakes as well would delay
            return
        if not self._reading.acquire(blocking=False):
            return  # a thread reads, and completes our calls
        try:
            for frame in self.port.read(0, self.requests):
                self._accept(frame)
        except (Closed, OSError, ValueError):
            self._gone()
            self._detach(loop)
        finally:
            self._stop_reading()
        if self.port.pending():
            self.flush_quietly()

    def _detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the port out of a loop, from whatever thread."""
        self._awaited.pop(loop, None)
        fd = self.port.fileno()
        if fd < 0 or loop.is_closed():
            return
        if _running_loop() is loop or not loop.is_running():
            loop.remove_reader(fd)
            return
        done = threading.Event()

        def remove() -> None:
            loop.remove_reader(fd)
            done.set()

        try:
            loop.call_soon_threadsafe(remove)
        except RuntimeError:
            return
        done.wait(5.0)

    # ---- what comes ----

    def _accept(self, frame: Frame) -> None:
        kind = frame.kind
        if kind in (frames.REPLY, frames.ERROR):
            self.answered(frame)
        elif kind == frames.WELCOME:
            self.welcomed(frame)
        elif kind == frames.DOWN:
            self.port.send(frames.DONE, 0, SLOT, "", frame.number)
            self.watches.down(frame)
        elif kind == frames.ASK:
            self.port.send(frames.ERROR, 8, SLOT, "", frame.number, payload=b"this is a program, not an actor")
        elif kind in (frames.TELL, frames.EXIT, frames.TIMER, frames.STOP):
            self.port.send(frames.DONE, 0, SLOT, "", frame.number)

    def _gone(self) -> None:
        self.over(SystemClosed("the node has ended"))
        self.watches.over()

    def _forked(self) -> None:
        """In a child of this program: the connection belongs to the parent."""
        if self.closed is None:
            self.closed = SystemClosed("this process was forked from the one that opened the system")
            self.requests = {}
            self.lock = threading.Lock()
            self._reading = threading.Lock()
            self._awaited = {}
            self.port.abandon()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread; a program that never imported asyncio has none."""
    module = sys.modules.get("asyncio")
    return None if module is None else module._get_running_loop()

