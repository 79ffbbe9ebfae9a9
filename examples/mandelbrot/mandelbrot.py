"""The Mandelbrot set as a picture, a row an actor's message: `python3 mandelbrot.py mandelbrot.ppm`"""

import argparse

import histrio

DEPTH = 100


class Painter(histrio.Actor):
    """Paints rows of a picture that is `width` points wide."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height

    @histrio.method
    def row(self, number: int) -> bytes:
        y = 2.4 * number / self.height - 1.2
        return b"".join(color(escape_time(complex(3.2 * x / self.width - 2.2, y))) for x in range(self.width))


def escape_time(point: complex) -> int:
    value = 0j
    for step in range(DEPTH):
        value = value * value + point
        if abs(value) > 2:
            return step
    return DEPTH


def color(step: int) -> bytes:
    """Red, green and blue; black inside of the set."""
    return b"\0\0\0" if step == DEPTH else bytes((step * 9 % 256, step * 5 % 256, 96 + step * 7 % 160))


def paint(system: histrio.System, width: int, height: int, workers: int) -> bytes:
    """The picture as a PPM file. Rows are answered in any order and come in order; each worker has four in hand."""
    pool = system.pool(Painter, width, height, size=workers, isolation="process").result()
    rows = list(pool.map(Painter.row, range(height)))
    pool.close()
    return f"P6 {width} {height} 255\n".encode() + b"".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--workers", type=int, default=histrio.per_cpu())
    parser.add_argument("file", metavar="FILE")
    options = parser.parse_args()
    with histrio.local(workers=options.workers) as system:
        picture = paint(system, options.width, options.height, options.workers)
    with open(options.file, "wb") as file:
        file.write(picture)
    print(f"{options.file}: {options.width} x {options.height}")


if __name__ == "__main__":
    main()
