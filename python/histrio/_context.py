"""What an actor can know and do where it runs: `self.ctx`, or `histrio.current()` in classes without the base class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._actor import Actor
from ._options import Address
from ._ref import ActorRef, address_of, make_ref
from ._runtime import Runtime, executing
from ._spawn import Spawns

if TYPE_CHECKING:
    from ._cell import Cell

A = TypeVar("A", bound=Actor)


class Context(Spawns):
    """An actor's place: what its host knows of it, for its own eyes."""

    __slots__ = ("_cell", "_histrio_spawner")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._histrio_spawner: Runtime = cell.runtime

    @property
    def ref(self) -> Any:
        """A reference to the actor."""
        behavior = self._cell.behavior
        return make_ref(self._cell.address, None if behavior is None else behavior.cls, self._histrio_spawner)

    @property
    def path(self) -> str:
        return self._cell.address.path

    @property
    def system(self) -> str:
        return self._cell.runtime.system

    @property
    def node(self) -> str:
        return self._cell.runtime.node

    @property
    def unit(self) -> str:
        return self._cell.unit

    @property
    def epoch(self) -> str:
        return self._cell.epoch

    @property
    def incarnation(self) -> int:
        return self._cell.incarnation

    @property
    def name(self) -> str:
        """The last part of the path; "" for an unnamed actor."""
        return self.path.rpartition("/")[2]

    @property
    def sender(self) -> ActorRef | None:
        """Who sent the message that is being handled; None for clients and timers."""
        execution = executing.get()
        sender = None if execution is None else execution.sender
        return None if sender is None else ActorRef(sender, self._histrio_spawner)

    def remaining(self) -> float | None:
        """Seconds until the asker of this message stops waiting; None when nobody waits, or for ever."""
        execution = executing.get()
        return None if execution is None else execution.remaining()

    @property
    def traceparent(self) -> str:
        """The trace that this message belongs to, as W3C trace context has it; "" for none."""
        execution = executing.get()
        return "" if execution is None else execution.trace

    @overload
    def lookup(self, name: str, cls: type[A], /) -> A: ...  # type: ignore[overload-overlap]
    @overload
    def lookup(self, name: str, cls: type | None = None, /) -> ActorRef: ...
    def lookup(self, name: str, cls: type | None = None, /) -> Any:
        """A reference by name: "tellers.0/counter", "../printer" for a sibling, "./child" for an actor below this one.

        With a class it is typed. Without one the actor may be in C: arguments are plain values. The actor need not exist.
        """
        return make_ref(Address(resolve(self.path, name), python=cls is not None), cls, self._histrio_spawner)

    def stop(self, reason: str = "normal") -> None:
        """Ends this actor after the message that it handles. Any other reason than "normal" counts as a failure."""
        self._cell.stop(reason)

    def save(self) -> None:
        """Has snapshot() called now, and its result kept for restore() of the next incarnation. Without this that happens after each
        message, or after `snapshot_every` of them (see actor())."""
        self._cell.save()
        self._cell.runtime.sent()

    def watch(self, other: object) -> None:
        """Has this actor's `on_down(ref, reason)` called, once, when another actor ends: at once with "noproc" when there is none. What is
        started again is another incarnation, to be watched again."""
        if not hasattr(self._cell.object, "on_down"):
            raise TypeError(f"{self._cell.label} has no on_down(ref, reason), which would be told")
        self._cell.runtime.watch(self._cell, address_of(other), other)

    def unwatch(self, other: object) -> None:
        """Ends what watch() began."""
        address = address_of(other)
        for number, ref in self._cell.runtime.watched_by(self._cell):
            if isinstance(ref, ActorRef) and address_of(ref) == address:
                self._cell.runtime.unwatch(self._cell, number)

    def exit(self, other: object, reason: str = "shutdown") -> None:
        """Sends another actor an exit signal: "shutdown" lets it stop, "kill" ends it at once."""
        self._histrio_spawner.exit(address_of(other), reason)


def current() -> Context:
    """The context of the actor whose message is being handled."""
    execution = executing.get()
    if execution is None or execution.cell is None:
        raise RuntimeError("no actor handles a message here")
    context: Context = execution.cell.context
    return context


def resolve(path: str, name: str) -> str:
    """An actor's path by a name that may be relative to another."""
    if name.startswith(("./", "../")):
        if not path:
            raise ValueError(f'"{name}": an unnamed actor has no relatives by name')
        parts = path.split("/")
        while name.startswith("../"):
            parts.pop()
            name = name[3:]
        return "/".join([*parts, name.removeprefix("./")])
    if not name or name.startswith("/"):
        raise ValueError(f'"{name}" is no name of an actor: write it like "tellers.0/counter"')
    return name
