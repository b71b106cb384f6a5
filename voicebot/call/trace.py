"""The spans of one call: the call itself, its turns and the bot's speech; what was said is in none of them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields

from opentelemetry.trace import Span, SpanKind, StatusCode

from voicebot.call.identity import Identity
from voicebot.core.latency import TurnClock
from voicebot.tracing import Tracing, at_ns
from voicebot.wire.soniox_tts import VoiceOptions

BROKEN = frozenset({"error", "stt_failed", "stream_lost", "lost", "no_stream"})
"""Reasons of a call's end that are nobody's wish."""


class CallTrace:
    """Knows below which span each event of a call belongs."""

    def __init__(self, tracing: Tracing, identity: Identity, mode: str) -> None:
        self._tracing = tracing
        self._start_ns = round(identity.started_at.timestamp() * 1e9)
        kind = SpanKind.SERVER if identity.direction == "inbound" else SpanKind.CLIENT
        about = _named({"call": identity.id, "direction": identity.direction, "mode": mode})
        self.span = tracing.call(identity.id, kind, self._start_ns, about)
        self._turns: dict[int, Span] = {}
        """By the sequence of the events that tell them, for as long as they are open."""

    def parent_of(self, sequence: int) -> Span:
        """Return the span that an event, and the answer to it, belong to."""
        return self._turns.get(sequence, self.span)

    def turn(self, start: float) -> Span:
        """Begin the span of a turn where its speech began (loop time)."""
        start_ns = max(at_ns(start), self._start_ns) if self._tracing.on else None
        return self._tracing.child(self.span, "turn", SpanKind.INTERNAL, start_ns)

    def tells(self, sequence: int, turn: Span) -> None:
        """An event tells a turn."""
        self._turns[sequence] = turn

    def turn_over(self, turn: Span, clock: TurnClock, about: Mapping[str, object]) -> None:
        """End the span of a turn with its last step; the steps are its events."""
        self._turns = {sequence: span for sequence, span in self._turns.items() if span is not turn}
        if not turn.is_recording():
            return
        steps = {step.name: at for step in fields(clock) if (at := getattr(clock, step.name)) is not None}
        for name, at in steps.items():
            turn.add_event(name, timestamp=at_ns(at))
        turn.set_attributes(_named(about))
        turn.end(at_ns(max(steps.values(), default=asyncio.get_running_loop().time())))

    @contextmanager
    def speech(self, sequence: int, voice: VoiceOptions) -> Iterator["Speech"]:
        """Keep a span while the bot's speech is made; it belongs to the turn whose answer it is, if to any."""
        about = _named({"voice": voice.voice, "language": voice.language})
        span = self._tracing.child(self.parent_of(sequence), "speech", SpanKind.CLIENT, None, about)
        try:
            yield Speech(span)
        finally:
            span.end()

    @contextmanager
    def session(self, track: str) -> Iterator[Callable[[str | None], None]]:
        """Keep a span while a session of speech-to-text lives; what is given takes the kind of its loss, if it is lost."""
        span = self._tracing.child(self.span, "recognition", SpanKind.CLIENT, None, _named({"track": track}))

        def ended(kind: str | None) -> None:
            if kind is not None:
                span.set_attribute("error.type", kind)
                span.set_status(StatusCode.ERROR)

        try:
            yield ended
        finally:
            span.end()

    def over(self, reason: str, about: Mapping[str, object]) -> None:
        """End the span of the call, and whatever is still open below it."""
        for turn in self._turns.values():
            turn.end()
        if reason in BROKEN:
            self.span.set_attribute("error.type", reason)
            self.span.set_status(StatusCode.ERROR)
        self.span.set_attributes(_named(about))
        self.span.end()


class Speech:
    """The span of an utterance."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def over(self, text: str, first_audio_at: float | None, *, failed: bool) -> None:
        """All its audio was sent, or will not be."""
        if not self._span.is_recording():
            return
        self._span.set_attribute("voicebot.characters", len(text))
        if first_audio_at is not None:
            self._span.add_event("first_audio", timestamp=at_ns(first_audio_at))
        if failed:
            self._span.set_attribute("error.type", "speech_failed")
            self._span.set_status(StatusCode.ERROR)


def _named(about: Mapping[str, object]) -> dict[str, str | int | float | bool | tuple[str, ...]]:
    """Return what is known under the names that the log has too."""
    return {
        f"voicebot.{name}": value
        for name, value in about.items()
        if isinstance(value, str | int | float | bool | tuple) and value != ()
    }
