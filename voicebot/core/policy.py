"""The turn policy: the knobs of the turn machine, and what an expected answer does to its patience."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Self

from annotated_types import Ge, Le

from voicebot.core.actions import BargeInPolicy, Expect, Listen, Milliseconds
from voicebot.core.entries import Entry

PATIENT_MS = 3_000
"""Least `commit_after_ms` in the middle of an entry: between groups of digits, letters, parts of an address."""
ANSWERED_MS = 600
"""Most `commit_after_ms` after a clear yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPolicy:
    """The knobs of the machine; times in milliseconds of the caller's silence unless said otherwise."""

    finalize_after_ms: Annotated[int, Ge(200), Le(10_000)] = 300
    """Silence after which `finalize` is sent; Soniox advises 200 ms at least (manual finalization)."""
    commit_after_ms: Annotated[int, Ge(200), Le(30_000)] = 1_600
    """Silence after which finalized words are a turn although no endpoint came."""
    endpoint_after_ms: Annotated[int, Ge(0), Le(10_000)] = 0
    """Least silence before an endpoint ends the turn; 0 takes the recogniser's word for it."""
    max_turn_ms: Annotated[int, Ge(1_000), Le(600_000)] = 60_000
    """From the first word to cutting the turn."""
    no_input_ms: Milliseconds = 8_000
    """Silence after the bot's last heard word before `no_input`; 0 is never."""
    provisional: bool = False
    """Tell the application the turn as soon as its words are settled; its reply is held until the end is sure."""
    barge_in: BargeInPolicy = BargeInPolicy()
    expect: Expect = Expect()

    def changed_by(self, listen: Listen) -> Self:
        """Return this policy with what `listen` names laid over it."""
        named = {knob.name: value for knob in fields(self) if (value := getattr(listen, knob.name)) is not None}
        return replace(self, **named)

    def commit_ms(self, entry: Entry | None) -> int:
        """Return after how much silence words that read as `entry` are a turn without an endpoint."""
        if entry is None or not entry.value:
            return self.commit_after_ms
        if not entry.complete:
            return max(self.commit_after_ms, PATIENT_MS)
        match entry.kind:
            case "yes_no":
                return min(self.commit_after_ms, ANSWERED_MS)
            case "digits" | "spelling":
                return min(self.commit_after_ms, self.finalize_after_ms)  # its length is known and reached
            case _:
                return self.commit_after_ms


def awaits_more(entry: Entry | None) -> bool:
    """Say whether an entry has begun and is not whole: then an endpoint is a pause, and not the end of the turn."""
    return entry is not None and bool(entry.value) and not entry.complete
