"""A page of the documentation, read for what can be run: its fenced code blocks.

    ```python race.py               a file of the page's folder; its suffix may be anything
    ```console                      commands ("$ ...", continued by "> ...") in one shell a page, with what they print
    ```python excerpt=race.py       lines that stand so in a file that the page has, or in a file of the repository

Words behind the first one say more about a console block: `fails` (its last command must), `eventually` (a command is repeated
until it prints what is expected), `cluster` (it needs a cluster).

In expected output `...` stands for anything within a line, and alone on a line for any lines. A duration, a factor or a rate
(0.52 s, 12 ms, 1.9x, 120 calls/s) stands for any: pages show real ones."""

import os
import re

FENCE = re.compile(r"^( *)```(.*)$")
MEASURED = r"\d[\d,]*(?:\.\d+)?(?: ?(?:s|ms|us|MiB|KiB)\b|x(?!\w)| [a-z]+/s\b)"


class PageError(Exception):
    """A page that cannot be run as it is written, or did not print what it shows."""


class Command:
    """One command of a console block; `first` and `end` are the lines of its expected output, counted in the page."""

    def __init__(self, text, first):
        self.text = text
        self.expected = []
        self.first = first

    @property
    def end(self):
        return self.first + len(self.expected)


class Block:
    """A fenced block: `words` are those of its opening line, `line` is the page's line (from 0) of its first line of text."""

    def __init__(self, words, lines, line):
        self.words = words
        self.lines = lines
        self.line = line

    @property
    def language(self):
        return self.words[0] if self.words else ""

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)

    @property
    def file(self):
        """The name of the file that the block is, or None."""
        names = [word for word in self.words[1:] if "=" not in word]
        return names[0] if names and self.language != "console" else None

    @property
    def excerpt(self):
        return next((word.split("=", 1)[1] for word in self.words if word.startswith("excerpt=")), None)

    def has(self, word):
        return word in self.words[1:]

    def commands(self):
        found = []
        for number, line in enumerate(self.lines, self.line):
            if line.startswith("$ "):
                found.append(Command(line[2:], number + 1))
            elif line.startswith("> ") and found and not found[-1].expected:
                found[-1].text += "\n" + line[2:]
                found[-1].first = number + 1
            elif found:
                found[-1].expected.append(line)
            else:
                raise PageError(f"line {number + 1}: a console block begins with a command, \"$ ...\"")
        return found


class Page:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.lines = file.read().splitlines()
        self.blocks = list(self._read())

    @property
    def name(self):
        return os.path.splitext(os.path.basename(self.path))[0]

    def _read(self):
        opened = None
        for number, line in enumerate(self.lines):
            fence = FENCE.match(line)
            if not fence:
                continue
            if opened is None:
                opened = (len(fence[1]), fence[2].split(), number + 1)
            else:
                indent, words, first = opened
                yield Block(words, [text[indent:] for text in self.lines[first:number]], first)
                opened = None
        if opened is not None:
            raise PageError(f"{self.path}:{opened[2]}: this block has no end")


def pattern(line):
    """The expected line as a regular expression."""
    found = ""
    for part in re.split(rf"(\.\.\.|{MEASURED})", line):
        if part == "...":
            found += ".*"
        elif re.fullmatch(MEASURED, part):
            found += MEASURED
        else:
            found += re.escape(part)
    return found


def matches(expected, printed):
    """Whether lines printed are those expected."""
    text = ""
    for line in expected:
        text += r"(?:.*\n)*" if line.strip() == "..." else pattern(line.rstrip()) + r"[ ]*\n"
    return re.fullmatch(text, "".join(line + "\n" for line in printed)) is not None


def refreshed(expected, printed):
    """Expected lines that match, with the measured values of now: what stands for anything stays."""
    if len(expected) != len(printed):
        return expected
    return [old if "..." in old else new for old, new in zip(expected, printed)]
