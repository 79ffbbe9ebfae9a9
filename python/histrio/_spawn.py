"""Starting actors: the typed face that systems and actors share, and what is told to the node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Mapping, ParamSpec, Sequence, TypeVar, TypeVarTuple, Unpack, get_origin, overload

from ._actor import Actor, Child
from ._behavior import Behavior, behavior_of
from ._call import Call
from ._options import Duration, Isolation, Overflow, Restart, manifest_word, seconds
from ._ref import ActorRef
from ._runtime import Runtime

if TYPE_CHECKING:
    from ._pool import Pool

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

Encode = Callable[[type, Sequence[Any], Mapping[str, Any]], bytes]
OPTIONS = ("name", "isolation", "restart", "mailbox", "overflow", "link", "shutdown")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Spawns:
    """The method spawn()."""

    __slots__ = ()  # of a context there are many thousands

    _histrio_spawner: Runtime

    if TYPE_CHECKING:

        @overload
        def spawn(self, cls: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> Call[A]: ...  # type: ignore[overload-overlap]
        @overload
        def spawn(  # type: ignore[overload-overlap]
            self, cls: Callable[[Unpack[Ts]], A], /, *args: Unpack[Ts], name: str | None = ..., isolation: Isolation = ...,
            restart: Restart = ..., mailbox: int = ..., overflow: Overflow = ..., link: bool = ..., shutdown: Duration = ...,
        ) -> Call[A]: ...
        @overload
        def spawn(self, cls: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> Call[ActorRef]: ...
        @overload
        def spawn(
            self, cls: Callable[[Unpack[Ts]], object], /, *args: Unpack[Ts], name: str | None = ...,
            isolation: Isolation = ..., restart: Restart = ..., mailbox: int = ..., overflow: Overflow = ...,
            link: bool = ..., shutdown: Duration = ...,
        ) -> Call[ActorRef]: ...
        def spawn(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
            ...
        @overload
        def pool(self, cls: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> Call[Pool[A]]: ...
        @overload
        def pool(
            self, cls: Callable[[Unpack[Ts]], A], /, *args: Unpack[Ts], size: int | None = ..., route: str = ...,
            name: str | None = ..., isolation: Isolation = ..., restart: Restart = ..., mailbox: int = ..., overflow: Overflow = ...,
        ) -> Call[Pool[A]]: ...
        def pool(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
            ...
    else:

        def spawn(self, cls, /, *args, **kwargs):
            """Starts an actor of a class with its constructor's arguments; the answer is its reference.

            name: a DNS label, by which it can be looked up; without one it is invented. isolation, restart, mailbox, overflow
            and shutdown override what @histrio.actor says. link: it ends with us, and we with it. Of a generic class Box, Box[int] is Box.
            """
            options = {option: kwargs.pop(option) for option in OPTIONS if option in kwargs}
            return self._histrio_spawner.spawn(get_origin(cls) or cls, args, kwargs, checked(options))

        def pool(self, cls, /, *args, size=None, route="round-robin", name=None, **kwargs):
            """Starts `size` actors of a class (by default one for each core), and gives them as a Pool.

            route: "round-robin", "least-loaded", "broadcast", or "hash:PARAMETER": the same value always finds the same actor.
            name: they are NAME-0, NAME-1, ...; isolation and so on as in spawn().
            """
            from ._local import per_cpu
            from ._pool import spawn_pool

            options = {option: kwargs.pop(option) for option in OPTIONS if option in kwargs}
            return spawn_pool(self._histrio_spawner, get_origin(cls) or cls, args, kwargs, size or per_cpu(), route, name, checked(options))


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of spawn() in the manifest's words; ValueError for what makes no sense."""
    told = {option: value for option, value in options.items() if value is not None}
    name = told.get("name")
    if name is not None and not LABEL.fullmatch(name):
        raise ValueError(f'name="{name}": a name has small letters, digits and "-", at most 63, as a DNS label')
    for option in ("isolation", "restart", "overflow"):
        if option in told:
            told[option] = manifest_word(option, told[option])
    if "shutdown" in told:
        told["shutdown"] = seconds(told["shutdown"])
    return told


def spawn_request(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any],
                  encode: Encode) -> dict[str, Any]:
    """The payload of SPAWN (docs/host.md): `root` and `children` as a unit has them in the manifest."""
    behavior = behavior_of(cls)
    root, children = _entry(behavior, args, kwargs, options, encode)
    request: dict[str, Any] = {"root": root, "children": children, "link": bool(options.get("link")), "monitor": 0}
    if "name" in options:
        request["name"] = options["name"]
    return request


def _entry(behavior: Behavior, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any],
           encode: Encode) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A class as an entry of a manifest, with what is below it as a flat list."""
    says = behavior.options
    entry: dict[str, Any] = {
        "restart": options.get("restart", says.restart),
        "shutdown_ms": round(1000 * options.get("shutdown", says.shutdown)),
    }
    if behavior.strategy is not None:
        entry["supervisor"] = behavior.strategy.as_manifest
        return entry, _children(behavior, "", encode)
    if says.supervise is not None:
        entry["supervisor"] = says.supervise.as_manifest
    mailbox = says.mailbox_as_manifest
    if "mailbox" in options:
        mailbox = {**mailbox, "capacity": options["mailbox"]}
    if "overflow" in options:
        mailbox = {**mailbox, "overflow": options["overflow"]}
    entry["behavior"] = {"python": behavior.name}
    entry["arguments"] = encode(behavior.cls, args, kwargs)
    entry["isolation"] = options.get("isolation", says.isolation)
    entry["mailbox"] = mailbox
    return entry, []


def _children(behavior: Behavior, under: str, encode: Encode) -> list[dict[str, Any]]:
    """The children of a supervisor class, those of supervisors among them behind them."""
    found = []
    child: Child[Any]
    for child in behavior.children.values():
        below = behavior_of(child.cls)
        options = dict(child.options)
        if "shutdown" in options:
            options["shutdown"] = seconds(options["shutdown"])
        entry, _ = _entry(below, child.args, child.kwargs, options, encode)
        entry["name"] = child.name
        if under:
            entry["under"] = under
        found.append(entry)
        if below.strategy is not None:
            found.extend(_children(below, child.name, encode))
    return found
