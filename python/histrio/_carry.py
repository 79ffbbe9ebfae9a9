"""What messages carry beside their arguments, from where they are sent to where they are handled, and on from there: the trace that they
belong to (W3C trace context), and context variables that ask for it."""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_UNSET = object()
_carried: dict[str, contextvars.ContextVar[Any]] = {}
_trace: contextvars.ContextVar[str] = contextvars.ContextVar("histrio_trace", default="")


def carry(variable: contextvars.ContextVar[T]) -> contextvars.ContextVar[T]:
    """Has messages carry a context variable, and returns it:

        TENANT = histrio.carry(contextvars.ContextVar("tenant"))

    What it is where a message is sent it is in the handler, and in messages that the handler sends. The module that says so is imported on both
    sides, as that of the actor's class is; values are pickled, so actors in C and clients do not see them.
    """
    if _carried.setdefault(variable.name, variable) is not variable:
        raise ValueError(f'a context variable "{variable.name}" is carried already: names tell them apart')
    return variable


@contextlib.contextmanager
def traced(traceparent: str) -> Iterator[None]:
    """Messages that are sent inside belong to this trace, and so do those that their handlers send: `ctx.traceparent`, and `traceId` in
    lines of the log.

    traceparent: of W3C trace context, "00-<32 hex digits>-<16 hex digits>-<2 hex digits>".
    """
    if not _TRACEPARENT.fullmatch(traceparent):
        raise ValueError(f'"{traceparent}" is no traceparent: it looks like 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
    token = _trace.set(traceparent)
    try:
        yield
    finally:
        _trace.reset(token)


TRACE_SIZE = 25


def trace_text(data: bytes) -> str:
    """A traceparent of its bytes: trace id, parent id, flags."""
    return f"00-{data[:16].hex()}-{data[16:24].hex()}-{data[24]:02x}"


def trace_id(traceparent: str) -> str:
    """The part that all messages of a trace have in common."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found.group(1) if found else traceparent


def current_trace(inherited: str) -> str:
    """The trace of what is sent here, "" for none; inherited: of the message that is being handled."""
    return _trace.get() or inherited


def outgoing(inherited: str) -> dict[str, Any] | None:
    """What a message that is sent here takes along; inherited: the trace of the one that is being handled."""
    trace = _trace.get() or inherited
    told: dict[str, Any] | None = {"trace": trace} if trace else None
    if _carried:
        values = {name: value for name, one in _carried.items() if (value := one.get(_UNSET)) is not _UNSET}
        if values:
            told = {"vars": values} if told is None else {**told, "vars": values}
    return told


def enter(values: Mapping[str, Any] | None) -> list[tuple[contextvars.ContextVar[Any], contextvars.Token[Any]]]:
    """Sets what came; for leave()."""
    return [(one, one.set(values[name])) for name, one in _carried.items() if name in values] if values else []


def leave(entered: list[tuple[contextvars.ContextVar[Any], contextvars.Token[Any]]]) -> None:
    for one, token in entered:
        one.reset(token)
