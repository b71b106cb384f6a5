"""The conversation so far: who said what, with only the heard text of the bot."""

from dataclasses import dataclass, field
from typing import Literal

type Role = Literal["user", "assistant", "agent"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said; `at_ms` counts from the start of the call."""

    role: Role
    text: str
    at_ms: int


@dataclass(slots=True)
class Transcript:
    """Lines in the order in which they were said; consecutive lines of one side stay apart."""

    max_lines: int = 2_000
    """Beyond it the oldest lines are let go; a call of two hours has fewer."""
    max_chars: int = 100_000
    """Beyond it the oldest lines are let go; of a line that is longer by itself, its end is kept."""
    lines: list[Line] = field(default_factory=list[Line])
    _chars: int = 0

    def add(self, role: Role, text: str, at_ms: int) -> None:
        """Add a line; text without words is none."""
        if not text.strip():
            return
        line = Line(role, text.strip()[-self.max_chars :], at_ms)
        self.lines.append(line)
        self._chars += len(line.text)
        gone = 0
        while self._chars > self.max_chars or len(self.lines) - gone > self.max_lines:
            self._chars -= len(self.lines[gone].text)
            gone += 1
        del self.lines[:gone]
