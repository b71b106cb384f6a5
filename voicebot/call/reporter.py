"""Writes a call's events in the words of the webhook contract, numbered without gaps."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Literal

from pydantic import JsonValue

from voicebot.call.eyes import View
from voicebot.call.identity import Identity
from voicebot.call.past import Counts, Past
from voicebot.config import Settings
from voicebot.core.events import DigitsReason, SttFailed, Track, Turn
from voicebot.core.playback import Spoken
from voicebot.core.transcript import Transcript
from voicebot.wire.webhook_data import (
    CallDegradedData,
    CallEndedData,
    CallInfo,
    CallRecoveredData,
    CallResumedData,
    CallStartedData,
    DigitsCompletedData,
    LatencyData,
    LatencySummary,
    Message,
    NoInputData,
    SpeechData,
    SpokenData,
    Totals,
    TranscriptFinalData,
    TranscriptLine,
    TransferFailedData,
    TurnCompletedData,
    TurnProvisionalData,
    TurnRetractedData,
)
from voicebot.wire.webhook_events import (
    CallDegradedEvent,
    CallEndedEvent,
    CallRecoveredEvent,
    CallResumedEvent,
    CallStartedEvent,
    DigitsCompletedEvent,
    Event,
    NoInputEvent,
    SpeechFinishedEvent,
    SpeechInterruptedEvent,
    TranscriptFinalEvent,
    TransferFailedEvent,
    TurnCompletedEvent,
    TurnProvisionalEvent,
    TurnRetractedEvent,
    turn_data,
)

MAX_SPOKEN = 200
"""Utterances that one event tells, the newest: an application may be asked nothing for hours while the bot is made to speak."""


class Reporter:
    """Every event of one call passes here once, so `sequence` has no gap."""

    def __init__(
        self, identity: Identity, view: View, *, messages: bool, transcript_chars: int, new_id: Callable[[], str]
    ) -> None:
        self.identity, self._view = identity, view
        self.state: JsonValue = None
        self.parameters: dict[str, str] = dict(identity.parameters)
        self.transcript = Transcript(max_chars=transcript_chars)
        self.counts = Counts()
        self.sequence = 0
        self._began = monotonic() - max(0.0, (datetime.now(UTC) - identity.started_at).total_seconds())
        """When the call began, on a clock that does not jump."""
        self._messages, self._new_id = messages, new_id
        self._spoken: list[Spoken] = []
        self._told_early: list[Spoken] = []
        """What a provisional turn has told of the bot's speech."""

    def go_on(self, past: Past) -> None:
        """Take up the call where another process has left it."""
        self.state, self.parameters, self.sequence = past.state, dict(past.parameters), past.sequence
        self.counts = past.counts
        for line in past.lines:
            self.transcript.add(line.role, line.text, line.at_ms)

    def said(self, spoken: Spoken) -> None:
        """Note what became of an utterance; the next event that wants a reply tells it."""
        if not spoken.text:
            return  # a pause
        spoken = self._view.spoken(spoken)
        self.counts.utterances += 1
        self.counts.interruptions += spoken.interrupted
        self._spoken.append(spoken)
        del self._spoken[:-MAX_SPOKEN]
        self.transcript.add("assistant", spoken.heard, self._elapsed_ms())

    def overheard(self, text: str) -> None:
        """Note words of the caller that ask for no answer."""
        self.transcript.add("user", self._view.text(text), self._elapsed_ms())

    def call_started(self, mode: Literal["bot", "transcribe"]) -> Event:
        """The call has come in."""
        data = CallStartedData(carrier=dict(self.identity.carrier), mode=mode)
        return CallStartedEvent(**self._envelope(), messages=self._history(), data=data)

    def turn_completed(
        self, turn: Turn, revision: int, origin: datetime, latency: Mapping[str, int]
    ) -> TurnCompletedEvent:
        """The caller has finished a turn; `latency` is that of the turn before it.

        What a provisional turn has told and nobody answered is told again.
        """
        self._spoken = [*self._told_early, *self._spoken][-MAX_SPOKEN:]
        turn = self.confirmed(turn)
        data = TurnCompletedData(
            turn=turn_data(turn, origin), revision=revision, spoken=self._take_spoken(), latency=_latency(latency)
        )
        return TurnCompletedEvent(**self._envelope(), messages=self._history(), data=data)

    def turn_provisional(self, turn: Turn, revision: int, origin: datetime, latency: Mapping[str, int]) -> Event:
        """The caller may have finished a turn; what the bot said is told again when the words are taken back."""
        self._told_early, turn = self._spoken, self._view.turn(turn)
        data = TurnProvisionalData(
            turn=turn_data(turn, origin), revision=revision, spoken=self._take_spoken(), latency=_latency(latency)
        )
        return TurnProvisionalEvent(**self._envelope(), messages=self._history(turn.text), data=data)

    def turn_retracted(self, number: int, revision: int, text: str) -> Event:
        """The caller went on."""
        self.counts.retracted += 1
        self._spoken, self._told_early = [*self._told_early, *self._spoken][-MAX_SPOKEN:], []
        data = TurnRetractedData(number=number, revision=revision, text=self._view.text(text))
        return TurnRetractedEvent(**self._envelope(), data=data)

    def confirmed(self, turn: Turn) -> Turn:
        """A turn of the caller stands; return what the application sees of it."""
        self._told_early = []
        return self._note_turn(turn, "caller")

    def transcript_final(self, turn: Turn, track: Track, origin: datetime) -> TranscriptFinalEvent:
        """One side of a call that is only transcribed has said something."""
        turn = self._note_turn(turn, track)
        return TranscriptFinalEvent(
            **self._envelope(), data=TranscriptFinalData(turn=turn_data(turn, origin), track=track)
        )

    def digits_completed(self, digits: str, reason: DigitsReason) -> Event:
        """The caller has pressed keys and said nothing."""
        data = DigitsCompletedData(digits=self._view.digits(digits), reason=reason, spoken=self._take_spoken())
        return DigitsCompletedEvent(**self._envelope(), messages=self._history(), data=data)

    def no_input(self, count: int) -> Event:
        """Nobody has spoken."""
        self.counts.no_inputs += 1
        data = NoInputData(count=count, spoken=self._take_spoken())
        return NoInputEvent(**self._envelope(), messages=self._history(), data=data)

    def degraded(self, failure: SttFailed) -> Event:
        """The call cannot hear any more."""
        data = CallDegradedData(
            what="recognition",
            kind=failure.kind,
            code=failure.code,
            message=failure.message,
            recovering=failure.recovering,
            spoken=self._take_spoken(),
        )
        return CallDegradedEvent(**self._envelope(), messages=self._history(), data=data)

    def recovered(self, ms: int) -> Event:
        """The call hears again."""
        return CallRecoveredEvent(**self._envelope(), data=CallRecoveredData(what="recognition", ms=ms))

    def transfer_failed(self, to: str, status: str) -> Event:
        """The caller is back."""
        data = TransferFailedData(to=to, status=status, spoken=self._take_spoken())
        return TransferFailedEvent(**self._envelope(), messages=self._history(), data=data)

    def call_resumed(self, why: Literal["stream_lost", "restart"], gap_ms: int | None) -> Event:
        """The call goes on on another stream."""
        self.counts.lost_streams += 1
        data = CallResumedData(why=why, gap_ms=gap_ms, spoken=self._take_spoken())
        return CallResumedEvent(**self._envelope(), messages=self._history(), data=data)

    def speech(self, spoken: Spoken) -> Event:
        """The bot has stopped speaking."""
        spoken = self._view.spoken(spoken)
        data = SpeechData(text=spoken.text, heard=spoken.heard, unheard=spoken.unheard, ms=spoken.ms)
        if spoken.interrupted:
            return SpeechInterruptedEvent(**self._envelope(), data=data)
        return SpeechFinishedEvent(**self._envelope(), data=data)

    def call_ended(self, reason: str, at: datetime | None = None) -> CallEndedEvent:
        """The call is over, or was at an instant in the past."""
        started = self.identity.started_at
        data = CallEndedData(
            reason=reason,
            duration_ms=self._elapsed_ms(at),
            totals=Totals(
                turns=self.counts.turns,
                utterances=self.counts.utterances,
                interruptions=self.counts.interruptions,
                no_inputs=self.counts.no_inputs,
                refused_replies=self.counts.refused_replies,
                missed_replies=self.counts.missed_replies,
                retracted_turns=self.counts.retracted,
                resumptions=self.counts.resumptions,
                lost_streams=self.counts.lost_streams,
                latency=_summary(self.counts.answered_ms),
            ),
            transcript=tuple(
                TranscriptLine(role=line.role, text=line.text, at=started + timedelta(milliseconds=line.at_ms))
                for line in self.transcript.lines
            ),
        )
        return CallEndedEvent(**self._envelope(), data=data)

    def _envelope(self) -> Mapping[str, object]:
        self.sequence += 1
        identity = self.identity
        return {
            "id": self._new_id(),
            "sequence": self.sequence,
            "created_at": datetime.now(UTC),
            "call": CallInfo(
                id=identity.id,
                from_=identity.from_,
                to=identity.to,
                direction=identity.direction,
                started_at=identity.started_at,
                parameters=dict(self.parameters),
                turns=self.counts.turns,
                state=self.state,
            ),
        }

    def _note_turn(self, turn: Turn, track: Track) -> Turn:
        self.counts.turns += 1
        seen = self._view.turn(turn)
        self.transcript.add("user" if track == "caller" else "agent", seen.text, self._elapsed_ms())
        return seen

    def _history(self, said: str = "") -> Sequence[Message] | None:
        """Return the conversation; `said` is a turn that is not sure yet."""
        if not self._messages:
            return None
        lines = [Message(role=line.role, content=line.text) for line in self.transcript.lines if line.role != "agent"]
        return (*lines, Message(role="user", content=said)) if said else tuple(lines)

    def _take_spoken(self) -> tuple[SpokenData, ...]:
        spoken, self._spoken = self._spoken, []
        return tuple(
            SpokenData(text=s.text, heard=s.heard, unheard=s.unheard, ms=s.ms, interrupted=s.interrupted)
            for s in spoken
        )

    def _elapsed_ms(self, at: datetime | None = None) -> int:
        if at is not None:
            return max(0, round((at - self.identity.started_at).total_seconds() * 1_000))
        return round((monotonic() - self._began) * 1_000)


def open_reporter(identity: Identity, view: View, settings: Settings) -> Reporter:
    """Return the reporter of a call under the service's settings."""
    return Reporter(
        identity,
        view,
        messages=settings.webhook.messages,
        transcript_chars=settings.limits.transcript_chars,
        new_id=lambda: f"evt_{secrets.token_hex(12)}",
    )


def _latency(parts: Mapping[str, int]) -> LatencyData | None:
    return LatencyData.model_validate(dict(parts)) if parts else None


def _summary(answered_ms: Sequence[int]) -> LatencySummary | None:
    if not answered_ms:
        return None
    ordered = sorted(answered_ms)
    return LatencySummary(
        turns=len(ordered),
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[len(ordered) * 19 // 20],
        max_ms=ordered[-1],
    )
