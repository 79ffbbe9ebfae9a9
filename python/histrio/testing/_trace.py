"""What happened, in order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One thing that happened: "start", "deliver", "end", "restart", "drop", "give up", ... to an actor; `text` is its method or reason."""

    time: float
    what: str
    actor: str
    text: str = ""


class Trace(list[Entry]):
    """All entries. Print it when a test fails: it reads like a log."""

    def of(self, what: str) -> list[str]:
        """The actors to whom it happened, in order."""
        return [entry.actor for entry in self if entry.what == what]

    def reasons(self, actor: str) -> list[str]:
        """Why an actor's incarnations ended."""
        return [entry.text for entry in self if entry.what == "end" and entry.actor == actor]

    def __str__(self) -> str:
        return "\n".join(f"{entry.time:8.3f} {entry.what:8} {entry.actor} {entry.text}" for entry in self)
