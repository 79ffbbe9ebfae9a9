"""Half of every process that speaks frames with a node: its requests, and who waits for their answers."""

from __future__ import annotations

import itertools
import queue
import secrets
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from . import _carry as carry
from . import _codec as codec
from . import _frames as frames
from ._call import Call, Stream
from ._errors import (
    APPLICATION, CRASHED, ActorError, AskTimeout, BadArgument, EncodingError, StartFailed, SystemClosed, executed, of_code,
)
from ._frames import Closed, Frame
from ._method import Message
from ._options import Address, CallOptions
from ._ref import make_ref
from ._runtime import Execution, executing
from ._spawn import spawn_request

if TYPE_CHECKING:
    import asyncio

DEFAULT_TIMEOUT = 60.0
TIMEOUT_MS_MAX = (1 << 32) - 1
TIMEOUT_MAX = TIMEOUT_MS_MAX / 1000
SPAWN_TIMEOUT = 60.0
SLICE = 0.1
# As the module platform says it, which takes a worker milliseconds to import.
IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}


class Request(Call[Any]):
    """A call that the node answers.

    target: None for a spawn. Invariant: `awaited` is set, under the peer's lock, before anybody waits; `suspects` are deliveries in
    this process that would make a circle once the asker waits for this request.
    """

    __slots__ = ("method", "target", "asker", "awaited", "suspects")

    def __init__(self, peer: Peer, method: str, target: Address | None, asker: Execution | None) -> None:
        super().__init__(peer)
        self.method = method
        self.target = target
        self.asker = asker
        self.awaited = False
        self.suspects: list[Any] | None = None

    @property
    def what(self) -> str:
        """For errors: "add of local/c"."""
        return self.method if self.target is None else f"{self.method} of {self.target}"

    def unreadable(self, error: BaseException) -> None:
        """There is an answer, and unpickling it raised `error`. The compiled port calls this, too."""
        told = executed(EncodingError(f"the result of {self.what} cannot be read: {type(error).__name__}: {error}"))
        told.__cause__ = error
        self.fail(told)


class Spawned(Request):
    """A spawn: the answer says where the actor is, and a reference to it is the result."""

    __slots__ = ("_peer", "_cls")

    def __init__(self, peer: Peer, cls: type, asker: Execution | None) -> None:
        super().__init__(peer, f"{cls.__name__}()", None, asker)
        self._peer = peer
        self._cls = cls

    def complete(self, value: Any) -> bool:
        try:
            path = value.get("path") or ""
            node, id = (0, 0) if path else value["ref"]
        except Exception as error:
            return self.fail(error)
        return super().complete(make_ref(Address(path, node, id), self._cls, self._peer))


class Peer:
    """A runtime over a port. Subclasses decide who reads the port."""

    def __init__(self, port: Any, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.port = port
        self._send_call: Callable[..., bool] | None = getattr(port, "send_call", None)  # the compiled port pickles by itself
        self.timeout = timeout
        self.identity = secrets.randbits(63)  # among all processes; made here, since workers are forks of one process
        self.requests: dict[int, Request] = {}
        self._next = itertools.count(1)
        self.lock = threading.Lock()
        self._soon: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # may be put into anywhere, also in the midst of a put
        self._sooner: threading.Thread | None = None
        self.closed: BaseException | None = None
        self.system = ""
        self.node = ""
        self.node_uid = 0
        self.takes_tracebacks = False  # the node does

    # ---- the runtime's face ----

    def ask(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
            options: CallOptions) -> Call[Any]:
        if options.retries or options.idempotency_key is not None:
            from ._retry import RetriedCall

            return RetriedCall(self, address, message, args, kwargs, options)
        timeout = options.timeout if options.timeout is not None else message.timeout
        return self.request(address, message.name, args, kwargs, self.timeout if timeout is None else timeout)

    def ask_once(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
                 options: CallOptions) -> Call[Any]:
        """An attempt of a RetriedCall."""
        timeout = options.timeout if options.timeout is not None else message.timeout
        extra = None if options.idempotency_key is None else {"key": options.idempotency_key}
        return self.request(address, message.name, args, kwargs, self.timeout if timeout is None else timeout, extra)

    def tell(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
             options: CallOptions) -> None:
        if self.closed is not None:
            raise SystemClosed(f"{message.name} of {address}: {self.closed}")
        execution = executing.get()
        context = carry.outgoing("") if execution is None else self._context(execution, None, "")
        if options.idempotency_key is not None:
            context = {**(context or {}), "key": options.idempotency_key}
        is_much = self._send_message(frames.TELL, self._slot(execution), message.name, 0, 0, address, args, kwargs, context)
        self.sent(is_much)

    def stream(self, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
               options: CallOptions, window: int) -> Stream[Any]:
        from ._stream import RemoteStream

        if self._sooner is None:
            self._sooner = threading.Thread(target=self._run_soon, name="histrio-soon", daemon=True)
            self._sooner.start()
        return RemoteStream(self, address, message, args, kwargs, options, window)

    def spawn(self, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Any]:
        def encode(one: type, some: Sequence[Any], named: Mapping[str, Any]) -> bytes:
            context = codec.class_context(one)
            if one is cls and chain is not None:
                context = {**(context or {}), "chain": chain}
            return codec.encode_arguments(some, named, context, f"{one.__name__}()")

        execution = executing.get()
        call = Spawned(self, cls, execution)
        self._register(call)
        try:
            # No trace: the arguments are kept for the next incarnations.
            chain = None if execution is None else self._chain(execution, call.number, call.method)
            payload = codec.checked(codec.pack(spawn_request(cls, args, kwargs, options, encode), call.method), call.method)
            self._send(frames.SPAWN, self._slot(execution), "", call.number, self._timeout_ms(SPAWN_TIMEOUT, execution), None, payload)
        except BaseException:
            self.requests.pop(call.number, None)
            raise
        self.sent()
        return call

    def exit(self, address: Address, reason: str) -> None:
        self._send(frames.EXIT, self._slot(executing.get()), "", 0, 0, address, reason.encode()[:255])
        self.sent()

    # ---- for calls that somebody waits for (Waiting) ----

    def attach(self, loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
        raise NotImplementedError

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        raise NotImplementedError

    def forget(self, call: Call[Any]) -> None:
        with self.lock:
            known = self.requests.pop(call.number, None)
        if known is not None and self.closed is None:
            try:
                self.port.send(frames.CANCEL, actor=self._slot(known.asker), number=known.number)
                self.sent()
            except Closed:
                pass

    def close_stream(self, address: Address, method: str, id: str, slot: int) -> None:
        """Tells the actor that the one in `slot` does not want the rest of a stream."""
        try:
            payload = self._encode(address, method, (), {}, {"stream": {"id": id, "close": True}})
            self._send(frames.TELL, slot, method, 0, 0, address, payload)
            self.sent()
        except (ActorError, Closed):
            pass  # the actor or the system is gone, and the generator with it

    def soon(self, function: Callable[[], None]) -> None:
        """Calls it on a thread of its own: for __del__, which runs wherever garbage is collected, be it under a lock."""
        self._soon.put(function)

    def _run_soon(self) -> None:
        while True:
            self._soon.get()()

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Calls a function after a while, on whatever thread."""
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()

    def now(self) -> float:
        """The time of deadlines, in seconds."""
        return time.monotonic()

    @staticmethod
    def slice_of(left: float | None) -> float:
        """How long to read at a time while waiting for a call: it may end on another thread, which wakes nobody who reads."""
        return SLICE if left is None or left > SLICE else left

    def sent(self, is_much: bool = False) -> None:
        """Something waits for flush(): see to it that it happens, at once if it is much."""
        raise NotImplementedError

    # ---- inner ----

    def request(self, address: Address, method: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float,
                extra: Mapping[str, Any] | None = None) -> Call[Any]:
        """An ask. extra: what this package tells itself beside the arguments (key, stream)."""
        execution = executing.get()
        call = Request(self, method, address, execution)
        self._register(call)
        try:
            timeout_ms = self._timeout_ms(timeout, execution)
            if timeout_ms == 0:
                raise AskTimeout(f"{call.what}: the time of the message that is being handled is over", queued=True)
            context = carry.outgoing("") if execution is None else self._context(execution, call, method)
            if extra is not None:
                context = {**(context or {}), **extra}
            is_much = self._send_message(frames.ASK, self._slot(execution), method, call.number, timeout_ms, address, args, kwargs,
                                         context)
        except BaseException:
            self.requests.pop(call.number, None)
            raise
        self.sent(is_much)
        return call

    def _register(self, call: Request) -> None:
        if self.closed is not None:
            raise SystemClosed(f"{call.what}: {self.closed}")
        number = call.number = next(self._next)
        self.requests[number] = call

    def _encode(self, address: Address, method: str, args: Sequence[Any], kwargs: Mapping[str, Any],
                context: Mapping[str, Any] | None) -> bytes:
        if address.python:
            return codec.encode_call(args, kwargs, context, method, address)
        return codec.pack_call(args, kwargs, f"{method} of {address}")

    def _send_message(self, kind: int, slot: int, method: str, number: int, timeout_ms: int, address: Address, args: Sequence[Any],
                      kwargs: Mapping[str, Any], context: Mapping[str, Any] | None) -> bool:
        """True: there is enough to be worth a flush()."""
        if self._send_call is not None and address.python and not codec.is_by_value():
            try:
                call = (args, kwargs) if context is None else (args, kwargs, context)
                return self._send_call(kind, slot, method, number, timeout_ms, address.path, address.node, address.id, call)
            except Exception:
                pass  # the longer way says what is wrong
        payload = self._encode(address, method, args, kwargs, context)
        return self._send(kind, slot, method, number, timeout_ms, address, payload)

    def _send(self, kind: int, slot: int, method: str, number: int, timeout_ms: int, address: Address | None, payload: bytes) -> bool:
        name, node, id = ("", 0, 0) if address is None else (address.path, address.node, address.id)
        try:
            is_much: bool = self.port.send(kind, 0, slot, method, number, timeout_ms, name, node, id, payload)
            return is_much
        except ValueError as error:
            raise BadArgument(str(error)) from None

    def slot_here(self) -> int:
        """Of the actor that runs here."""
        return self._slot(executing.get())

    def _slot(self, execution: Execution | None) -> int:
        """The actor that a frame is from."""
        return 0 if execution is None or execution.cell is None else int(execution.cell.slot)

    def _timeout_ms(self, timeout: float, execution: Execution | None) -> int:
        if execution is not None and execution.deadline is not None:
            timeout = min(timeout, execution.deadline - self.now())
        if 0.001 <= timeout <= TIMEOUT_MAX:
            return int(timeout * 1000)
        return 0 if timeout <= 0 else 1 if timeout < 1 else TIMEOUT_MS_MAX

    def _context(self, execution: Execution, call: Call[Any] | None, method: str) -> dict[str, Any] | None:
        """What a message inherits from the one that is being handled, or None."""
        told = carry.outgoing(execution.trace)
        chain = None if call is None else self._chain(execution, call.number, method)
        if chain is not None:
            told = {"chain": chain} if told is None else {**told, "chain": chain}
        return told

    def _chain(self, execution: Execution, number: int, method: str) -> tuple[Any, ...] | None:
        """The asks that a new one follows from, and itself."""
        return None if execution.cell is None else (*execution.chain, (self.identity, number, execution.cell.label, method))

    # ---- what comes ----

    def answered(self, frame: Frame) -> None:
        """A REPLY or ERROR for one of our requests."""
        call = self.requests.pop(frame.number, None)
        if call is None:
            return
        if frame.kind == frames.REPLY:
            if codec.ext_of(frame.payload) == codec.EXCEPTION:
                call.fail(codec.decode_error(frame.payload))
                return
            try:
                value = codec.decode_result(frame.payload)
            except BaseException as error:
                call.unreadable(error)
            else:
                call.complete(value)
            return
        text = frame.payload.decode("utf-8", "replace")
        what = call.what
        if call.target is None and frame.code == APPLICATION:
            call.fail(StartFailed(f"{what}: {text}"))
            return
        actor = "" if call.target is None else str(call.target)
        call.fail(of_code(frame.code, text if frame.code in (CRASHED, APPLICATION) else f"{what}: {text}", actor, call.method))

    def welcomed(self, frame: Frame) -> None:
        told = codec.unpack(frame.payload)
        self.system, self.node, self.node_uid = told.get("system", ""), told.get("node", ""), told.get("node_uid", 0)
        self.takes_tracebacks = bool(told.get("tracebacks"))
        if told.get("protocol") != 1:
            from ._errors import VersionSkew

            raise VersionSkew(f"the node speaks protocol {told.get('protocol')}, this package 1")

    def hello(self, role: str) -> None:
        import os

        from . import __version__

        version = ".".join(map(str, sys.version_info[:3]))
        software = f"histrio {__version__}, {IMPLEMENTATIONS.get(sys.implementation.name, sys.implementation.name)} {version}"
        told = {"protocol": 1, "pid": os.getpid(), "role": role, "software": software, "traces": True}
        self.port.send(frames.HELLO, payload=codec.pack(told, "hello"))
        self.port.flush()

    def over(self, error: ActorError) -> None:
        """The connection has ended: nobody waits for ever."""
        with self.lock:
            if self.closed is None:
                self.closed = error
            calls, self.requests = list(self.requests.values()), {}
        for call in calls:
            call.fail(error)
