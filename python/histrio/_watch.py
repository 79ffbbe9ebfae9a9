"""Watching actors: what ended, why, and what was started again."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from . import _codec as codec
from . import _frames as frames
from ._call import Call
from ._errors import SystemClosed
from ._options import Address
from ._ref import ActorRef, address_of

if TYPE_CHECKING:
    from ._script import Script


Kind = Literal["normal", "shutdown", "killed", "signal", "memory", "timeout", "exit", "process", "unreachable", "exception", "error"]

# Of reasons as the node words them (node/host/reason.c), the first that fits. "error" is whatever else an actor, or one in C, says.
_KINDS: list[tuple[re.Pattern[str], Kind]] = [
    (re.compile(r"normal$"), "normal"),
    (re.compile(r"shutdown($|:)"), "shutdown"),
    (re.compile(r"killed$"), "killed"),
    (re.compile(r"SIGKILL \(out of memory\)|memory "), "memory"),
    (re.compile(r"(SIG[A-Z0-9]+|signal \d+)( |$)"), "signal"),
    (re.compile(r"timeout( |$)"), "timeout"),
    (re.compile(r"exit code \d+"), "exit"),
    (re.compile(r"host process ended: |no host process: |connection closed|killed with "), "process"),
    (re.compile(r"(noproc|noconnection)$"), "unreachable"),
    (re.compile(r"[^\W\d][\w.]*(:| \(.*:\d+ in .*\)$)|([^\W\d]\w*\.)*[A-Z]\w*$"), "exception"),
]


@dataclass(frozen=True)
class Event:
    """Something happened to an actor."""

    actor: ActorRef


@dataclass(frozen=True)
class Terminated(Event):
    """An incarnation ended. reason: "shutdown", "SIGSEGV bank.py:41 in add"; traceback: the Python stack, "" when there is none."""

    reason: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def kind(self) -> Kind:
        return kind_of(self.reason)


@dataclass(frozen=True)
class Restarted(Event):
    """Its supervisor started another incarnation, which runs now: the `incarnation`th one, so `incarnation - 1` went before. reason,
    traceback and kind: why the one before ended, as its Terminated had it; reason is "" for who came between the two."""

    incarnation: int = 0
    reason: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def kind(self) -> Kind:
        return kind_of(self.reason)


def kind_of(reason: str) -> Kind:
    """What sort of an end a reason tells of."""
    text = reason.removeprefix("start failed: ")
    for pattern, kind in _KINDS:
        if pattern.match(text):
            return kind
    return "error"


class Watch:
    """The ends and restarts of one actor: iterate with `async for`, `for`, or ask for `next(timeout=)`; it is a context manager.

    An actor is watched over its restarts, until the supervisor that would start it again is done with it.
    """

    def __init__(self, watches: Watches, ref: Any) -> None:
        self._watches = watches
        self.ref = ref
        self._events: deque[Event] = deque()
        self._waiting: deque[Call[Event]] = deque()
        self._over = False
        self.seen = False
        watches.add(self)

    def next(self) -> Call[Event]:
        """The next event: await it, or take its `.result(timeout=)`."""
        call: Call[Event] = Call(self._watches.script)
        with self._watches.lock:
            if self._events:
                event = self._events.popleft()
            elif self._over:
                call.fail(SystemClosed("nothing is watched any more"))
                return call
            else:
                self._waiting.append(call)
                return call
        call.complete(event)
        return call

    def close(self) -> None:
        self._watches.remove(self)
        self.end()

    def end(self) -> None:
        with self._watches.lock:
            self._over = True
            waiting, self._waiting = list(self._waiting), deque()
        for call in waiting:
            call.fail(SystemClosed("nothing is watched any more"))

    def tell(self, event: Event) -> None:
        """For the reader: an event came."""
        while True:
            with self._watches.lock:
                if not self._waiting:
                    self._events.append(event)
                    return
                call = self._waiting.popleft()
            if call.complete(event):
                return

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self.next()
        except SystemClosed:
            raise StopAsyncIteration from None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        try:
            return self.next().result()
        except SystemClosed:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()


class Watches:
    """All that a program watches. `lock` guards the lists; calls are completed outside of it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: dict[int, Watch] = {}

    def add(self, watch: Watch) -> None:
        self._monitor(watch, address_of(watch.ref))

    def remove(self, watch: Watch) -> None:
        with self.lock:
            numbers = [number for number, one in self._open.items() if one is watch]
            for number in numbers:
                del self._open[number]
        for number in numbers:
            self.script.port.send(frames.DEMONITOR, 0, 1, "", number)
        if numbers:
            self.script.sent()

    def down(self, frame: frames.Frame) -> None:
        """A monitor fired: for good, or one that lasts."""
        lasts = frame.code in (frames.DOWN_ENDED, frames.DOWN_RESTARTED)
        with self.lock:
            watch = self._open.get(frame.id) if lasts else self._open.pop(frame.id, None)
        if watch is None:
            return
        if lasts:
            self._news(watch, frame)
            return
        reason, _, trace = frame.payload.decode("utf-8", "replace").partition("\n")
        is_gone = reason == "noproc"
        if not (is_gone and watch.seen):  # after an end that was told: it was not started again
            watch.tell(Terminated(watch.ref, reason, trace))
        watch.seen = True
        address = address_of(watch.ref)
        if address.path and not is_gone and reason != "noconnection":  # of a node that knows no monitors that last
            self._monitor(watch, address)
        else:
            watch.end()

    @staticmethod
    def _news(watch: Watch, frame: frames.Frame) -> None:
        told = codec.unpack(frame.payload)
        reason, trace = told.get("reason", ""), told.get("traceback", "")
        watch.seen = True
        if frame.code == frames.DOWN_ENDED:
            watch.tell(Terminated(watch.ref, reason, trace))
        else:
            watch.tell(Restarted(watch.ref, told.get("incarnation", 0), reason, trace))

    def over(self) -> None:
        with self.lock:
            watches, self._open = set(self._open.values()), {}
        for watch in watches:
            watch.end()

    def _monitor(self, watch: Watch, address: Address) -> None:
        number = next(self._numbers)
        with self.lock:
            self._open[number] = watch
        self.script.port.send(frames.MONITOR, frames.MONITOR_LASTS, 1, "", number, 0, address.path, address.node, address.id)
        self.script.sent()
