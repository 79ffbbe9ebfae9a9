"""Thumbnails of pictures by a C library that crashes on broken ones: `python3 thumbnails.py PICTURE.pgm...`

A crash ends the process of one actor. The picture that did it is reported, the others get their thumbnails."""

import argparse
import asyncio
import ctypes
import os
import pathlib
from collections.abc import Iterator

import histrio

SMALL = 32


def library() -> ctypes.CDLL:
    """libscale.so: HISTRIO_SCALE names it, or it is beside this file."""
    return ctypes.CDLL(os.environ.get("HISTRIO_SCALE") or str(pathlib.Path(__file__).with_name("libscale.so")))


@histrio.actor(isolation="process", supervise=histrio.OneForOne(restarts=100, period="10s"))
class Scaler(histrio.Actor):
    """Scales pictures. What its C code breaks is its own process."""

    def __init__(self) -> None:
        self.scale = library().scale_gray

    @histrio.method
    def thumbnail(self, width: int, height: int, points: bytes) -> bytes:
        small = ctypes.create_string_buffer(SMALL * SMALL)
        size = ctypes.c_size_t
        self.scale(points, size(width), size(height), small, size(SMALL), size(SMALL))
        return small.raw


def read_picture(path: pathlib.Path) -> tuple[int, int, bytes]:
    """Width, height and points of a picture in the format PGM, as its header says: nobody checks whether that is true."""
    header, _, points = path.read_bytes().partition(b"\n")
    magic, width, height, depth = header.split()
    if (magic, depth) != (b"P5", b"255"):
        raise ValueError(f"{path} is no PGM picture")
    return int(width), int(height), points


async def thumbnail(scaler: Scaler, path: pathlib.Path) -> str:
    """Makes one, and says what came of it."""
    try:
        small = await scaler.thumbnail(*read_picture(path))
    except histrio.ActorCrashed as error:
        return f"{path.name}: broken ({error.reason})"
    target = path.with_suffix(".small.pgm")
    target.write_bytes(f"P5 {SMALL} {SMALL} 255\n".encode() + small)
    return f"{path.name}: {target.name}"


async def feed(scaler: Scaler, paths: Iterator[pathlib.Path]) -> None:
    """One picture at a time, so that a crash has one cause."""
    for path in paths:
        print(await thumbnail(scaler, path))


async def work(paths: list[pathlib.Path], workers: int) -> None:
    async with histrio.local(workers=1) as system:
        pool = await system.pool(Scaler, size=workers, name="scaler")
        waiting = iter(paths)
        await asyncio.gather(*(feed(scaler, waiting) for scaler in pool))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=histrio.per_cpu())
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", type=pathlib.Path)
    options = parser.parse_args()
    asyncio.run(work(options.pictures, options.workers))


if __name__ == "__main__":
    main()
