"""Which ordered fault is due, and what the standing faults make of a frame; the connection carries it out."""

from enum import Enum

from voicebot.local.soniox.frames import END, FIN, Frame
from voicebot.local.soniox.options import Faults


class Fault(Enum):
    """A fault that happens once, at a point of the audio."""

    DROP = "drop"
    ERROR = "error"
    GARBAGE = "garbage"
    HALF_CLOSE = "half-close"


class FaultClock:
    """Gives each timed fault once, when its time has come."""

    def __init__(self, faults: Faults) -> None:
        times = (
            (faults.garbage_at_ms, Fault.GARBAGE),
            (faults.half_close_at_ms, Fault.HALF_CLOSE),
            (faults.error_at_ms, Fault.ERROR),
            (faults.drop_at_ms, Fault.DROP),
        )
        self._waiting = sorted(((at, fault) for at, fault in times if at is not None), key=lambda entry: entry[0])

    def due(self, position_ms: int) -> list[Fault]:
        """Faults whose time is at or before `position_ms` of audio."""
        due = [fault for at, fault in self._waiting if at <= position_ms]
        self._waiting = self._waiting[len(due) :]
        return due


def bend(frame: Frame, faults: Faults) -> Frame | None:
    """The frame as the standing faults leave it; None when nothing is left to send."""
    if not (faults.silent or faults.never_end):
        return frame
    before = frame["tokens"]
    tokens = [token for token in before if _survives(token["text"], faults)]
    if before and not tokens:
        return None
    return {**frame, "tokens": tokens}


def _survives(text: str, faults: Faults) -> bool:
    if text == END:
        return not (faults.never_end or faults.silent)
    return text == FIN or not faults.silent
