"""Streams: many values from one method, pulled in batches by asks that name the stream.

The first ask opens it; each ask wants as many items as its consumer has room for, and is answered with (items, over). A
generator that takes its time has its items sent one by one; an async one that waits has those sent that are there. Leaving a stream early is told, and closes the generator.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from ._call import Call, Stream
from ._cell import Cell, Delivery
from ._errors import BadArgument
from ._method import Message
from ._options import Address, CallOptions

if TYPE_CHECKING:
    from ._peer import Peer

SLOW = 0.002
ALL_MAX = 100_000
_numbers = itertools.count(1)


class RemoteStream(Stream[Any]):
    """The consumer's side."""

    def __init__(self, peer: Peer, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
                 options: CallOptions, window: int) -> None:
        if window < 1:
            raise ValueError(f"window={window}: it is at least 1")
        self._peer = peer
        self._address = address
        self._message = message
        self._timeout = options.timeout
        self._window = window
        self._id = f"{peer.identity:x}.{next(_numbers)}"
        self._items: deque[Any] = deque()
        self._over = False
        self._call: Call[Any] | None = None
        self._slot = peer.slot_here()
        self._pull(args, kwargs, True)

    def _pull(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] = {}, opens: bool = False) -> None:
        timeout = self._timeout if self._timeout is not None else self._message.timeout
        told = {"id": self._id, "want": self._window - len(self._items), "open": opens}
        self._call = self._peer.request(
            self._address, self._message.name, args, kwargs, self._peer.timeout if timeout is None else timeout, {"stream": told}
        )

    def _came(self, answer: Any) -> None:
        items, self._over = answer
        self._items.extend(items)
        self._call = None

    def _failed(self) -> None:
        """Perhaps on this side only (the time was over, the task cancelled): then the generator has to be told."""
        self._call = None
        self.close()

    def _taken(self) -> Any:
        item = self._items.popleft()
        if self._call is None and not self._over and 2 * len(self._items) <= self._window:
            self._pull()
        return item

    async def __anext__(self) -> Any:
        while not self._items:
            if self._over:
                raise StopAsyncIteration
            if self._call is None:
                self._pull()
            assert self._call is not None
            try:
                self._came(await self._call)
            except BaseException:
                self._failed()
                raise
        return self._taken()

    def __next__(self) -> Any:
        while not self._items:
            if self._over:
                raise StopIteration
            if self._call is None:
                self._pull()
            assert self._call is not None
            try:
                self._came(self._call.result())
            except BaseException:
                self._failed()
                raise
        return self._taken()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._over:
            return
        self._over = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._items.clear()
        self._peer.close_stream(self._address, self._message.name, self._id, self._slot)

    def __del__(self) -> None:
        """Runs wherever the garbage is collected, be it under a lock: another thread does what is to be done."""
        if not getattr(self, "_over", True):
            self._over = True
            self._peer.soon(partial(_leave, self._peer, self._call, self._address, self._message.name, self._id, self._slot))


def _leave(peer: Peer, call: Call[Any] | None, *stream: Any) -> None:
    if call is not None:
        call.cancel()
    peer.close_stream(*stream)


class Served:
    """The actor's side: a generator between two asks. Used by its actor's handlers only."""

    def __init__(self, generator: Any, page: Any) -> None:
        self.generator = generator
        self.page = page
        self.slow = False
        self.error: BaseException | None = None
        self.task: asyncio.Task[Any] | None = None
        self.dropped = False
        self.watch = 0  # of its consumer; 0: none
        self.coming: asyncio.Future[Any] | None = None  # an item that an async generator waits with

    def pull(self, want: int) -> Any:
        """A plain generator's next items."""
        if self.error is not None:
            raise self.error
        items: list[Any] = []
        while len(items) < want:
            began = time.monotonic()
            try:
                items.append(next(self.generator))
            except StopIteration:
                return items, True
            except BaseException as error:
                return self._broken(error, items)
            if self._takes_time(began):
                break
        return items, False

    async def pull_async(self, want: int) -> Any:
        if self.error is not None:
            raise self.error
        items: list[Any] = []
        self.task = asyncio.current_task()
        try:
            while len(items) < want:
                began = time.monotonic()
                try:
                    if not await self._next_is_there(bool(items)):
                        break
                    coming, self.coming = self.coming, None
                    assert coming is not None
                    items.append(coming.result())
                except StopAsyncIteration:
                    return items, True
                except asyncio.CancelledError:
                    if self.dropped:
                        return items, True
                    raise
                except BaseException as error:
                    return self._broken(error, items)
                if self._takes_time(began):
                    break
        finally:
            self.task = None
        return items, False

    async def _next_is_there(self, has_items: bool) -> bool:
        """The next item is in `coming`; False: the generator waits, and there are others to be sent meanwhile."""
        if self.coming is None:
            from ._loop_thread import Step

            step = Step(_result_of(self.generator.__anext__()), self.page)
            self.coming = asyncio.get_running_loop().create_task(step)
        await asyncio.wait([self.coming], timeout=SLOW if has_items else None)
        if self.coming.done():
            error = self.coming.exception()
            if isinstance(error, _Over):
                raise StopAsyncIteration
            return True
        return False

    def drop(self) -> None:
        """The actor stops, or nobody wants the rest."""
        self.dropped = True
        if self.task is not None:
            self.task.cancel()
        if hasattr(self.generator, "aclose"):
            asyncio.ensure_future(self._close())
        else:
            self.generator.close()

    async def _close(self) -> None:
        """Ends an async generator where it waits, be it for an item or for its consumer."""
        if self.coming is not None and not self.coming.done():
            self.coming.cancel()
            await asyncio.wait([self.coming])
        await self.generator.aclose()

    def _takes_time(self, began: float) -> bool:
        was_slow, self.slow = self.slow, time.monotonic() - began > SLOW
        return was_slow or self.slow

    def _broken(self, error: BaseException, items: list[Any]) -> Any:
        """What came before the exception is sent first."""
        if not items:
            raise error
        self.error = error
        return items, False


class _Over(Exception):
    """A generator's end; a future cannot hold StopAsyncIteration's kin."""


async def _result_of(item: Any) -> Any:
    try:
        return await item
    except StopAsyncIteration:
        raise _Over from None


def serve(cell: Cell, delivery: Delivery, message: Message) -> Any:
    """An ask or tell of a generator's method; what it returns may be a coroutine. Without a stream in it: all items."""
    told = delivery.stream
    is_async = inspect.isasyncgenfunction(message.function)
    if told is None:
        served = Served(message.function(cell.object, *delivery.args, **delivery.kwargs), cell.runtime.page)
        return _all_async(served) if is_async else _all(served)
    served_id = told["id"]
    if told.get("close"):
        found = cell.close_stream(served_id)
        if found is not None:
            found.drop()
        return None
    if told["open"]:
        consumer = None if delivery.origin is None else Address(*delivery.origin)
        cell.open_stream(served_id, Served(message.function(cell.object, *delivery.args, **delivery.kwargs), cell.runtime.page), consumer)
    found = cell.streams.get(served_id) if cell.streams else None
    if found is None:
        raise BadArgument("this stream is over: its actor was restarted, or it was closed")
    if is_async:
        return _pulled_async(cell, served_id, found, told["want"])
    return _pulled(cell, served_id, found, told["want"])


def _pulled(cell: Cell, served_id: Any, served: Served, want: int) -> Any:
    try:
        answer = served.pull(want)
    except BaseException:
        cell.close_stream(served_id)
        raise
    if answer[1]:
        cell.close_stream(served_id)
    return answer


async def _pulled_async(cell: Cell, served_id: Any, served: Served, want: int) -> Any:
    try:
        answer = await served.pull_async(want)
    except BaseException:
        cell.close_stream(served_id)
        served.drop()
        raise
    if answer[1]:
        cell.close_stream(served_id)
    return answer


def _all(served: Served) -> Any:
    items: list[Any] = []
    for item in served.generator:
        items.append(item)
        if len(items) > ALL_MAX:
            raise ValueError(f"more than {ALL_MAX} items: ask for them as a stream")
    return items


async def _all_async(served: Served) -> Any:
    items: list[Any] = []
    async for item in served.generator:
        items.append(item)
        if len(items) > ALL_MAX:
            raise ValueError(f"more than {ALL_MAX} items: ask for them as a stream")
    return items
