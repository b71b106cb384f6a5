"""Gathers the timeline of one call in memory, for the recorder to write: what fails costs the recording, never the call."""

from collections.abc import Sequence

import structlog

from voicebot.core.audio import BYTES_PER_MS
from voicebot.core.events import Track, TurnEffect, TurnInput
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import (
    Audio,
    BotAudio,
    BotCleared,
    Effect,
    End,
    Head,
    Input,
    Leg,
    Line,
    PolicyChanged,
    Posted,
    Replied,
)

AUDIO_MS = 1_000
"""Sound in one line."""
MAX_PENDING = 4_000
"""Lines of one call that wait for the disk: some seconds of a busy call with much sound."""


class CallRecording:
    """The recording of one call; every `at` is loop time in seconds, and nothing here waits or raises."""

    def __init__(self, head: Head, at: float, *, audio: bool) -> None:
        self.call = head.call
        self._began, self._keeps_audio = at, audio
        self._pending: list[Line] = [head]
        self._sound: dict[Track, tuple[int, bytes]] = {}
        """For each track where the sound that is being gathered began, and the sound."""
        self.closed = False
        self.lost = False
        """Nothing more is kept: the disk is too slow or broken, or the file is full."""

    def leg(self, number: int, track: Track, zero_at: float, stream: str, at: float) -> None:
        """Audio of a stream begins; the first byte of its track was at loop time `zero_at`."""
        self._flush(track, at)
        self._add(Leg(self._ms(at), number, track, self._ms(zero_at), stream))

    def audio(self, track: Track, at_ms: int, payload: bytes, at: float) -> None:
        """Keep raw µ-law that begins at `at_ms` on the track's audio clock; gathered into lines of about a second."""
        if not self._keeps_audio or self.lost:
            return
        sound = self._sound.get(track)
        if sound and sound[0] + len(sound[1]) // BYTES_PER_MS != at_ms:
            self._flush(track, at)
            sound = None
        begin, before = sound or (at_ms, b"")
        self._sound[track] = (begin, before + payload)
        if len(before) + len(payload) >= AUDIO_MS * BYTES_PER_MS:
            self._flush(track, at)

    def bot_audio(self, payload: bytes, heard_at: float, at: float) -> None:
        """Keep raw µ-law that is sent to the caller, who begins to hear it at `heard_at`."""
        if self._keeps_audio:
            self._add(BotAudio(self._ms(at), self._ms(heard_at), payload))

    def bot_cleared(self, at: float) -> None:
        """Keep that the bot was silenced."""
        if self._keeps_audio:
            self._add(BotCleared(self._ms(at)))

    def input(self, track: Track, event: TurnInput, at: float) -> None:
        """Keep what the turn machine is told."""
        self._add(Input(self._ms(at), track, event))

    def effect(self, track: Track, effect: TurnEffect, at: float) -> None:
        """Keep what the turn machine decided."""
        self._add(Effect(self._ms(at), track, effect))

    def policy(self, track: Track, policy: TurnPolicy, at: float) -> None:
        """Keep that another policy holds from now on."""
        self._add(PolicyChanged(self._ms(at), track, policy))

    def event(self, kind: str, sequence: int, at: float) -> None:
        """Keep that a webhook was posted."""
        self._add(Posted(self._ms(at), kind, sequence))

    def reply(
        self, sequence: int, actions: Sequence[str], first_byte_at: float | None, done_at: float | None, at: float
    ) -> None:
        """Keep what the application answered, and when."""
        first, done = (None if moment is None else self._ms(moment) for moment in (first_byte_at, done_at))
        self._add(Replied(self._ms(at), sequence, tuple(actions), first, done))

    def close(self, reason: str, at: float) -> None:
        """End the recording; what comes later is not kept."""
        if self.closed:
            return
        for track in tuple(self._sound):
            self._flush(track, at)
        self._add(End(self._ms(at), reason))
        self.closed = True

    def take(self) -> list[Line]:
        """Hand over what waits to be written; for the recorder."""
        taken, self._pending = self._pending, []
        return taken

    def abandon(self) -> None:
        """Keep nothing more; for the recorder."""
        self.lost = True
        self._pending, self._sound = [], {}

    def _flush(self, track: Track, at: float) -> None:
        if sound := self._sound.pop(track, None):
            self._add(Audio(self._ms(at), track, *sound))

    def _add(self, line: Line) -> None:
        if self.closed or self.lost:
            return
        if len(self._pending) >= MAX_PENDING:
            warn(self.call, f"more than {MAX_PENDING} lines wait for the disk")
            self.abandon()
            return
        self._pending.append(line)

    def _ms(self, at: float) -> float:
        return (at - self._began) * 1_000


def warn(call: str, why: str) -> None:
    """Log, once for a call, why its recording ended early."""
    structlog.get_logger().warning("recording.stopped", call=call, why=why)
