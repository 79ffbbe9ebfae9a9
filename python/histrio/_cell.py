"""An actor in this process: its object, and the deliveries that it has begun or that wait for it here."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, Callable

from . import _frames as frames
from ._behavior import Behavior
from ._context import Context
from ._method import Message
from ._options import Address
from ._runtime import Execution

if TYPE_CHECKING:
    from ._frames import Frame

KEYS_MAX = 1024


class Delivery:
    """Something the node wants an actor to do, to be ended with exactly one frame."""

    __slots__ = ("kind", "number", "method", "payload", "deadline", "origin", "id", "message", "args", "kwargs", "pickled",
                 "execution", "entry", "task", "cancelled", "key", "stream", "carried")

    def __init__(self, frame: Frame) -> None:
        self.kind = frame.kind
        self.number = frame.number
        self.method = frame.method
        self.payload = frame.payload
        self.deadline = time.monotonic() + frame.timeout_ms / 1000 if frame.timeout_ms else None
        self.origin = (frame.name, frame.node, frame.id) if frame.name or frame.node or frame.id else None
        self.id = frame.id
        self.message: Message | None = None
        self.args: Any = ()
        self.kwargs: Any = {}
        self.pickled = False
        self.execution: Execution | None = None
        self.entry = 0
        self.task: Any = None
        self.cancelled = False
        self.key: str | None = None
        self.carried: dict[str, Any] | None = None  # context variables
        self.stream: dict[str, Any] | None = None

    @property
    def concurrency(self) -> int:
        return self.message.concurrency if self.message is not None else 1

    @property
    def interleaves(self) -> bool:
        """An async generator lets other messages run wherever it waits."""
        return self.message is not None and self.message.is_stream and self.message.is_async

    @property
    def is_ask(self) -> bool:
        return self.kind == frames.ASK


class Cell:
    """Guarded by the worker's lock: active, pending, ended. The rest belongs to whoever runs one of its deliveries.

    Deliveries begin in the order in which they came, and one at a time unless all that are active allow more. There may be many thousands of
    cells, so they are made of what is small when it is empty.
    """

    __slots__ = ("runtime", "slot", "path", "own", "label", "behavior", "context", "snapshot", "unsaved", "object", "active", "pending",
                 "ended", "stopping", "on_loop", "gate", "answers", "streams")

    def __init__(self, runtime: Any, slot: int, path: str, own: Address) -> None:
        self.runtime = runtime
        self.slot = slot
        self.path = path
        self.own = own
        self.label = path or str(own)
        self.behavior: Behavior | None = None
        self.context: Context | None = None
        self.snapshot: bytes | None = None  # of an earlier incarnation, until this one has started
        self.unsaved = 0  # messages since the last one
        self.object: Any = None
        self.active: list[Delivery] = []
        self.pending: list[Delivery] = []
        self.ended = False
        self.stopping: str | None = None
        self.on_loop = False
        self.gate: Any = None  # of the compiled loop, which runs plain handlers by itself
        self.answers: dict[str, bytes] = {}
        self.streams: dict[int, Any] = {}

    def may_begin(self, delivery: Delivery) -> bool:
        """Whether the delivery may run beside those that are active."""
        others = [one for one in self.active if not one.interleaves]
        if not others or delivery.interleaves:
            return True
        return len(others) < delivery.concurrency and all(one.concurrency > 1 for one in others)

    def take(self, delivery: Delivery) -> bool:
        """A delivery came: True when it is to begin now."""
        if self.ended:
            return False
        gate = self.gate
        if gate is not None:
            gate.closed = True
            if gate.busy:
                gate.attention = True
                self.pending.append(delivery)
                return False
        if self.pending or not self.may_begin(delivery):
            self.pending.append(delivery)
            return False
        self.active.append(delivery)
        return True

    def next(self) -> Delivery | None:
        """The delivery that is to begin now, if there is one."""
        if self.ended or not self.pending or not self.may_begin(self.pending[0]):
            if self.gate is not None and not self.active and not self.pending:
                self.gate.closed = False
            return None
        delivery = self.pending.pop(0)
        self.active.append(delivery)
        return delivery

    def remember(self, key: str, answer: bytes) -> None:
        """The answer to an idempotency key, for when the call is made again."""
        self.answers[key] = answer
        if len(self.answers) > KEYS_MAX:
            del self.answers[next(iter(self.answers))]  # the oldest


def hook_call(function: Callable[..., Any], *args: Any) -> Any:
    """Calls a hook with as many of the arguments as it takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return function(*args)
    count = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    return function(*args[:count])
