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
    lines: list[Line] = field(default_factory=list[Line])

    def add(self, role: Role, text: str, at_ms: int) -> None:
        """Add a line; text without words is none."""
        if text.strip():
            self.lines.append(Line(role, text.strip(), at_ms))
            del self.lines[: -self.max_lines]
