"""What the counterparts note: the fate of every frame, every endpoint and every webhook."""

import time
from array import array
from dataclasses import dataclass, field
from typing import Any

import figures
import stamps


def milliseconds(since_ns: int, until_ns: int) -> float:
    """Return the time between two readings of the monotonic clock."""
    return (until_ns - since_ns) / 1e6


@dataclass(slots=True)
class Book:
    """Counts run over the whole run, latencies only while `recording`."""

    recording: bool = False
    frames: int = 0
    disordered: int = 0
    """Frames that came twice or late; a late one counts as lost besides, for it is of no use."""
    unstamped: int = 0
    webhooks: int = 0
    calls_ended: int = 0
    messages: int = 0
    message_bytes: int = 0
    newest: "array[float]" = field(default_factory=lambda: array("d"))
    every: "array[float]" = field(default_factory=lambda: array("d"))
    hooks: "array[float]" = field(default_factory=lambda: array("d"))
    _next: dict[int, int] = field(default_factory=dict[int, int])
    _ends: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])

    def audio(self, payload: bytes) -> list[stamps.Stamp]:
        """Note one upstream message; return the stamps of its frames."""
        now = time.monotonic_ns()
        found = []
        for offset in range(0, len(payload), stamps.FRAME_BYTES):
            stamp = stamps.read(payload, offset)
            if stamp is None:
                self.unstamped += 1
                continue
            found.append(stamp)
            self._place(stamp)
        if self.recording and found:
            self.every.extend(milliseconds(stamp.sent_ns, now) for stamp in found)
            self.newest.append(milliseconds(found[-1].sent_ns, now))
        return found

    def tokens(self, size: int) -> None:
        """Note one message down."""
        self.messages += 1
        self.message_bytes += size

    def end(self, call: int, utterance: int) -> None:
        """Note that an `<end>` goes out."""
        self._ends[call, utterance] = time.monotonic_ns()

    def webhook(self, event: dict[str, Any]) -> None:
        """Note one event; that of a turn is known by its first word, which names call and utterance."""
        now = time.monotonic_ns()
        self.webhooks += 1
        if event["type"] == "call.ended":
            self.calls_ended += 1
        if event["type"] != "turn.completed":
            return
        words = event["data"]["turn"]["text"].split()
        ended = self._ends.pop(utterance_of(words[0]), None) if words else None
        if ended is not None and self.recording:
            self.hooks.append(milliseconds(ended, now))

    def report(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "frames": self.frames,
            "disordered": self.disordered,
            "unstamped": self.unstamped,
            "webhooks": self.webhooks,
            "webhooks_missing": len(self._ends),
            "calls_ended": self.calls_ended,
            "token_message_bytes": round(self.message_bytes / self.messages) if self.messages else None,
            "forward_newest_ms": figures.spread(self.newest),
            "forward_all_ms": figures.spread(self.every),
            "end_to_webhook_ms": figures.spread(self.hooks),
        }

    def _place(self, stamp: stamps.Stamp) -> None:
        self.frames += 1
        expected = self._next.get(stamp.call, 0)
        if stamp.sequence < expected:
            self.disordered += 1
        else:
            self._next[stamp.call] = stamp.sequence + 1


def first_word(call: int, utterance: int) -> str:
    """Return the word that an utterance begins with."""
    return f"Utterance-{call}-{utterance}"


def utterance_of(word: str) -> tuple[int, int]:
    """Return call and utterance; (-1, -1) for another word."""
    match word.split("-"):
        case ["Utterance", call, utterance] if call.isdigit() and utterance.isdigit():
            return int(call), int(utterance)
        case _:
            return -1, -1
