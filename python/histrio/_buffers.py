"""Large data of messages: buffers of a pickle (PEP 574) in a file in memory, which the receiver maps for itself.

A payload with large data is an ext value: the size of the file, and a pickle of (parts, pickle, patches). `parts` are the
places of the buffers in the file; a pickle that is None is the first of them itself. `patches` are what the receiver writes into its
mapping: (place, bytes). The descriptor of the file goes beside the payload (docs/host.md); without one the file's bytes stand behind
all of this.

Each receiver's mapping is private: it may write into its arrays, and nobody else sees that.
"""

from __future__ import annotations

import errno
import mmap
import os
import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

from . import _memory as memory
from ._errors import EncodingError, ValueTooLarge

EXT = 82
LARGE = 256 * 1024  # below, a copy through a socket costs less than a file
LARGE_PICKLE = 1 << 20  # more is kept in mailboxes of such, and a process has few descriptors
FILE_MAX = 1 << 30
ELSEWHERE_MAX = 4 << 20  # all of a message to another node, where it has the file's bytes behind it
_EXT = struct.Struct(">BIB")
_FILE_SIZE = struct.Struct("<Q")

Dumps = Callable[[Any, Callable[[pickle.PickleBuffer], object]], bytes]


class Large(Exception):
    """There is a large buffer: encode() is the way."""


def refuse_large(buffer: pickle.PickleBuffer) -> bool:
    """A buffer_callback for what is most probably small."""
    if buffer.raw().nbytes >= LARGE:
        raise Large
    return True


class Attached(bytes):
    """A payload and the descriptor of its file; -1: this process had no room for it. Closes it when it is forgotten."""

    fd: int

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def attach(payload: bytes, fd: int) -> Attached:
    attached = Attached(payload)
    attached.fd = fd
    return attached


# ---- sending ----


def encode(dumps: Dumps, value: Any) -> Attached:
    """The payload of a value with large buffers."""
    found: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        found.append(raw)
        return False

    data = dumps(value, keep)
    return _payload(data, found)


def encode_pickle(data: bytes) -> Attached:
    """The payload of a large pickle. The compiled port calls it, too."""
    return _payload(data, [])


def _payload(data: bytes, buffers: Sequence[memoryview]) -> Attached:
    is_inside = len(data) >= LARGE
    whole = [memoryview(data), *buffers] if is_inside else list(buffers)
    places, end = [], 0
    for one in whole:
        places.append(end)
        end += -(-one.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    if end > FILE_MAX:
        raise ValueTooLarge(f"{end} bytes are too many; a message holds at most {FILE_MAX}")
    # Files of whole pages are used again for what differs by some bytes. But where that would be too much for other nodes:
    least, beside = places[-1] + whole[-1].nbytes, 0 if is_inside else len(data)
    if least + beside <= ELSEWHERE_MAX < end + beside + mmap.PAGESIZE:
        end = least
    patches: list[tuple[int, bytes]] = []
    try:
        came = None if is_inside else memory.again(whole)
        if came is not None:
            fd, end, places, patches = came
        else:
            fd = memory.filled(whole, places, end)
    except OSError as error:
        raise EncodingError(f"no memory for {end} bytes of large data: {error}") from error
    parts = [(place, one.nbytes) for place, one in zip(places, whole)]
    told = _FILE_SIZE.pack(end) + pickle.dumps((parts, None if is_inside else data, patches), 5)
    return attach(_EXT.pack(0xC9, len(told), EXT) + told, fd)


# ---- receiving ----


def decode(payload: bytes) -> Any:
    """The value of a payload; its buffers are writable, and live in memory of their own."""
    view = memoryview(payload)[_EXT.size:]
    (size,) = _FILE_SIZE.unpack_from(view)
    parts, data, patches = pickle.loads(view[_FILE_SIZE.size:])
    whole = memoryview(_map(payload, size))
    if any(place < 0 or count < 0 or place + count > size for place, count in parts):
        raise ValueError("large data is not where it should be")
    for place, changed in patches:
        whole[place : place + len(changed)] = changed
    buffers = [whole[place : place + count] for place, count in parts]
    if data is None:
        data = buffers.pop(0)
    return pickle.loads(data, buffers=buffers)


def _map(payload: bytes, size: int) -> Any:
    if not isinstance(payload, Attached):
        return bytearray(memoryview(payload)[len(payload) - size:])
    if payload.fd < 0:
        raise OSError(errno.EMFILE, "no descriptor was left for large data")
    fd, payload.fd = payload.fd, -1
    return memory.mapped(fd, size)


def inlined(payload: bytes) -> bytes:
    """The same payload for who has no descriptors: the file's bytes stand behind it."""
    if not isinstance(payload, Attached):
        return bytes(payload)
    size = os.fstat(payload.fd).st_size
    content = os.pread(payload.fd, size, 0)
    told = payload[_EXT.size:] + content
    return _EXT.pack(0xC9, len(told), EXT) + told
