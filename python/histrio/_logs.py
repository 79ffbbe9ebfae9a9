"""What actors print and log, as frames with the actor's name."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

from . import _carry as carry
from . import _codec as codec
from . import _frames as frames
from ._runtime import executing

DEBUG, INFO, WARNING, ERROR = range(4)
LINE_MAX = 16 * 1024


def log(port: Any, level: int, message: str, slot: int = 0, **told: Any) -> None:
    """A line of the log of the actor that runs, or of another one."""
    execution = executing.get()
    if execution is not None:
        slot = slot or (execution.cell.slot if execution.cell is not None else 0)
        if execution.trace:
            told["traceId"] = carry.trace_id(execution.trace)
    texts = {"message": message[:LINE_MAX], **told}
    payload = codec.pack({name: codec.utf8(text).decode() if isinstance(text, str) else text for name, text in texts.items()}, "a line of the log")
    port.send(frames.LOG, level, slot, payload=payload)


class Stream(io.TextIOBase):
    """stdout or stderr of a worker: whole lines become frames."""

    def __init__(self, port: Any, name: str, soon: Callable[[], None]) -> None:
        self._port = port
        self._name = name
        self._soon = soon
        self._rest = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._tell(line)
        if self._rest:
            self._port.dirty = True
        if len(self._rest) > LINE_MAX:
            self.finish()
        return len(text)

    def flush(self) -> None:
        pass

    def finish(self) -> None:
        """The line without an end, at the end of a message."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._tell(rest)

    def _tell(self, line: str) -> None:
        log(self._port, INFO, line, stream=self._name)
        self._soon()


class Handler(logging.Handler):
    """Records of the standard library's logging as frames."""

    def __init__(self, port: Any, soon: Callable[[], None]) -> None:
        super().__init__()
        self._port = port
        self._soon = soon

    def emit(self, record: logging.LogRecord) -> None:
        try:
            told: dict[str, Any] = {"logger": record.name}
            if record.exc_info and record.exc_info[0] is not None:
                told["traceback"] = "".join(traceback.format_exception(*record.exc_info))[-LINE_MAX:]
            log(self._port, level_of(record.levelno), record.getMessage(), 0, **told)
            self._soon()
        except Exception:
            self.handleError(record)


def level_of(number: int) -> int:
    if number >= logging.ERROR:
        return ERROR
    if number >= logging.WARNING:
        return WARNING
    return INFO if number >= logging.INFO else DEBUG


def install(port: Any, soon: Callable[[], None]) -> tuple[Stream, Stream]:
    """print() and logging of this process go to the node from now on. soon(): flushes the port in a moment."""
    streams = Stream(port, "stdout", soon), Stream(port, "stderr", soon)
    sys.stdout, sys.stderr = streams
    root = logging.getLogger()
    root.handlers[:] = [Handler(port, soon)]
    if root.level == logging.WARNING:
        root.setLevel(logging.INFO)
    return streams
