"""A system as plain programs hold it: opened with `with` or `async with`."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from ._actor import Actor
from ._options import Address
from ._ref import ActorRef, address_of, make_ref
from ._runtime import Runtime, enter, leave
from ._spawn import Spawns

if TYPE_CHECKING:
    from ._watch import Watch

A = TypeVar("A", bound=Actor)


class System(Spawns):
    """What histrio.local(), and tests' systems, are. Use it as a context manager, sync or async."""

    _runtime: Runtime

    def _open(self) -> Runtime:
        """Starts it; the runtime that references of this system use."""
        raise NotImplementedError

    def _close(self) -> None:
        """Stops it: actors stop, then what hosts them."""
        raise NotImplementedError

    @overload
    def lookup(self, name: str, cls: type[A], /) -> A: ...  # type: ignore[overload-overlap]
    @overload
    def lookup(self, name: str, cls: type | None = None, /) -> ActorRef: ...
    def lookup(self, name: str, cls: type | None = None, /) -> Any:
        """A reference by name ("tellers.0/counter"); with a class it is typed. The actor need not exist yet."""
        return make_ref(Address(name, python=cls is not None), cls, self._runtime)

    def exit(self, other: object, reason: str = "shutdown") -> None:
        """Sends an actor an exit signal: "shutdown" lets it stop, "kill" ends it at once."""
        self._runtime.exit(address_of(other), reason)

    def watch(self, ref: object) -> Watch:
        """The ends and restarts of an actor, as they happen: `with sys.watch(c) as events: for event in events: ...`, async as well."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._runtime = self._histrio_spawner = self._open()
        enter(self._runtime)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stops the system. Calls without an answer raise SystemClosed."""
        leave(self._runtime)
        self._close()
