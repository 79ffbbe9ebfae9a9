"""Actor classes: the base class, its decorators, and supervisors of several children."""

from __future__ import annotations

import dataclasses
from typing import (
    TYPE_CHECKING, Any, Callable, Generic, ParamSpec, Self, Sequence, TypeVar, TypeVarTuple, Unpack, cast, overload,
)

from ._behavior import Behavior
from ._options import (
    STRATEGIES, ActorOptions, Duration, Isolation, OnError, Overflow, Restart, Strategy, StrategyName, manifest_word, seconds,
)

if TYPE_CHECKING:
    from ._context import Context

C = TypeVar("C", bound=type)
T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Actor:
    """The base of typed actor classes. Its messages are the methods that are decorated with @histrio.method.

    An object of the class that was made by hand is a plain object: its methods run at once. Hosted by a node it is an
    actor, with `ctx` and `ref`, from the constructor on.
    """

    __histrio_actor__ = True
    _histrio_context: Context | None = None

    @property
    def ctx(self) -> Context:
        """Where the actor is and what it can do there: spawn, look up, stop, ..."""
        context = self._histrio_context
        if context is None:
            raise RuntimeError(f"{type(self).__name__} does not run as an actor: this object was made by hand")
        return context

    @property
    def ref(self) -> Self:
        """A reference to itself, to be sent to others. What it is asked waits in the mailbox."""
        return cast(Self, self.ctx.ref)


@overload
def actor(cls: C, /) -> C: ...
@overload
def actor(
    *,
    isolation: Isolation = "shared",
    restart: Restart = "transient",
    mailbox: int = 0,
    overflow: Overflow = "wait",
    on_restart: str = "keep",
    supervise: Strategy | None = None,
    on_error: OnError = "reply",
    shutdown: Duration = 5.0,
    snapshot_every: int = 1,
) -> Callable[[C], C]: ...
def actor(cls: Any = None, /, **options: Any) -> Any:
    """Says how actors of a class run; the manifest has the last word.

    isolation: "shared" (a worker process with others), "group" (one for the actors spawned together), "process" (its own).
    restart: "transient" (unless it stopped by itself or was told to), "permanent" or "temporary". mailbox: its capacity, 0 for no limit; overflow:
    what a full one does. supervise: OneForOne(restarts=5, period="1m", backoff=("50ms", "5s")): how many restarts are tolerated,
    and how long they wait. on_error: "reply" gives an exception of an ask to the asker and the actor lives on; "restart" ends the
    actor besides. shutdown: how long it may take to stop. snapshot_every: of a class with snapshot() and restore(), after how many
    messages its state is kept; 0: only by ctx.save().
    """

    def decorate(one: type) -> type:
        known = {option.name for option in dataclasses.fields(ActorOptions)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise TypeError(f"@histrio.actor has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        told = dict(options)
        for option in ("isolation", "restart", "overflow", "on_restart"):
            if option in told:
                told[option] = manifest_word(option, told[option])
        if "shutdown" in told:
            told["shutdown"] = seconds(told["shutdown"])
        if not isinstance(told.get("snapshot_every", 1), int) or told.get("snapshot_every", 1) < 0:
            raise ValueError(f'snapshot_every={told["snapshot_every"]!r}: it is a number of messages, or 0')
        if told.get("on_error", "reply") not in ("reply", "restart"):
            raise ValueError(f'on_error="{told["on_error"]}": it is "reply" or "restart"')
        if told.get("overflow", "Wait") != "Wait" and not told.get("mailbox"):
            raise ValueError("overflow has no effect without a capacity: give mailbox=1000")
        setattr(one, "__histrio_options__", ActorOptions(**told))
        Behavior(one)
        return one

    return decorate if cls is None else decorate(cls)


class Child(Generic[T]):
    """A child of a supervisor class; as an attribute of a reference to the supervisor it is the child's reference."""

    def __init__(self, cls: type, args: Sequence[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.replace("_", "-")


if TYPE_CHECKING:

    @overload
    def child(cls: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def child(
        cls: Callable[[Unpack[Ts]], T], /, *args: Unpack[Ts], restart: Restart = ..., isolation: Isolation = ...,
        shutdown: Duration = ...,
    ) -> T: ...
    def child(*args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
        ...
else:

    def child(cls, /, *args, **kwargs):
        """A child of a supervisor class: the class and its constructor's arguments; restart, isolation, shutdown as in actor()."""
        options = {name: kwargs.pop(name) for name in ("restart", "isolation", "shutdown") if name in kwargs}
        for option in ("restart", "isolation"):
            if option in options:
                options[option] = manifest_word(option, options[option])
        return Child(cls, args, kwargs, options)


def supervisor(
    *, strategy: StrategyName = "one_for_one", restarts: int = 3, period: Duration = 5.0,
    backoff: tuple[Duration, Duration] | None = None,
) -> Callable[[C], C]:
    """Makes a class a supervisor of its children, in the order in which they are written:

        @histrio.supervisor(strategy="rest_for_one")
        class Tellers(histrio.Actor):
            counter = histrio.child(Counter, 5)
            printer = histrio.child(Printer, restart="transient")

    A supervisor has no methods of its own. The children of `tellers` are `tellers.counter` and `tellers.printer`. restarts, period
    and backoff: see OneForOne.
    """
    word = manifest_word("strategy", strategy)
    kind = next(one for one in STRATEGIES.values() if one.word == word)

    def decorate(one: C) -> C:
        children: dict[str, Child[Any]] = {}
        for base in reversed(one.__mro__):
            children.update({name: value for name, value in vars(base).items() if isinstance(value, Child)})
        if not children:
            raise TypeError(f"{one.__name__} has no children: give it some with histrio.child(...)")
        setattr(one, "__histrio_strategy__", kind(restarts, period, backoff))
        setattr(one, "__histrio_children__", children)
        if Behavior(one).messages:
            raise TypeError(f"{one.__name__} is a supervisor, which only supervises: move its methods into a child")
        return one

    return decorate
