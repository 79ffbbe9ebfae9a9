"""Frames of docs/host.md, and the socket that carries them. The compiled module _core has the same class Port."""

from __future__ import annotations

import array
import importlib
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._buffers import Attached, attach

HELLO, WELCOME, INTERN, START, STOP, DROP, TELL, ASK, REPLY, ERROR, DONE, FAILED, CANCEL, SPAWN = range(1, 15)
MONITOR, DEMONITOR, DOWN, LINK, UNLINK, EXIT, TIMER_START, TIMER_CANCEL, TIMER, LOG, TRAP = range(15, 26)
SNAPSHOT = 27
MONITOR_LASTS = 1  # code of MONITOR: over restarts
DOWN_ENDED, DOWN_RESTARTED = 1, 2  # codes of DOWN, of such a monitor

HEADER = struct.Struct("<IBBHIIQIIQQ")
HEADER_SIZE = HEADER.size
PAYLOAD_MAX = 4 * 1024 * 1024
FRAME_MAX = PAYLOAD_MAX + 64 * 1024
TEXT_MAX = 512
TEXTS_MAX = 65536
HAS_BUFFERS = 1  # flag: a descriptor comes with the frame
READ_SIZE = 1 << 18
DESCRIPTORS_SIZE = socket.CMSG_SPACE(array.array("i").itemsize)
FLUSH_SIZE = 1 << 15
FLUSH_DESCRIPTORS = 16


class Frame(NamedTuple):
    """A frame as it came, its interned texts resolved."""

    kind: int
    code: int
    actor: int
    method: str
    number: int
    timeout_ms: int
    name: str
    node: int
    id: int
    payload: bytes


class Closed(EOFError):
    """The other side closed the socket."""


class BrokenFrame(ValueError):
    """The other side sent what is no frame."""


class Port:
    """A stream socket with frames. Sending is buffered until flush(), and may be done by any thread; one thread reads."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._in = bytearray()
        self._texts: dict[int, str] = {0: ""}
        self._numbers: dict[str, int] = {"": 0}
        self._next_number = 0
        self._descriptors: deque[int] = deque()  # that came before their frames were whole
        self._out: list[bytes] = []
        self._attached: list[tuple[int, Attached]] = []  # frames with descriptors, by their place in _out
        self._out_size = 0
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._page: Any = None
        self.role = 0
        self.slow = True  # the method of the handler that is on the dispatcher's stack lately ran for long
        self.dirty = False
        self.starving = False  # deliveries wait for room in the page

    def serve(self, page: Any, *_: Any) -> None:
        """For workers: flush() tells the page whose answers were written. The compiled port runs handlers besides."""
        self._page = page

    def next(self, lane: int) -> list[Frame]:
        """For the dispatcher: tells what there is to tell, and waits for frames."""
        self.flush()
        return self.read()

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def abandon(self) -> None:
        """In a forked child: what was gathered belongs to the parent, and the socket as well."""
        self._lock, self._write_lock = threading.Lock(), threading.Lock()
        self._out.clear()
        self._attached.clear()
        self._sock.close()

    def shutdown(self) -> None:
        """Ends the connection; whoever reads gets Closed."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def read(self, timeout: float | None = None, calls: dict[int, Any] | None = None) -> list[Frame]:
        """All frames that are there; waits for the first bytes (timeout 0: does not). Empty: the time passed.

        calls: requests by number. The compiled port gives them what it can read of their answers, takes them out, and
        returns the other frames, perhaps none. Raises Closed at the end.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                data, came, flags, _ = self._sock.recvmsg(READ_SIZE, DESCRIPTORS_SIZE, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                if timeout == 0 or not self._wait(select.POLLIN, deadline):
                    return []
                continue
            except ConnectionError:
                raise Closed from None
            if not data:
                raise Closed
            if came or flags & socket.MSG_CTRUNC:
                self._descriptors.append(array.array("i", came[0][2])[0] if came else -1)
            self._in += data
            frames = self._parse()
            if frames:
                return frames

    def send(self, kind: int, code: int = 0, actor: int = 0, method: str = "", number: int = 0, timeout_ms: int = 0,
             name: str = "", node: int = 0, id: int = 0, payload: bytes = b"") -> bool:
        """Adds a frame to what flush() writes; True: there is enough to be worth a flush()."""
        with self._lock:
            method_number = self._numbers.get(method)
            if method_number is None:
                method_number = self._intern(method)
            name_number = self._numbers.get(name)
            if name_number is None:
                name_number = self._intern(name)
            size = HEADER_SIZE + len(payload)
            flags = 0
            if type(payload) is Attached:
                flags = HAS_BUFFERS
                self._attached.append((len(self._out), payload))
            self._out.append(HEADER.pack(size, kind, code, flags, actor, method_number, number, timeout_ms, name_number, node, id))
            if payload:
                self._out.append(payload)
            self._out_size += size
            return self._out_size >= FLUSH_SIZE or len(self._attached) >= FLUSH_DESCRIPTORS

    def pending(self) -> bool:
        """Whether flush() has something to write."""
        return bool(self._out)

    def flush(self) -> None:
        """Writes what send() gathered; waits while the socket is full. Raises Closed."""
        with self._write_lock:
            with self._lock:
                page = self._page
                entries = page.take_over() if page is not None else None  # perhaps told by the flush before
                if not self._out and not entries:
                    return
                out, self._out = self._out, []
                attached, self._attached = self._attached, []
                self._out_size = 0
            at = 0
            for place, payload in attached:
                self._write(out[at:place])
                at = place + 1  # the header, and the descriptor with it
                self._write(out[place:at], payload.fd)
            self._write(out[at:])
            if entries and page is not None:
                page.clear(entries)

    def _write(self, pieces: Sequence[bytes], fd: int = -1) -> None:
        view = memoryview(b"".join(pieces))
        while view:
            try:
                if fd < 0:
                    sent = self._sock.send(view)
                else:
                    sent = self._sock.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
                view, fd = view[sent:], -1
            except BlockingIOError:
                self._wait(select.POLLOUT, None)
            except OSError:
                raise Closed from None

    def _wait(self, event: int, deadline: float | None) -> bool:
        poll = select.poll()
        poll.register(self._sock, event)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(left))

    def _intern(self, text: str) -> int:
        encoded = text.encode()
        if len(encoded) > TEXT_MAX:
            raise ValueError(f"a name of {len(encoded)} bytes is too long: {text[:40]}...")
        self._next_number = self._next_number % (TEXTS_MAX - 1) + 1
        number = self._next_number
        if len(self._numbers) >= TEXTS_MAX:  # the number is given again
            old = next(one for one, known in self._numbers.items() if known == number)
            del self._numbers[old]
        self._numbers[text] = number
        self._out.append(HEADER.pack(HEADER_SIZE + len(encoded), INTERN, 0, 0, 0, number, 0, 0, 0, 0, 0) + encoded)
        self._out_size += HEADER_SIZE + len(encoded)
        return number

    def _parse(self) -> list[Frame]:
        frames: list[Frame] = []
        data, texts = self._in, self._texts
        at, end = 0, len(self._in)
        while end - at >= HEADER_SIZE:
            size, kind, code, flags, actor, method, number, timeout_ms, name, node, id = HEADER.unpack_from(data, at)
            if not HEADER_SIZE <= size <= FRAME_MAX:
                raise BrokenFrame(f"a frame of {size} bytes")
            if end - at < size:
                break
            payload = bytes(data[at + HEADER_SIZE : at + size])
            at += size
            if flags & HAS_BUFFERS:
                if not self._descriptors:
                    raise BrokenFrame("a frame without its descriptor")
                payload = attach(payload, self._descriptors.popleft())
            if kind == INTERN:
                texts[method] = payload.decode("utf-8", "replace")
                continue
            try:
                frames.append(Frame(kind, code, actor, texts[method], number, timeout_ms, texts[name], node, id, payload))
            except KeyError:
                raise BrokenFrame(f"a frame names text {method} or {name}, which was not told") from None
        if at:
            del data[:at]
        return frames


def compiled() -> Any:
    """The compiled module, or None when there is none; HISTRIO_PURE=1 asks for none."""
    if os.environ.get("HISTRIO_PURE") == "1":
        return None
    try:
        return importlib.import_module("histrio._core")
    except ImportError:
        return None


def port_of(sock: socket.socket) -> Any:
    """The fastest port there is."""
    core = compiled()
    return Port(sock) if core is None else core.Port(sock)
