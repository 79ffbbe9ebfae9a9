"""Methods of actors: what the decorators leave in a class, and what an attribute look-up on a reference gives."""

from __future__ import annotations

import contextlib
import inspect
import time
from dataclasses import replace
from typing import (
    TYPE_CHECKING, Any, AsyncIterator, Callable, Concatenate, Coroutine, Generator, Generic, Iterator, ParamSpec, Protocol,
    TypeVar, cast, overload,
)

from ._call import Call, Stream, completed
from ._options import Address, CallOptions, Duration, seconds

if TYPE_CHECKING:
    import asyncio

    from ._runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

NO_OPTIONS = CallOptions()


class Message:
    """One method of an actor class as a message."""

    __slots__ = ("name", "function", "is_async", "is_stream", "concurrency", "timeout", "every", "slow", "_signature")

    def __init__(self, name: str, function: Callable[..., Any], concurrency: int = 1, timeout: float | None = None,
                 every: float | None = None) -> None:
        self.name = name
        self.function = function
        is_generator = inspect.isasyncgenfunction(function)
        self.is_async = is_generator or inspect.iscoroutinefunction(function)
        self.is_stream = is_generator or inspect.isgeneratorfunction(function)
        self.concurrency = concurrency
        self.timeout = timeout
        self.every = every
        self.slow = True  # whether it lately ran for long: then answers before it are not held back
        self._signature: inspect.Signature | None = None

    def signature(self) -> inspect.Signature:
        """Of the call: without self."""
        if self._signature is None:
            whole = inspect.signature(self.function)
            self._signature = whole.replace(parameters=list(whole.parameters.values())[1:])
        return self._signature


class Bound(Generic[P, R]):
    """A method of a certain actor: call it, `.tell()` it, or `.opt(...)` it."""

    __slots__ = ("_runtime", "_address", "_message", "_options")

    def __init__(self, runtime: Runtime, address: Address, message: Message, options: CallOptions = NO_OPTIONS) -> None:
        self._runtime = runtime
        self._address = address
        self._message = message
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Asks: the message is sent at once, the answer is in the call that is returned."""
        return self._runtime.ask(self._address, self._message, args, kwargs, self._options)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Sends and forgets. Raises only what is known at once; an exception in the method makes the actor fail."""
        self._runtime.tell(self._address, self._message, args, kwargs, self._options)

    def opt(self, *, timeout: Duration | None = None, retries: int | None = None, idempotency_key: str | None = None) -> Bound[P, R]:
        """The same method with other options; those that are not given stay.

        timeout: how long the answer may take, of each attempt. retries: how often the call is made again when nothing was
        executed; with an idempotency_key also when that is not known: the actor executes one key once and repeats its answer.
        """
        options = _changed(self._options, timeout=None if timeout is None else seconds(timeout), retries=retries,
                           idempotency_key=idempotency_key)
        return Bound(self._runtime, self._address, self._message, options)

    def __repr__(self) -> str:
        return f"<method {self._message.name} of actor {self._address}>"


class StreamBound(Generic[P, R]):
    """A method of a certain actor that yields many values."""

    __slots__ = ("_runtime", "_address", "_message", "_options", "_window")

    def __init__(self, runtime: Runtime, address: Address, message: Message, options: CallOptions = NO_OPTIONS,
                 window: int = 16) -> None:
        self._runtime = runtime
        self._address = address
        self._message = message
        self._options = options
        self._window = window

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Stream[R]:
        return self._runtime.stream(self._address, self._message, args, kwargs, self._options, self._window)

    def opt(self, *, timeout: Duration | None = None, window: int | None = None) -> StreamBound[P, R]:
        """timeout: how long each item may take; window: how many items may be on their way. What is not given stays."""
        options = _changed(self._options, timeout=None if timeout is None else seconds(timeout))
        return StreamBound(self._runtime, self._address, self._message, options, self._window if window is None else window)


def _changed(options: CallOptions, **told: Any) -> CallOptions:
    """Options with those that were given."""
    return replace(options, **{option: value for option, value in told.items() if value is not None})


class _Hosted(Protocol):
    """An object of an actor class; hosted ones have a context."""

    @property
    def ref(self) -> Any: ...


class Inline(Bound[P, R]):
    """A method of an object in this very place: of `self`. It runs at once, without a message."""

    __slots__ = ("_owner",)

    def __init__(self, owner: object, message: Message) -> None:
        self._owner = owner
        self._message = message

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        result = self._message.function(self._owner, *args, **kwargs)
        return InlineCall(result) if self._message.is_async else completed(result)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        getattr(cast(_Hosted, self._owner).ref, self._message.name).tell(*args, **kwargs)

    def opt(self, *, timeout: Duration | None = None, retries: int | None = None, idempotency_key: str | None = None) -> Bound[P, R]:
        return self

    def __repr__(self) -> str:
        return f"<method {self._message.name} of {self._owner!r}>"


class InlineCall(Call[R]):
    """A coroutine of this place under the face of a call."""

    __slots__ = ("_coroutine", "_task")

    def __init__(self, coroutine: Coroutine[Any, Any, R]) -> None:
        super().__init__()
        self._coroutine: Coroutine[Any, Any, R] | None = coroutine
        self._task: asyncio.Task[None] | None = None  # a loop would not keep it

    def __await__(self) -> Generator[Any, None, R]:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            return super().__await__()
        return self._run(coroutine).__await__()

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            self._task = loop.create_task(self._settle_by(coroutine))

    def _block(self, deadline: float | None) -> bool:
        import asyncio

        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            return super()._block(deadline)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            asyncio.run(asyncio.wait_for(self._settle_by(coroutine), left))
        except asyncio.TimeoutError:
            return False
        return True

    async def _settle_by(self, coroutine: Coroutine[Any, Any, R]) -> None:
        with contextlib.suppress(Exception):  # it is in the call
            await self._run(coroutine)

    async def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        try:
            value = await coroutine
        except BaseException as error:
            self.fail(error)
            raise
        self.complete(value)
        return value

    def __del__(self) -> None:
        if self._coroutine is not None:
            self._coroutine.close()


class InlineStream(StreamBound[P, R]):
    """A generator method of an object in this very place."""

    __slots__ = ("_owner",)

    def __init__(self, owner: object, message: Message) -> None:
        self._owner = owner
        self._message = message

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Stream[R]:
        return LocalStream(self._message.function(self._owner, *args, **kwargs))

    def opt(self, *, timeout: Duration | None = None, window: int | None = None) -> StreamBound[P, R]:
        return self


class LocalStream(Stream[R]):
    """A generator of this place under the face of a stream."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    async def __anext__(self) -> R:
        if hasattr(self._generator, "__anext__"):
            return cast(R, await self._generator.__anext__())
        for item in self._generator:
            return cast(R, item)
        raise StopAsyncIteration

    def __next__(self) -> R:
        if hasattr(self._generator, "__next__"):
            return cast(R, next(self._generator))
        raise TypeError("this is an async generator: iterate with `async for`")

    async def aclose(self) -> None:
        if hasattr(self._generator, "aclose"):
            await self._generator.aclose()
        else:
            self._generator.close()

    def close(self) -> None:
        if hasattr(self._generator, "close"):
            self._generator.close()


class _Descriptor:
    """What all decorators of methods share."""

    def __init__(self, function: Callable[..., Any], concurrency: int = 1, timeout: Duration | None = None,
                 every: float | None = None) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency}: it is at least 1")
        name = getattr(function, "__name__", "?")
        self.message = Message(name, function, concurrency, None if timeout is None else seconds(timeout), every)
        if concurrency > 1 and not self.message.is_async:
            raise TypeError(f"{name}: only an async method may have concurrency")
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self.__name__ = name

    def __set_name__(self, owner: type, name: str) -> None:
        self.message.name = name


class Method(_Descriptor, Generic[P, R]):
    """A message of an actor class, made by @histrio.method."""

    @overload
    def __get__(self, instance: None, owner: type) -> Method[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Bound[P, R]: ...

    def __get__(self, instance: object | None, owner: type) -> Method[P, R] | Bound[P, R]:
        if instance is None:
            return self
        return Inline(instance, self.message)


class StreamMethod(_Descriptor, Generic[P, R]):
    """A message that answers with many values, made by @histrio.method of a generator."""

    @overload
    def __get__(self, instance: None, owner: type) -> StreamMethod[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> StreamBound[P, R]: ...

    def __get__(self, instance: object | None, owner: type) -> StreamMethod[P, R] | StreamBound[P, R]:
        if instance is None:
            return self
        return InlineStream(instance, self.message)


def _described(function: Any, concurrency: int = 1, timeout: Duration | None = None, every: float | None = None) -> _Descriptor:
    """The message of a function. Decorators may stand above each other: what the one below said stays, unless this one says it."""
    if isinstance(function, _Descriptor):
        below = function.message
        function = below.function
        concurrency = below.concurrency if concurrency == 1 else concurrency
        timeout = below.timeout if timeout is None else timeout
        every = below.every if every is None else every
    if (kind := without_self(function)) is not None:
        raise TypeError(f"{kind} cannot be a message: messages are methods, with self as their first parameter")
    if not (inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)):
        return Method(function, concurrency, timeout, every)
    if concurrency != 1:
        raise TypeError(f"{function.__name__}: a generator has no concurrency")
    return StreamMethod(function, concurrency, timeout, every)


def without_self(member: object) -> str | None:
    """What a member of a class is that gets no `self` when it is called, or None."""
    for kind in (staticmethod, classmethod, property):
        if isinstance(member, kind):
            return f"a {kind.__name__}"
    return None


class _Timer(Protocol):
    """What @histrio.every(...) returns."""

    @overload
    def __call__(self, function: Method[[], R], /) -> Method[[], R]: ...

    @overload
    def __call__(self, function: Callable[[Any], Coroutine[Any, Any, R]], /) -> Method[[], R]: ...

    @overload
    def __call__(self, function: Callable[[Any], R], /) -> Method[[], R]: ...


class _Decorator(Protocol):
    """What @histrio.method(...) with options returns."""

    @overload
    def __call__(self, function: Method[P, R], /) -> Method[P, R]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], AsyncIterator[R]], /
    ) -> StreamMethod[P, R]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], Iterator[R]], /
    ) -> StreamMethod[P, R]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, R]], /) -> Method[P, R]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> Method[P, R]: ...


@overload
def method(function: Method[P, R], /) -> Method[P, R]: ...
@overload
def method(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], AsyncIterator[R]], /
) -> StreamMethod[P, R]: ...
@overload
def method(function: Callable[Concatenate[S, P], Iterator[R]], /) -> StreamMethod[P, R]: ...  # type: ignore[overload-overlap]
@overload
def method(function: Callable[Concatenate[S, P], Coroutine[Any, Any, R]], /) -> Method[P, R]: ...
@overload
def method(function: Callable[Concatenate[S, P], R], /) -> Method[P, R]: ...
@overload
def method(*, concurrency: int = 1, timeout: Duration | None = None) -> _Decorator: ...
def method(function: Any = None, /, *, concurrency: int = 1, timeout: Duration | None = None) -> Any:
    """Makes a method a message: sync or async, callers see the same thing.

    concurrency: so many of its messages may interleave at their awaits; by default an actor handles strictly one message
    at a time. timeout: how long callers wait, unless they say otherwise.
    """

    def decorate(one: Any) -> Any:
        return _described(one, concurrency, timeout)

    return decorate if function is None else decorate(function)


def every(period: Duration | None = None, /, *, seconds: float | None = None, minutes: float | None = None,
          durable: bool = False) -> _Timer:
    """Calls a method again and again while the actor runs: @every(seconds=30), @every("1m").

    The calls are messages: they wait in the mailbox like others. An exception makes the actor fail. With @histrio.method, above or
    below, the method has that decorator's options besides.
    """
    if durable:
        raise NotImplementedError("durable timers need a store, which this version does not have")
    total = (0.0 if period is None else _seconds(period)) + (seconds or 0.0) + 60.0 * (minutes or 0.0)
    if total < 0.001:
        raise ValueError("every: give a period of at least 1 ms")

    def decorate(function: Any) -> Any:
        return _described(function, every=total)

    return decorate


_seconds = seconds
