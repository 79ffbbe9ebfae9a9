"""histrio.connect(): asking the actors of a system from outside, through its JSON gateway (docs/gateway.md).

Plain values only: numbers, texts, lists, dicts, bytes, moments; no pickles. Every request is a connection of its own pool, so a
gateway that went away is found again by the next one. Nothing beside the standard library.
"""

from __future__ import annotations

import base64
import http.client
import json
import queue
import ssl
import threading
import urllib.parse
from datetime import datetime, timezone
from typing import Any, Mapping, Sequence

from ._call import Call, Stream
from ._carry import current_trace
from ._errors import ActorError, AskTimeout, BadArgument, Denied, EncodingError, SystemClosed, Unavailable, Uncertain, of_code
from ._method import Message
from ._options import Address, CallOptions, Duration, seconds
from ._runtime import Runtime, executing
from ._system import System

CODES = {
    "NotFound": 1, "Unavailable": 2, "Uncertain": 3, "Fenced": 4, "MailboxFull": 5, "Timeout": 6, "Crashed": 7, "BadArgument": 8,
    "Application": 9, "Denied": 10,
}
THREADS_MAX = 64
GRACE = 5.0


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
        self._work: queue.SimpleQueue[tuple[Call[Any], str, str, Any, dict[str, str], float] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._closed = False

    # ---- the runtime's face ----

    def ask(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
            options: CallOptions) -> Call[Any]:
        if options.idempotency_key is not None:
            raise BadArgument("the gateway knows no idempotency keys")
        timeout = next(one for one in (options.timeout, message.timeout, self._timeout) if one is not None)
        what = f"{message.name} of {address}"
        body = _body(args, kwargs, what)
        call: Call[Any] = Call()
        path = f"{self._prefix}/v1/ask/{_quoted(address, message.name)}?timeout={max(1, round(timeout * 1000))}ms&envelope=true"
        self._submit(call, what, path, body, timeout + GRACE)
        return call

    def tell(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
             options: CallOptions) -> None:
        what = f"{message.name} of {address}"
        call: Call[Any] = Call()
        path = f"{self._prefix}/v1/tell/{_quoted(address, message.name)}?envelope=true"
        self._submit(call, what, path, _body(args, kwargs, what), self._timeout)
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
            told = json.loads(answer.read())
            if answer.status != 200:
                raise _error(told.get("error", {}), "actors")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"the gateway at {self._host}:{self._port}: {error}") from error
        finally:
            connection.close()
        found: list[dict[str, Any]] = told["items"]
        return found

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
        if "error" in told:
            raise _error(told["error"], what)
        return connection, _plain(told.get("value"))


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    """Whether the gateway closed the connection meanwhile: then nothing was sent, and another one can be used."""
    import select

    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _error(told: Mapping[str, Any], what: str) -> ActorError:
    code = CODES.get(str(told.get("code")), 3)
    text = str(told.get("text", ""))
    return of_code(code, text if code in (7, 9) else f"{what}: {text}")


def _quoted(address: Address, method: str) -> str:
    if not address.path:
        raise BadArgument("only actors with a name can be asked from outside")
    return f"{urllib.parse.quote(address.path)}/{urllib.parse.quote(method, safe='')}"


def _body(args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> bytes:
    if args and kwargs:
        raise EncodingError(f"{what}: from outside give arguments by name or by position, not both")
    value = dict(kwargs) if kwargs else list(args) if args else None
    try:
        return json.dumps(value, default=_encoded, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise EncodingError(f"{what}: {error}") from error


def _encoded(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bin": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone names no moment")
        return {"$time": value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")}
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no plain value")


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

    def actors(self, below: str = "") -> list[dict[str, Any]]:
        """The actors of the node that was reached, below a path."""
        return self._gateway.actors(below)


def connect(url: str, *, token: str | None = None, timeout: Duration = 5.0, ssl_context: ssl.SSLContext | None = None) -> Connected:
    """The system behind a JSON gateway: histrio.connect("http://bank:7072").

    Its actors are looked up by name, with their class for types. timeout: how long asks may take, unless they say otherwise.
    """
    return Connected(Gateway(url, token, seconds(timeout), ssl_context))
