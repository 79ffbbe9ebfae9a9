"""Several calls at once."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from ._call import Call, Gathered

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
R = TypeVar("R")


@overload
def gather(one: Call[T1], two: Call[T2], /) -> Call[tuple[T1, T2]]: ...
@overload
def gather(one: Call[T1], two: Call[T2], three: Call[T3], /) -> Call[tuple[T1, T2, T3]]: ...
@overload
def gather(one: Call[T1], two: Call[T2], three: Call[T3], four: Call[T4], /) -> Call[tuple[T1, T2, T3, T4]]: ...
@overload
def gather(*calls: Call[R]) -> Call[list[R]]: ...
def gather(*calls: Call[Any]) -> Any:
    """All answers, in order: `await histrio.gather(...)`, or `.result()`. The first error is raised and cancels the others."""
    return Gathered(calls)
