"""What a test does to messages on their way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Rule:
    """Does something to the next `times` messages `method` (None: of any name) for an actor. `seen` counts them."""

    action: str  # drop, delay, duplicate, crash
    path: str
    id: int
    method: str | None = None
    times: int = 1
    seconds: float = 0.0
    signal: str = "SEGV"
    seen: int = 0

    def takes(self, path: str, id: int, method: str) -> bool:
        if self.seen >= self.times or (self.method is not None and self.method != method):
            return False
        if self.path != path if self.path else self.id != id:
            return False
        self.seen += 1
        return True
