"""A call's outcome, to be awaited in async code or waited for in plain code."""

from __future__ import annotations

import itertools
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Generator, Generic, Iterable, Protocol, TypeVar, cast

from ._errors import AskTimeout

if TYPE_CHECKING:  # imported where it is used: scripts that never await start faster
    import asyncio

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


# Of what calls settle and who waits for them. Held for a few lines, so one serves all.
_lock = threading.Lock()


def _forked() -> None:
    """In a child: another thread of the parent may have held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


class Waiting(Protocol):
    """What a runtime does while somebody waits for one of its calls."""

    def attach(self, loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
        """Somebody awaits the call in `loop`: sees to it that calls are completed while that runs."""
        ...

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        """Blocks until the call is done; False: the deadline (time.monotonic()) passed first."""
        ...

    def forget(self, call: Call[Any]) -> None:
        """Nobody waits for the call any more."""
        ...


class Call(Generic[R_co]):
    """What a method's call returns: `await` it, or call `.result()`.

    The message is sent when the method is called, so calls that are made one after the other run side by side.
    """

    __slots__ = ("_done", "_value", "_error", "_waiters", "_waiting", "number", "__weakref__")

    def __init__(self, waiting: Waiting | None = None) -> None:
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._waiters: list[Callable[[], None]] | None = None
        self._waiting = waiting
        self.number = 0  # among its runtime's requests; 0: it is none of them

    def done(self) -> bool:
        """True once there is an answer or an error."""
        return self._done

    def result(self, timeout: float | None = None) -> R_co:
        """Blocks until the answer is there and returns it, or raises the error.

        timeout: seconds after which AskTimeout is raised and the call forgotten; by default the call's own time counts.
        """
        if not self._done:
            deadline = None if timeout is None else time.monotonic() + timeout
            if not self._block(deadline):
                self.cancel()
                raise AskTimeout(f"no answer within {timeout:g} s")
        return self._take()

    def cancel(self) -> bool:
        """Tells the actor that nobody waits: a message in its mailbox is dropped, an async handler is cancelled."""
        if self._done:
            return False
        from asyncio import CancelledError

        if self._waiting is not None:
            self._waiting.forget(self)
        return self.fail(CancelledError())

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once, from any thread, when the call is done; at once when it is done already."""
        with _lock:
            if not self._done:
                if self._waiters is None:
                    self._waiters = []
                self._waiters.append(callback)
                return
        callback()

    def __await__(self) -> Generator[Any, None, R_co]:
        if not self._done:
            from asyncio import CancelledError, get_running_loop

            loop = get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self.run_in(loop)
            self.add_done_callback(lambda: _wake(loop, future))
            try:
                yield from future
            except CancelledError:
                self.cancel()
                raise
        return self._take()

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """For calls that hold others: sees to it that this one is done while `loop`, the present one, runs."""
        if self._waiting is not None:
            self._waiting.attach(loop, self)

    def parts(self) -> Iterable[Call[Any]]:
        """The calls that this one waits for: itself, or those that it holds."""
        return (self,)

    def complete(self, value: Any) -> bool:
        """For runtimes: the answer. False: the call was over before."""
        return self._settle(value, None)

    def fail(self, error: BaseException) -> bool:
        """For runtimes: the error. False as above."""
        return self._settle(None, error)

    def _block(self, deadline: float | None) -> bool:
        if self._waiting is not None:
            return self._waiting.wait(self, deadline)
        event = threading.Event()
        self.add_done_callback(event.set)
        return event.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        with _lock:
            if self._done:
                return False
            self._value, self._error, self._done = value, error, True
            waiters, self._waiters = self._waiters, None
        for wake in waiters or ():
            try:
                wake()
            except Exception:  # it is no business of whoever reads the answers
                import logging

                logging.getLogger("histrio").exception("a done callback of a call raised")
        return True

    def _take(self) -> R_co:
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # the error's traceback would keep the call, and the call the error
        return cast(R_co, self._value)


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    """Ends the wait of a future, from whatever thread."""
    from asyncio import _get_running_loop

    if _get_running_loop() is loop:
        _set(future)
    else:
        try:
            loop.call_soon_threadsafe(_set, future)
        except RuntimeError:
            pass  # the loop was closed: nobody waits any more


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def completed(value: R) -> Call[R]:
    """A call that is over."""
    call: Call[R] = Call()
    call.complete(value)
    return call


class Gathered(Call[list[Any]]):
    """All answers of several calls, in order; the first error cancels the others."""

    __slots__ = ("_calls", "_left")

    def __init__(self, calls: Iterable[Call[Any]]) -> None:
        self._calls = list(calls)
        runtimes = {id(call._waiting): call._waiting for call in self._calls}
        super().__init__(runtimes.popitem()[1] if len(runtimes) == 1 else None)
        self._left = itertools.count(len(self._calls) - 1, -1)  # next() is atomic: answers come on several threads
        if not self._calls:
            self.complete([])
        for call in self._calls:
            call.add_done_callback(partial(self._finished, call))

    def cancel(self) -> bool:
        cancelled = super().cancel()
        for call in self._calls:
            call.cancel()
        return cancelled

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        for call in self._calls:
            if not call._done:
                call.run_in(loop)

    def parts(self) -> Iterable[Call[Any]]:
        return itertools.chain.from_iterable(call.parts() for call in self._calls)

    def _finished(self, call: Call[Any]) -> None:
        if call._error is not None:
            self.fail(call._error)
            for other in self._calls:
                other.cancel()
        elif next(self._left) == 0:
            self.complete([one._value for one in self._calls])

    def _block(self, deadline: float | None) -> bool:
        if self._waiting is None:  # of several runtimes: one after the other, up to the first error
            for call in self._calls:
                if not self._done and not call._done and not call._block(deadline):
                    return False
        return super()._block(deadline)


class Stream(Generic[R_co]):
    """What an async generator method returns: `async for` in async code, `for` in plain code.

    At most `window` items are on their way; leaving the loop early ends the generator in the actor.
    """

    def __aiter__(self) -> Stream[R_co]:
        return self

    async def __anext__(self) -> R_co:
        raise NotImplementedError

    def __iter__(self) -> Stream[R_co]:
        return self

    def __next__(self) -> R_co:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Ends the stream; `async for` does not do this by itself when it is left with break."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
