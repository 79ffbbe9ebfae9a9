"""What references talk to: the runtime of this process, be it a worker, a script or a test."""

from __future__ import annotations

import contextvars
import threading
from typing import Any, Mapping, Protocol, Sequence

from ._call import Call, Stream
from ._method import Message
from ._options import Address, CallOptions


class Runtime(Protocol):
    """Sends what references are told to send. Any thread may call it."""

    def ask(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
            options: CallOptions) -> Call[Any]:
        """Sends and returns what will be answered. Raises EncodingError and BadArgument at once."""
        ...

    def tell(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
             options: CallOptions) -> None:
        """Sends and forgets."""
        ...

    def stream(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
               options: CallOptions, window: int) -> Stream[Any]:
        """Asks for many values."""
        ...

    def spawn(self, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Any]:
        """Starts an actor below the one that runs (a script: below itself); the answer is its reference."""
        ...

    def exit(self, address: Address, reason: str) -> None:
        """Sends an exit signal: "shutdown" lets it stop, "kill" ends it at once."""


class Execution:
    """A message that is being handled: what the messages that its handler sends inherit.

    deadline: of the runtime's now(), by which the asker wants the answer, or None. chain: the asks that led here, the first one
    first, each (process, number, actor, method); an ask that comes back to a waiting actor is a deadlock.
    """

    __slots__ = ("cell", "number", "deadline", "chain", "trace", "origin", "__weakref__")

    def __init__(self, cell: Any, number: int = 0, deadline: float | None = None, chain: tuple[Any, ...] = (),
                 trace: str = "", origin: tuple[str, int, int] | None = None) -> None:
        self.cell = cell
        self.number = number
        self.deadline = deadline
        self.chain = chain
        self.trace = trace
        self.origin = origin

    @property
    def sender(self) -> Address | None:
        """Who sent the message; None for clients and timers."""
        return None if self.origin is None else Address(*self.origin)

    def remaining(self) -> float | None:
        """Seconds until the deadline; never below zero."""
        return None if self.deadline is None else max(0.0, self.deadline - self.cell.runtime.now())


# The execution of the handler on this thread (plain handlers), or of the task (async ones).
executing: contextvars.ContextVar[Execution | None] = contextvars.ContextVar("histrio_executing", default=None)

_lock = threading.Lock()
_runtimes: list[Runtime] = []


def enter(runtime: Runtime) -> None:
    """The runtime that references without one use: the latest that was entered."""
    with _lock:
        _runtimes.append(runtime)


def leave(runtime: Runtime) -> None:
    with _lock:
        if runtime in _runtimes:
            _runtimes.remove(runtime)


def current_runtime() -> Runtime:
    """The runtime of this process."""
    execution = executing.get()
    if execution is not None and execution.cell is not None:
        return execution.cell.runtime  # type: ignore[no-any-return]
    if not _runtimes:
        raise RuntimeError("no actor system runs in this process: open one with histrio.local() or histrio.connect()")
    return _runtimes[-1]
