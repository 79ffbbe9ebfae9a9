"""An actor in this process: its object, and the deliveries that it has begun or that wait for it here."""

from __future__ import annotations

import inspect
import weakref
from typing import TYPE_CHECKING, Any, Callable

from . import _codec as codec
from . import _frames as frames
from ._behavior import Behavior
from ._context import Context
from ._method import Message
from ._options import Address
from ._runtime import Execution

if TYPE_CHECKING:
    from ._deliveries import Deliveries
    from ._frames import Frame

KEYS_MAX = 1024


class Delivery:
    """Something the node wants an actor to do, to be ended with exactly one frame."""

    __slots__ = ("kind", "number", "method", "payload", "deadline", "origin", "id", "message", "args", "kwargs", "pickled",
                 "execution", "entry", "task", "cancelled", "key", "stream", "carried", "unreadable")

    def __init__(self, frame: Frame, now: float) -> None:
        self.kind = frame.kind
        self.number = frame.number
        self.method = frame.method
        self.payload = frame.payload
        self.deadline = now + frame.timeout_ms / 1000 if frame.timeout_ms else None
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
        self.key: tuple[str, str] | None = None  # method and idempotency key
        self.carried: dict[str, Any] | None = None  # context variables
        self.stream: dict[str, Any] | None = None
        self.unreadable: Exception | None = None  # what is wrong with its arguments

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
    cells, so what most do not have is nothing at all, and what they have in common is one object.
    """

    __slots__ = ("runtime", "slot", "address", "unit", "epoch", "incarnation", "behavior", "context", "snapshot", "unsaved", "object",
                 "active", "pending", "ended", "stopping", "on_loop", "gate", "answers", "firsts", "streams", "tasks")

    def __init__(self, runtime: Deliveries, slot: int, address: Address) -> None:
        self.runtime = runtime
        self.slot = slot
        self.address = address  # its path, once that is known, else that of this incarnation
        self.unit = ""
        self.epoch = "0"
        self.incarnation = 1
        self.behavior: Behavior | None = None
        self.context: Context | None = None
        self.snapshot: bytes | None = None  # of an earlier incarnation, until this one has started
        self.unsaved = 0  # messages since the last one
        self.object: Any = None
        self.active: list[Delivery] | None = None
        self.pending: list[Delivery] | None = None
        self.ended = False
        self.stopping: str | None = None
        self.on_loop = False
        self.gate: Any = None  # of the compiled loop, which runs plain handlers by itself
        self.answers: dict[tuple[str, str], bytes] | None = None
        self.firsts: dict[tuple[str, str], tuple[Delivery, Any]] | None = None  # the first with its key, and the future of its answer
        self.streams: dict[str, Any] | None = None
        self.tasks: weakref.WeakSet[Any] | None = None  # that its handlers have made, but for the handlers' own

    @property
    def label(self) -> str:
        """For errors and logs."""
        if self.behavior is None or self.address.path:
            return str(self.address)
        return f"{self.behavior.cls.__name__} {self.address}"

    def may_begin(self, delivery: Delivery) -> bool:
        """Whether the delivery may run beside those that are active."""
        if not self.active:
            return True
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
                self._wait(delivery)
                return False
        if self.pending or not self.may_begin(delivery):
            self._wait(delivery)
            return False
        self.begin(delivery)
        return True

    def next(self) -> Delivery | None:
        """The delivery that is to begin now, if there is one."""
        if self.ended or not self.pending or not self.may_begin(self.pending[0]):
            if self.gate is not None and not self.active and not self.pending:
                self.gate.closed = False
            return None
        delivery = self.pending.pop(0)
        self.begin(delivery)
        return delivery

    def _wait(self, delivery: Delivery) -> None:
        if self.pending is None:
            self.pending = []
        self.pending.append(delivery)

    def begin(self, delivery: Delivery) -> None:
        if self.active is None:
            self.active = []
        self.active.append(delivery)

    def over(self, delivery: Delivery) -> None:
        """It is active no more, if it was."""
        if self.active and delivery in self.active:
            self.active.remove(delivery)
            self.active = self.active or None

    def withdraw(self, delivery: Delivery) -> bool:
        """It is not to begin; False: it did not wait."""
        if not self.pending or delivery not in self.pending:
            return False
        self.pending.remove(delivery)
        return True

    def stop(self, reason: str) -> None:
        """It ends after the message that it handles."""
        if self.stopping is None:
            self.stopping = reason
            if self.gate is not None:
                self.gate.attention = True

    def save(self) -> None:
        """The node keeps the actor's state for its next incarnation. Raises what is wrong with it."""
        if self.behavior is None or not self.behavior.keeps:
            raise TypeError(f"{self.label} has no snapshot() and restore()")
        self.unsaved = 0
        self.runtime.port.send(frames.SNAPSHOT, 0, self.slot, payload=codec.encode_state(self.object.snapshot(), self.label))

    def remember(self, delivery: Delivery, answer: bytes) -> None:
        """The answer to a message with an idempotency key, for when it comes again."""
        assert delivery.key is not None
        if self.answers is None:
            self.answers = {}
        self.answers[delivery.key] = answer
        if len(self.answers) > KEYS_MAX:
            del self.answers[next(iter(self.answers))]  # the oldest
        self.first_is_over(delivery, answer)

    def first_with(self, key: tuple[str, str]) -> Any:
        """The future of the answer to a message with that key which is being handled; None: there is none."""
        return self.firsts[key][1] if self.firsts and key in self.firsts else None

    def is_first(self, delivery: Delivery, over: Any) -> None:
        """The delivery is handled for all others with its key."""
        assert delivery.key is not None
        if self.firsts is None:
            self.firsts = {}
        self.firsts[delivery.key] = delivery, over

    def first_is_over(self, delivery: Delivery, outcome: bytes | BaseException | None) -> None:
        """The others get its answer or its exception; None: nobody waited for it any more, and the next of them is the first."""
        if delivery.key is not None and self.firsts and delivery.key in self.firsts and self.firsts[delivery.key][0] is delivery:
            self.firsts.pop(delivery.key)[1].set_result(outcome)

    def note_task(self, task: Any) -> None:
        """A task that is to end with the actor. In the loop's thread."""
        if self.tasks is None:
            self.tasks = weakref.WeakSet()
        self.tasks.add(task)

    def open_stream(self, number: str, stream: Any, consumer: Address | None) -> None:
        """consumer: an actor, with whose end the stream is over."""
        if self.streams is None:
            self.streams = {}
        self.streams[number] = stream
        if consumer is not None:
            stream.watch = self.runtime.watch(self, consumer, number)

    def close_stream(self, number: str) -> Any:
        """What was open; None: nothing."""
        stream = self.streams.pop(number, None) if self.streams else None
        if stream is not None and stream.watch:
            self.runtime.unwatch(self, stream.watch)
        return stream

    def leave_stream(self, number: str | None, reason: str) -> None:
        """Its consumer has ended. One that is not known at all is not an actor that could be watched."""
        stream = self.close_stream(number) if number is not None and reason != "noproc" else None
        if stream is not None:
            stream.drop()

    def open_streams(self) -> list[Any]:
        return list(self.streams.values()) if self.streams else []


def hook_call(function: Callable[..., Any], *args: Any) -> Any:
    """Calls a hook with as many of the arguments as it takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return function(*args)
    count = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    return function(*args[:count])
