"""Files in memory for large data: filled and lent to messages, and mapped by who gets them.

1. A file is written only while nobody else has it, be it open or mapped: the kernel says so, as it gives no write lease else. Messages get
   a descriptor that can only read. So files are used again, with the pages that they have, and who dies with one leaves it free.
2. What came in a file and was changed in few places goes back as that file and those pages.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

KEPT_LEAST = 1 << 20
KEPT_MOST = 256 << 20
KEPT_FILES_MOST = 32  # each is a descriptor
IDLE = 1.0  # seconds after which files that nobody wants are given back
REGIONS_MAX = 64
PATCHES_MAX = 256
PAGE = mmap.PAGESIZE
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

# ---- files to be filled ----

_lock = threading.Lock()
_kept: list[File] = []  # the latest last
_last_use = 0.0
_sweeper: threading.Thread | None = None


class File:
    """A file of ours. Used again it is mapped, which writes into the pages that it has in half the time; pages that it has not
    yet are had sooner without a mapping."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.mapping: mmap.mmap | None = None
        self.copy: Callable[[mmap.mmap, int, memoryview], None] | None = None

    def map(self) -> None:
        """Where that can be done, and where nobody counts what this process has mapped."""
        import resource

        from ._frames import compiled

        core = compiled()
        if self.mapping is not None or core is None or resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY:
            return
        try:
            mapping = mmap.mmap(self.fd, self.size)
        except OSError:
            return
        if core.populate(mapping):
            self.mapping, self.copy = mapping, core.copy

    def write(self, buffer: memoryview, place: int) -> None:
        if self.mapping is not None and self.copy is not None:
            self.copy(self.mapping, place, buffer)
            return
        done = 0
        while done < buffer.nbytes:
            done += os.pwrite(self.fd, buffer[done:], place + done)

    def close(self) -> None:
        os.close(self.fd)
        if self.mapping is not None:
            self.mapping.close()


def filled(buffers: Sequence[memoryview], places: Sequence[int], size: int) -> int:
    """A descriptor that can only read, of a file with the buffers at their places."""
    file = _take(size)
    try:
        for buffer, place in zip(buffers, places):
            file.write(buffer, place)
        lent = os.open(f"/proc/self/fd/{file.fd}", os.O_RDONLY | os.O_CLOEXEC)
    except BaseException:
        file.close()
        raise
    _keep(file)
    return lent


def _take(size: int) -> File:
    file = _take_kept(size)
    if file is None:
        return File(_made(size), size)
    file.map()
    return file


def _take_kept(size: int) -> File | None:
    with _lock:
        for at in range(len(_kept) - 1, -1, -1):
            if _kept[at].size == size and _is_free(_kept[at].fd):
                return _kept.pop(at)
    return None


def _made(size: int) -> int:
    made = os.memfd_create("histrio-data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(made, size)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{made}", os.O_RDWR | os.O_CLOEXEC)  # the first one counts as no writer
    finally:
        os.close(made)


def _is_free(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True


def _keep(file: File) -> None:
    global _last_use, _sweeper
    dropped = []
    with _lock:
        _last_use = time.monotonic()
        if KEPT_LEAST <= file.size <= KEPT_MOST:
            _kept.append(file)
        else:
            dropped.append(file)
        while len(_kept) > KEPT_FILES_MOST or sum(one.size for one in _kept) > KEPT_MOST:
            dropped.append(_kept.pop(0))
        if _kept and _sweeper is None:
            _sweeper = threading.Thread(target=_sweep, name="histrio-memory", daemon=True)
            _sweeper.start()
    for one in dropped:
        one.close()


def _sweep() -> None:
    """Gives all back when none was wanted for a while."""
    global _sweeper
    idle, dropped = 0.0, list[File]()
    while idle < IDLE:
        time.sleep(IDLE - idle)
        with _lock:
            idle = time.monotonic() - _last_use
            if idle >= IDLE:
                dropped = _kept[:]
                _kept.clear()
                _sweeper = None
    for one in dropped:
        one.close()


def _forked() -> None:
    """In a child: its descriptors would keep the files from being free."""
    global _lock, _sweeper
    _lock, _sweeper = threading.Lock(), None
    for one in _kept:
        one.close()
    _kept.clear()


os.register_at_fork(after_in_child=_forked)

# ---- files that came ----


class Region:
    """A file that is mapped here. Its mapping is taken before anything is done with it: Python unmaps the memory of an object that nobody has
    any more, and gives its place away, before it tells us so; but from then on that object cannot be taken."""

    def __init__(self, mapping: mmap.mmap, size: int, fd: int) -> None:
        self.mapping = weakref.ref(mapping)
        self.start = _address(mapping)
        self.size = size
        self.fd = fd

    def forget(self) -> None:
        _regions.discard(self)
        os.close(self.fd)


_regions: set[Region] = set()
_CHANGED = bytes(int(bool(one & 0xC0) and not one & 0x20) for one in range(256))  # there, and no page of the file any more


def mapped(fd: int, size: int) -> mmap.mmap:
    """A private, writable mapping of a file; takes the descriptor."""
    try:
        memory = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        if len(_regions) < REGIONS_MAX:
            region = Region(memory, size, os.dup(fd))
            _regions.add(region)
            weakref.finalize(memory, region.forget).atexit = False
    finally:
        os.close(fd)
    return memory


def again(buffers: Sequence[memoryview]) -> tuple[int, int, list[int], list[tuple[int, bytes]]] | None:
    """(descriptor, size, places, patches) when all of the buffers came in one file and few of its pages were changed."""
    if not _regions or any(one.readonly for one in buffers):
        return None
    starts = [_address(one) for one in buffers]
    for region in _regions.copy():
        places = [start - region.start for start in starts]
        if all(0 <= place <= region.size - one.nbytes for place, one in zip(places, buffers)):
            mapping = region.mapping()  # held until the descriptor is ours
            if mapping is None or mapping.closed:
                continue
            patches = _patches(region, buffers, places)
            return None if patches is None else (os.dup(region.fd), region.size, places, patches)
    return None


def _patches(region: Region, buffers: Sequence[memoryview], places: Sequence[int]) -> list[tuple[int, bytes]] | None:
    patches = []
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for buffer, place in zip(buffers, places):
            first, end = place // PAGE, -(-(place + buffer.nbytes) // PAGE)
            entries = os.pread(pagemap.fileno(), 8 * (end - first), 8 * (region.start // PAGE + first))
            flags = entries[7::8].translate(_CHANGED)
            if len(flags) != end - first or flags.count(1) > PATCHES_MAX:
                return None
            at = flags.find(1)
            while at >= 0:
                begin = max(place, (first + at) * PAGE)
                till = min(place + buffer.nbytes, (first + at + 1) * PAGE)
                patches.append((begin, bytes(buffer[begin - place : till - place])))
                at = flags.find(1, at + 1)
    return patches


def _address(memory: Any) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
