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

    def audio(self, payload: bytes, key: bytes = b"") -> list[stamps.Stamp]:
        """Note one upstream message and its masking key; return the stamps of its frames."""
        now = time.monotonic_ns()
        found = stamps.read(payload, key)
        self.frames += len(found)
        self.unstamped += -(-len(payload) // stamps.FRAME_BYTES) - len(found)
        sent_ns = now
        for _, _, call, sequence, sent_ns in found:
            if sequence < self._next.get(call, 0):
                self.disordered += 1
            else:
                self._next[call] = sequence + 1
            if self.recording:
                self.every.append((now - sent_ns) / 1e6)
        if self.recording and found:
            self.newest.append((now - sent_ns) / 1e6)
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
