"""Counts the words of text files with a pool of actors, each in a process of its own: `python3 word_count.py FILE...`"""

import argparse
import collections
import re
import sys
from collections.abc import Iterator

import histrio

WORD = re.compile(r"[a-z']+")
PART_BYTES = 256 * 1024


class Counter(histrio.Actor):
    """Counts the words of a part of a text."""

    @histrio.method
    def count(self, part: str) -> dict[str, int]:
        return collections.Counter(WORD.findall(part.lower()))


def parts(paths: list[str]) -> Iterator[str]:
    """The files in parts of whole lines: large enough that a message is worth its way, small enough to share the work fairly."""
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            while lines := file.readlines(PART_BYTES):
                yield "".join(lines)


def count_words(system: histrio.System, paths: list[str], workers: int) -> collections.Counter[str]:
    total: collections.Counter[str] = collections.Counter()
    pool = system.pool(Counter, size=workers, isolation="process").result()
    for counts in pool.map(Counter.count, parts(paths), ordered=False):
        total.update(counts)
    pool.close()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=histrio.per_cpu())
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    with histrio.local(workers=options.workers) as system:
        total = count_words(system, options.files, options.workers)
    for word, count in total.most_common(options.top):
        print(f"{count:8} {word}")
    print(f"{total.total():8} words, {len(total)} different ones", file=sys.stderr)


if __name__ == "__main__":
    main()
