"""What the node of histrio.local() logs, and actors print, as lines of this program."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import IO, Any, TextIO


def relay(pipe: IO[bytes]) -> threading.Thread:
    """Shows what comes out of the pipe, until its end, in a thread of its own."""
    thread = threading.Thread(target=_relay, args=(pipe,), name="histrio-output", daemon=True)
    thread.start()
    return thread


def _relay(pipe: IO[bytes]) -> None:
    with pipe:
        for line in pipe:
            try:
                show(line)
            except (OSError, ValueError):
                pass  # this program's own streams are closed


def show(line: bytes) -> None:
    """A line of the node's log: of an actor with its name; of the node itself what warns."""
    text = line.decode("utf-8", "replace").rstrip("\n")
    try:
        told: dict[str, Any] = json.loads(text)
        level, said = told["level"], told["text"]
    except (ValueError, TypeError, KeyError):
        _write(sys.stderr, text)
        return
    actor, stream = told.get("actor", ""), told.get("stream", "")
    if stream:
        _write(sys.stderr if stream == "stderr" else sys.stdout, f"[{actor}] {said}" if actor else said)
    elif actor or level in ("warning", "error") or "pid" in told:
        prefix = f"[{actor}] " if actor else ""
        loud = f"{level.upper()} " if level in ("warning", "error") else ""
        _write(sys.stderr, f"{prefix}{loud}{said}")
    for key in ("traceback", "stack"):
        if told.get(key):
            _write(sys.stderr, str(told[key]).rstrip())


def _write(stream: TextIO | None, text: str) -> None:
    """A whole line at once: not in the midst of one that this program's print() is writing in parts."""
    if stream is None:
        return  # a program without such a stream
    data = (text + "\n").encode("utf-8", "replace")
    is_own = any(stream is own for own in (sys.__stdout__, sys.__stderr__))
    if is_own:
        fd = stream.fileno()
        while data:
            data = data[os.write(fd, data):]
    else:
        stream.write(data.decode())  # a notebook's, or a test's
        stream.flush()
