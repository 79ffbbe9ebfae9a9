"""histrio.connect(): asking the actors of a system from outside, through its JSON gateway (docs/gateway.md).

Plain values only: numbers, texts, lists, dicts, bytes, moments; no pickles. Every request is a connection of its own pool, so a
gateway that went away is found again by the next one. Nothing beside the standard library.
"""

from __future__ import annotations

import base64
import http.client
import inspect
import json
import os
import queue
import ssl
import threading
import urllib.parse
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence, cast

from ._call import Call, Stream
from ._carry import current_trace
from ._errors import (
    ActorError, AskTimeout, BadArgument, Denied, EncodingError, SystemClosed, Unavailable, Uncertain, ValueTooLarge, of_code,
)
from ._method import Message
from ._options import Address, CallOptions, Duration, seconds
from ._ref import _unknown
from ._retry import RetriedCall
from ._runtime import Runtime, executing
from ._system import System

if TYPE_CHECKING:
    from ._watch import Watch

CODES = {
    "NotFound": 1, "Unavailable": 2, "Uncertain": 3, "Fenced": 4, "MailboxFull": 5, "Timeout": 6, "Crashed": 7, "BadArgument": 8,
    "Application": 9, "Denied": 10,
}
# What the HTTP server of a node, or a proxy before it, says with its status alone: nothing of it reached an actor.
REFUSALS: dict[int, type[ActorError]] = {
    400: BadArgument, 401: Denied, 403: Denied, 404: BadArgument, 405: BadArgument, 413: ValueTooLarge, 414: BadArgument, 429: Unavailable,
    503: Unavailable,
}
SPECIAL = ("$bin", "$time")
THREADS_MAX = 64
GRACE = 5.0


_gateways: weakref.WeakSet[Gateway] = weakref.WeakSet()


def _forked() -> None:
    for gateway in list(_gateways):
        gateway.begin()


os.register_at_fork(after_in_child=_forked)


class Retried(RetriedCall):
    """Attempts through a gateway."""

    __slots__ = ()

    def __init__(self, gateway: Gateway, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
                 options: CallOptions) -> None:
        super().__init__(cast(Any, gateway), address, message, args, kwargs, options)
        self._waiting = None  # threads of the gateway complete it, and nobody must be told who waits


class Gateway:
    """The runtime of a connected program: requests run in threads, each with a connection that it keeps."""

    def __init__(self, url: str, token: str | None, timeout: float, context: ssl.SSLContext | None) -> None:
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f'"{url}": give the address of a gateway like http://bank:7072')
        self._scheme, self._host = parts.scheme, parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 7072)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._context = context
        self._timeout = timeout
        self._closed = False
        self.begin()
        _gateways.add(self)

    def begin(self) -> None:
        """Without threads; also in a child, where those of the parent are not."""
        self._work: queue.SimpleQueue[tuple[Call[Any], str, str, Any, dict[str, str], float] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0

    # ---- the runtime's face ----

    def ask(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
            options: CallOptions) -> Call[Any]:
        if options.idempotency_key is not None:
            raise BadArgument("the gateway knows no idempotency keys")
        if options.retries:
            return Retried(self, address, message, args, kwargs, options)
        return self.ask_once(address, message, args, kwargs, options)

    def ask_once(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
                 options: CallOptions) -> Call[Any]:
        """An attempt of a Retried call, or the only one."""
        timeout = next(one for one in (options.timeout, message.timeout, self._timeout) if one is not None)
        what = f"{message.name} of {address}"
        body = _body(message, args, kwargs, what)
        call: Call[Any] = Call()
        path = f"{self._prefix}/v1/ask/{_quoted(address, message.name)}?timeout={_duration(timeout)}&envelope=true"
        self._submit(call, what, path, body, timeout + GRACE)
        return call

    def tell(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
             options: CallOptions) -> None:
        what = f"{message.name} of {address}"
        call: Call[Any] = Call()
        path = f"{self._prefix}/v1/tell/{_quoted(address, message.name)}?envelope=true"
        self._submit(call, what, path, _body(message, args, kwargs, what), self._timeout)
        call.result()

    def stream(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
               options: CallOptions, window: int) -> Stream[Any]:
        raise BadArgument("the gateway has no streams: ask for a list")

    def spawn(self, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Any]:
        raise Denied("from outside no actor can be spawned: the manifest says which there are")

    def exit(self, address: Address, reason: str) -> None:
        raise Denied("from outside no actor can be ended")

    def actors(self, below: str) -> list[dict[str, Any]]:
        """What GET /v1/actors says."""
        connection = self._connect(self._timeout)
        try:
            query = f"?below={urllib.parse.quote(below)}" if below else ""
            connection.request("GET", f"{self._prefix}/v1/actors{query}", headers=self._headers)
            answer = connection.getresponse()
            told = _checked(json.loads(answer.read()), answer.status, "actors")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"the gateway at {self._host}:{self._port}: {error}") from error
        finally:
            connection.close()
        found: list[dict[str, Any]] = told["items"]
        return found

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """For a Retried call: calls a function after a while, in a thread."""
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._work.put(None)

    # ---- inner ----

    def _submit(self, call: Call[Any], what: str, path: str, body: Any, timeout: float) -> None:
        with self._lock:
            if self._closed:
                raise SystemClosed(f"{what}: the connection was closed")
            self._busy += 1
            starts = self._threads < min(self._busy, THREADS_MAX)
            self._threads += starts
        self._work.put((call, what, path, body, self._headers_here(), timeout))
        if starts:
            threading.Thread(target=self._run, name="histrio-gateway", daemon=True).start()

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while (work := self._work.get()) is not None:
            call, what, path, body, headers, timeout = work
            try:
                if not call.done():
                    connection, value = self._exchange(connection, what, path, body, headers, timeout)
                    call.complete(value)
            except BaseException as error:
                if not isinstance(error, ActorError) or isinstance(error, (Unavailable, Uncertain)):
                    connection = None
                call.fail(error)
            finally:
                with self._lock:
                    self._busy -= 1
        if connection is not None:
            connection.close()

    def _headers_here(self) -> dict[str, str]:
        """Those of a request by the caller: the trace that it is in goes along."""
        execution = executing.get()
        trace = current_trace("" if execution is None else execution.trace)
        return {**self._headers, "traceparent": trace} if trace else self._headers

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._scheme == "https":
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _exchange(self, kept: http.client.HTTPConnection | None, what: str, path: str, body: Any,
                  headers: dict[str, str], timeout: float) -> tuple[http.client.HTTPConnection, Any]:
        """One request on the kept connection, or a new one."""
        where = f"{what}: the gateway at {self._host}:{self._port}"
        connection = kept
        if connection is not None and _is_stale(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = self._connect(timeout)
            try:
                connection.connect()
            except OSError as error:
                raise Unavailable(f"{where}: {error}") from error
        connection.sock.settimeout(timeout)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except TimeoutError as error:
            connection.close()
            raise AskTimeout(f"{where} did not answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Uncertain(f"{where}: the connection broke: {error or type(error).__name__}") from error
        try:
            told = json.loads(data)
        except ValueError as error:
            raise Uncertain(f"{where} answered {answer.status} with what is no JSON") from error
        return connection, _plain(_checked(told, answer.status, what).get("value"))


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    """Whether the gateway closed the connection meanwhile: then nothing was sent, and another one can be used."""
    import select

    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _duration(seconds: float) -> str:
    """For the gateway, which reads numbers of at most five digits."""
    whole, rest = divmod(max(1, round(seconds * 1000)), 1000)
    return f"{whole}s{rest}ms"


def _checked(told: Any, status: int, what: str) -> dict[str, Any]:
    """The answer of a gateway, or the error that it is."""
    error = told.get("error") if isinstance(told, dict) else None
    if isinstance(error, dict):
        code = CODES.get(str(error.get("code")), 3)
        text = str(error.get("text", ""))
        raise of_code(code, text if code in (7, 9) else f"{what}: {text}")
    if status != 200 or error is not None or not isinstance(told, dict):
        text = error if isinstance(error, str) else "this is no answer of a gateway"
        raise REFUSALS.get(status, Uncertain)(f"{what}: {status} {http.client.responses.get(status, '')}: {text}")
    return told


def _quoted(address: Address, method: str) -> str:
    if not address.path:
        raise BadArgument("only actors with a name can be asked from outside")
    return f"{urllib.parse.quote(address.path)}/{urllib.parse.quote(method, safe='')}"


def _body(message: Message, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> bytes:
    if args and kwargs:
        args, kwargs = _one_kind(message, args, kwargs, what)
    try:
        return json.dumps(_json(kwargs or args or None), allow_nan=False).encode()
    except RecursionError:
        raise EncodingError(f"{what}: an argument is too deep, or holds itself") from None
    except (TypeError, ValueError) as error:
        raise EncodingError(f"{what}: {error}") from error


def _one_kind(message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
              what: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The same arguments all by position or all by name, as the method's signature allows it: JSON holds one or the other."""
    if message.function is not _unknown:
        try:
            bound = message.signature().bind(*args, **kwargs)
        except TypeError as error:
            raise BadArgument(f"{what}: {error}") from None
        if not bound.kwargs:
            return bound.args, {}
        named = dict(bound.arguments)
        kinds = {name: bound.signature.parameters[name].kind for name in named}
        if not {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL} & set(kinds.values()):
            for name, kind in kinds.items():
                if kind == inspect.Parameter.VAR_KEYWORD:
                    named.update(named.pop(name))
            return (), named
    raise EncodingError(f"{what}: from outside give arguments by name or by position, not both")


def _json(value: Any) -> Any:
    """A value as JSON has it. What would arrive as something else raises TypeError."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json(one) for one in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bin": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone names no moment")
        return {"$time": value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")}
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} is no plain value")
    for key, inner in value.items():
        if not isinstance(key, str):
            raise TypeError(f"the key {key!r} is no text: from outside a dict has no other keys")
        if key in SPECIAL and len(value) == 1 and isinstance(inner, str):
            raise TypeError(f'{{"{key}": text}} stands for what JSON has not (docs/gateway.md): give the bytes or the datetime')
    return {key: _json(inner) for key, inner in value.items()}


def _plain(value: Any) -> Any:
    """The JSON form of a value back to the value."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(key, inner)] = value.items()
        if key == "$bin" and isinstance(inner, str):
            return base64.b64decode(inner)
        if key == "$time" and isinstance(inner, str):
            return datetime.fromisoformat(inner)
    return {key: _plain(one) for key, one in value.items()}


class Connected(System):
    """A system that runs elsewhere, seen through its gateway: use it with `with`, `async with`, or close() it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._runtime = self._histrio_spawner = gateway

    def _open(self) -> Runtime:
        return self._gateway

    def _close(self) -> None:
        self._gateway.close()

    def watch(self, ref: object) -> Watch:
        raise NotImplementedError(
            "nothing can be watched through histrio.connect(): the JSON gateway tells no events. `histrio get exits` does, and Watch of the "
            "gateway over gRPC (docs/gateway.md)"
        )

    def actors(self, below: str = "") -> list[dict[str, Any]]:
        """The actors of the node that was reached, below a path."""
        return self._gateway.actors(below)


def connect(url: str, *, token: str | None = None, timeout: Duration = 5.0, ssl_context: ssl.SSLContext | None = None) -> Connected:
    """The system behind a JSON gateway: histrio.connect("http://bank:7072").

    Its actors are looked up by name, with their class for types. timeout: how long asks may take, unless they say otherwise.
    """
    return Connected(Gateway(url, token, seconds(timeout), ssl_context))
