"""Pools: several actors of one class behind one name of a variable, and a map over them."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Generic, Iterable, Iterator, Mapping, Sequence, TypeVar, cast

from ._behavior import behavior_of
from ._call import Call, Gathered, Stream
from ._method import Bound, Message, Method, StreamBound
from ._options import Address, CallOptions
from ._ref import address_of
from ._runtime import Runtime

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
X = TypeVar("X")
R = TypeVar("R")


class Router:
    """Chooses the actor of a call. A runtime for references of the pool, in front of the real one."""

    def __init__(self, runtime: Runtime, addresses: Sequence[Address], route: str) -> None:
        self._runtime = runtime
        self.addresses = list(addresses)
        self.loads = [0] * len(self.addresses)
        self._next = 0
        self._key = ""
        if route.startswith("hash:"):
            self._key = route.removeprefix("hash:")
        elif route not in ("round-robin", "least-loaded", "broadcast"):
            raise ValueError(f'route="{route}": it is round-robin, least-loaded, broadcast or hash:PARAMETER')
        self.route = route

    def choose(self, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """The number of the actor for a call."""
        if self._key:
            bound = message.signature().bind(*args, **kwargs)
            bound.apply_defaults()
            if self._key not in bound.arguments:
                raise TypeError(f'{message.name} has no parameter "{self._key}", which this pool routes by')
            value = bound.arguments[self._key]
            return zlib.crc32(repr(value).encode()) % len(self.addresses)
        if self.route == "least-loaded":
            first = self._next = (self._next + 1) % len(self.addresses)
            return min(range(len(self.loads)), key=lambda i: (self.loads[i], (i - first) % len(self.loads)))
        self._next = (self._next + 1) % len(self.addresses)
        return self._next

    def ask(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
            options: CallOptions) -> Call[Any]:
        if self.route == "broadcast":
            return Gathered([self._runtime.ask(one, message, args, kwargs, options) for one in self.addresses])
        chosen = self.choose(message, args, kwargs)
        call = self._runtime.ask(self.addresses[chosen], message, args, kwargs, options)
        self.loads[chosen] += 1
        call.add_done_callback(lambda: self._done(chosen))
        return call

    def tell(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
             options: CallOptions) -> None:
        chosen = self.addresses if self.route == "broadcast" else [self.addresses[self.choose(message, args, kwargs)]]
        for one in chosen:
            self._runtime.tell(one, message, args, kwargs, options)

    def stream(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
               options: CallOptions, window: int) -> Stream[Any]:
        return self._runtime.stream(self.addresses[self.choose(message, args, kwargs)], message, args, kwargs, options, window)

    def spawn(self, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Any]:
        return self._runtime.spawn(cls, args, kwargs, options)

    def exit(self, address: Address, reason: str) -> None:
        self._runtime.exit(address, reason)

    def _done(self, chosen: int) -> None:
        self.loads[chosen] -= 1


class Pool(Generic[T]):
    """Actors of one class. `pool.any` has the class's methods: each call goes to one of them, as the pool's route says.

    With route="broadcast" each call goes to all of them, and its answer is the list of theirs.
    """

    def __init__(self, runtime: Runtime, cls: type, members: Sequence[Any], route: str) -> None:
        self.members: list[T] = list(members)
        self._cls = cls
        self._runtime = runtime
        self._router = Router(runtime, [address_of(member) for member in members], route)
        self.any: T = cast(T, _Any(self._router, cls))

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[T]:
        return iter(self.members)

    def __repr__(self) -> str:
        return f"<pool of {len(self)} {self._cls.__name__}>"

    def map(self, method: Method[[X], R] | Callable[[Any, X], R], items: Iterable[X], *, in_flight: int | None = None,
            ordered: bool = True) -> Results[R]:
        """Calls a method with each item, spread over the actors: `async for r in pool.map(Worker.work, items)`, or `for`.

        in_flight: so many calls at a time (by default four for each actor). ordered=False gives answers as they come. The first
        error is raised and cancels the rest.
        """
        name = getattr(method, "__name__", "")
        message = behavior_of(self._cls).message(name)
        return Results(self._router, message, iter(items), in_flight or 4 * len(self), ordered)

    def close(self) -> None:
        """Stops the actors."""
        for address in self._router.addresses:
            self._runtime.exit(address, "shutdown")


class _Any:
    """What `pool.any` is at run time: a reference without one address."""

    def __init__(self, router: Router, cls: type) -> None:
        self._router = router
        self._behavior = behavior_of(cls)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        message = self._behavior.message(name)
        kind: Callable[..., Any] = StreamBound if message.is_stream else Bound
        return kind(self._router, Address("pool"), message)


class Results(Generic[R]):
    """The answers of map(): an iterator, sync or async."""

    def __init__(self, router: Router, message: Message, items: Iterator[Any], in_flight: int, ordered: bool) -> None:
        self._router = router
        self._message = message
        self._items = items
        self._room = in_flight
        self._ordered = ordered
        self._calls: deque[Call[Any]] = deque()
        self._done: deque[Call[Any]] = deque()
        self._first: Call[None] | None = None
        self._exhausted = False

    def _fill(self) -> None:
        """Sends as many as there is room for."""
        while not self._exhausted and len(self._calls) < self._room:
            try:
                item = next(self._items)
            except StopIteration:
                self._exhausted = True
                return
            call = self._router.ask(Address("pool"), self._message, (item,), {}, CallOptions())
            self._calls.append(call)
            if not self._ordered:
                call.add_done_callback(lambda call=call: self._came(call))  # type: ignore[misc]

    def _came(self, call: Call[Any]) -> None:
        self._done.append(call)
        first, self._first = self._first, None
        if first is not None:
            first.complete(None)

    def _next_call(self) -> Call[Any] | None:
        """The call whose answer is next; None: it has to be waited for, or everything is over."""
        self._fill()
        if self._ordered:
            return self._calls.popleft() if self._calls else None
        if not self._done:
            return None
        call = self._done.popleft()
        self._calls.remove(call)
        return call

    def _cancel(self) -> None:
        self._exhausted = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()

    def _wait(self) -> Call[None]:
        """Done when the next answer of any of them has come."""
        first: Call[None] = Call(next(iter(self._calls))._waiting)
        self._first = first
        if self._done:
            self._first = None
            first.complete(None)
        return first

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        try:
            while True:
                call = self._next_call()
                if call is not None:
                    return cast(R, await call)
                if not self._calls:
                    raise StopAsyncIteration
                await self._wait()
        except StopAsyncIteration:
            raise
        except BaseException:
            self._cancel()
            raise

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        try:
            while True:
                call = self._next_call()
                if call is not None:
                    return cast(R, call.result())
                if not self._calls:
                    raise StopIteration
                self._wait().result()
        except StopIteration:
            raise
        except BaseException:
            self._cancel()
            raise


class Spawning(Call[Pool[T]]):
    """The call that starts a pool."""

    __slots__ = ("_gathered", "_make")

    def __init__(self, gathered: Gathered, make: Callable[[list[Any]], Pool[T]]) -> None:
        super().__init__(gathered._waiting)
        self._gathered = gathered
        self._make = make
        gathered.add_done_callback(self._spawned)

    def cancel(self) -> bool:
        return self._gathered.cancel()

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gathered.run_in(loop)

    def parts(self) -> Iterable[Call[Any]]:
        return self._gathered.parts()

    def _spawned(self) -> None:
        if self._gathered._error is not None:
            self.fail(self._gathered._error)
        else:
            self.complete(self._make(self._gathered._value))


def spawn_pool(runtime: Runtime, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], size: int, route: str,
               name: str | None, options: Mapping[str, Any]) -> Spawning[Any]:
    """Starts `size` actors, NAME-0 and so on."""
    if size < 1:
        raise ValueError(f"size={size}: it is at least 1")
    Router(runtime, [], route)  # a wrong route is told before anything runs
    calls = []
    for i in range(size):
        own = dict(options)
        if name is not None:
            own["name"] = f"{name}-{i}"
        calls.append(runtime.spawn(cls, args, kwargs, own))
    return Spawning(Gathered(calls), lambda members: Pool(runtime, cls, members, route))

