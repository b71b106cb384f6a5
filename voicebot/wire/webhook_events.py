"""The events of the webhook contract, as the application receives them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, Field, JsonValue

from voicebot.core.events import Token, Turn
from voicebot.wire.webhook_data import (
    CallDegradedData,
    CallEndedData,
    CallInfo,
    CallRecoveredData,
    CallResumedData,
    CallStartedData,
    DigitsCompletedData,
    Message,
    Model,
    NoInputData,
    SpeechData,
    TranscriptFinalData,
    TransferFailedData,
    TurnCompletedData,
    TurnData,
    TurnProvisionalData,
    TurnRetractedData,
)


class _Envelope(Model):
    """What every event carries."""

    type: str
    """What happened."""
    id: str
    """Stable over retries and restarts, and the same as the header `webhook-id`: drop an event that you know."""
    sequence: Annotated[int, Field(ge=1)]
    """Counts the events of the call from 1, without gaps."""
    created_at: AwareDatetime
    """When it happened."""
    call: CallInfo
    """The call."""


class _Asking(_Envelope):
    """An event that waits for a reply."""

    messages: tuple[Message, ...] | None = None
    """The conversation so far, unless switched off (`webhook.messages`)."""


class CallStartedEvent(_Asking):
    """The call has begun; the reply is the greeting."""

    type: Literal["call.started"] = "call.started"
    data: CallStartedData


class CallResumedEvent(_Asking):
    """The call goes on after its stream was lost, or the service restarted; the reply says how."""

    type: Literal["call.resumed"] = "call.resumed"
    data: CallResumedData


class TurnCompletedEvent(_Asking):
    """The caller has said something and waits."""

    type: Literal["turn.completed"] = "turn.completed"
    data: TurnCompletedData


class TurnProvisionalEvent(_Asking):
    """The caller may have finished; the reply is held until that is sure."""

    type: Literal["turn.provisional"] = "turn.provisional"
    data: TurnProvisionalData


class TurnRetractedEvent(_Envelope):
    """The caller went on after a provisional turn."""

    type: Literal["turn.retracted"] = "turn.retracted"
    data: TurnRetractedData


class DigitsCompletedEvent(_Asking):
    """The caller has pressed keys and said nothing."""

    type: Literal["digits.completed"] = "digits.completed"
    data: DigitsCompletedData


class NoInputEvent(_Asking):
    """Nobody has spoken for a while."""

    type: Literal["no_input"] = "no_input"
    data: NoInputData


class TransferFailedEvent(_Asking):
    """A transfer did not come about and the caller is back."""

    type: Literal["transfer.failed"] = "transfer.failed"
    data: TransferFailedData


class CallDegradedEvent(_Asking):
    """The call cannot hear any more and goes on."""

    type: Literal["call.degraded"] = "call.degraded"
    data: CallDegradedData


class CallRecoveredEvent(_Envelope):
    """The call hears again."""

    type: Literal["call.recovered"] = "call.recovered"
    data: CallRecoveredData


class TranscriptFinalEvent(_Envelope):
    """Something was said on a call that is only transcribed."""

    type: Literal["transcript.final"] = "transcript.final"
    data: TranscriptFinalData


class SpeechInterruptedEvent(_Envelope):
    """The caller spoke over the bot, which fell silent."""

    type: Literal["speech.interrupted"] = "speech.interrupted"
    data: SpeechData


class SpeechFinishedEvent(_Envelope):
    """The caller has heard an utterance to its end."""

    type: Literal["speech.finished"] = "speech.finished"
    data: SpeechData


class CallEndedEvent(_Envelope):
    """The call is over; nothing follows."""

    type: Literal["call.ended"] = "call.ended"
    data: CallEndedData


type Event = Annotated[
    CallStartedEvent
    | CallResumedEvent
    | TurnCompletedEvent
    | TurnProvisionalEvent
    | TurnRetractedEvent
    | DigitsCompletedEvent
    | NoInputEvent
    | TransferFailedEvent
    | CallDegradedEvent
    | CallRecoveredEvent
    | TranscriptFinalEvent
    | SpeechInterruptedEvent
    | SpeechFinishedEvent
    | CallEndedEvent,
    Field(discriminator="type"),
]

_CLASSES: tuple[type[_Envelope], ...] = get_args(get_args(Event.__value__)[0])
EVENT_TYPES: tuple[str, ...] = tuple(event.model_fields["type"].default for event in _CLASSES)
"""All types, in the order of the documentation."""
WANTS_REPLY: frozenset[str] = frozenset(
    event.model_fields["type"].default for event in _CLASSES if issubclass(event, _Asking)
)
"""The types that wait for a reply."""


def turn_data(turn: Turn, origin: datetime) -> TurnData:
    """Return `turn` for the application; `origin` is the instant of the first audio of the media stream."""
    spoken = [token for token in turn.tokens if not token.translation]
    started_at, ended_at = instants(turn, origin)
    # Checked as a whole: words that are made one by one take nearly twice as long.
    return TurnData.model_validate(
        {
            "number": turn.number,
            "text": turn.text,
            "translation": turn.translation,
            "languages": _distinct(token.language for token in spoken),
            "speakers": _distinct(token.speaker for token in spoken),
            "confidence": _mean(spoken),
            "started_at": started_at,
            "ended_at": ended_at,
            "reason": turn.reason,
            "digits": turn.digits,
            "entry": turn.entry and asdict(turn.entry),
            "words": words_of(turn),
        }
    )


def instants(turn: Turn, origin: datetime) -> tuple[datetime | None, datetime | None]:
    """Return when the first word of a turn began and when the last one ended; see `turn_data`."""
    return _instant(origin, turn.started_ms), _instant(origin, turn.ended_ms)


def words_of(turn: Turn) -> list[dict[str, JsonValue]]:
    """Return the words of a turn, each with the fields of `Word`; translations are none."""
    return [_word(tokens) for tokens in _words([token for token in turn.tokens if not token.translation])]


def _words(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Group tokens into words: a new one begins at a leading space (Soniox, tokens)."""
    word: list[Token] = []
    for token in tokens:
        if word and _begins_word(token, word[-1]):
            yield word
            word = []
        if token.text.strip():
            word.append(token)
    if word:
        yield word


def _begins_word(token: Token, before: Token) -> bool:
    return token.speaker != before.speaker or token.text[:1].isspace() or before.text[-1:].isspace()


def _word(tokens: Sequence[Token]) -> dict[str, JsonValue]:
    starts = [token.start_ms for token in tokens if token.start_ms is not None]
    ends = [token.end_ms for token in tokens if token.end_ms is not None]
    return {
        "text": "".join([token.text for token in tokens]).strip(),
        "start_ms": min(starts, default=None),
        "end_ms": max(ends, default=None),
        "confidence": _mean(tokens),
        "language": tokens[0].language,
        "speaker": tokens[0].speaker,
    }


def _mean(tokens: Sequence[Token]) -> float | None:
    known = [token.confidence for token in tokens if token.confidence is not None]
    return round(sum(known) / len(known), 3) if known else None


def _distinct(values: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _instant(origin: datetime, offset_ms: int | None) -> datetime | None:
    return None if offset_ms is None else origin + timedelta(milliseconds=offset_ms)
