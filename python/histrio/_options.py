"""Words of supervision and of the manifest: strategies, durations, and what a class says about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import ClassVar, Literal, Mapping, Union

Duration = Union[float, int, str, timedelta]
Isolation = Literal["shared", "group", "process"]
Restart = Literal["permanent", "transient", "temporary"]
Overflow = Literal["wait", "fail", "drop_oldest", "drop_newest"]
OnError = Literal["reply", "restart"]
StrategyName = Literal["one_for_one", "one_for_all", "rest_for_one"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_WORDS = {
    "isolation": {"shared": "Shared", "group": "Group", "process": "Process"},
    "restart": {"permanent": "Permanent", "transient": "Transient", "temporary": "Temporary"},
    "overflow": {"wait": "Wait", "fail": "Fail", "drop_oldest": "DropOldest", "drop_newest": "DropNewest"},
    "on_restart": {"keep": "Keep", "drop": "Drop"},
    "strategy": {"one_for_one": "OneForOne", "one_for_all": "OneForAll", "rest_for_one": "RestForOne"},
}


def seconds(value: Duration) -> float:
    """A duration as a number of seconds: 1.5, timedelta(seconds=1.5), or "1s500ms" as in manifests."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        if not re.fullmatch(r"([0-9]{1,5}(h|m|s|ms)){1,4}", value):
            raise ValueError(f'"{value}" is no duration: write it like 90s, 1m30s or 250ms')
        return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", value))
    return float(value)


def milliseconds(value: Duration) -> int:
    return max(1, round(seconds(value) * 1000))


def manifest_word(option: str, value: str) -> str:
    """The manifest's word for an option ("process" -> "Process"); its own word is taken, too."""
    words = _WORDS[option]
    if value in words:
        return words[value]
    if value in words.values():
        return value
    raise ValueError(f'{option}="{value}": it is one of {", ".join(words)}')


@dataclass(frozen=True)
class Strategy:
    """What a supervisor restarts when a child failed, and how often within `period` before it gives up.

    backoff=("50ms", "5s"): each restart of a child waits twice as long as the one before, from the first time up to the second, and
    the first time again after the child lived for `period`; its messages wait, too. None: restarts do not wait.
    """

    restarts: int = 3
    period: Duration = 5.0
    backoff: tuple[Duration, Duration] | None = None
    word: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.backoff is None:
            return
        initial, longest = (seconds(one) for one in self.backoff)
        if not 0 < initial <= longest:
            raise ValueError(f"backoff={self.backoff!r}: it is the first wait and the longest one, e.g. (\"50ms\", \"5s\")")

    @cached_property
    def as_manifest(self) -> Mapping[str, object]:
        """Its entry in a manifest; not to be changed."""
        entry: dict[str, object] = {"strategy": self.word, "restarts": self.restarts, "period_ms": milliseconds(self.period)}
        if self.backoff is not None:
            entry["backoff_initial_ms"], entry["backoff_max_ms"] = (milliseconds(one) for one in self.backoff)
        return entry


@dataclass(frozen=True)
class OneForOne(Strategy):
    """Only the child that failed is restarted."""

    word: ClassVar[str] = "OneForOne"


@dataclass(frozen=True)
class OneForAll(Strategy):
    """All children are restarted."""

    word: ClassVar[str] = "OneForAll"


@dataclass(frozen=True)
class RestForOne(Strategy):
    """The child that failed is restarted, and those that were started after it."""

    word: ClassVar[str] = "RestForOne"


STRATEGIES: dict[str, type[Strategy]] = {
    "one_for_one": OneForOne, "one_for_all": OneForAll, "rest_for_one": RestForOne,
}


@dataclass(frozen=True)
class ActorOptions:
    """What @histrio.actor says about a class; the manifest overrides it."""

    isolation: str = "Shared"
    restart: str = "Transient"
    mailbox: int = 0
    overflow: str = "Wait"
    on_restart: str = "Keep"
    supervise: Strategy | None = None
    on_error: OnError = "reply"
    shutdown: float = 5.0
    snapshot_every: int = 1

    @cached_property
    def mailbox_as_manifest(self) -> Mapping[str, object]:
        """Its entry in a manifest; not to be changed."""
        return {"capacity": self.mailbox, "overflow": self.overflow, "on_restart": self.on_restart}


@dataclass(frozen=True)
class CallOptions:
    """What `.opt()` sets. timeout None: the method's, else the system's."""

    timeout: float | None = None
    retries: int = 0
    idempotency_key: str | None = None


@dataclass(slots=True)
class Address:
    """Where an actor is: by path ("tellers.0/counter"), which finds the present incarnation, or one incarnation."""

    path: str = ""
    node: int = 0
    id: int = 0
    python: bool = field(default=True, compare=False)  # it understands pickles

    def __str__(self) -> str:
        return self.path or f"<{self.node:x}.{self.id:x}>"
