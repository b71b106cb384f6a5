"""What the store keeps, in the words of the API."""

from collections.abc import Iterable

from pydantic import JsonValue
from pydantic_core import from_json

from voicebot.call.dialled import Dialling
from voicebot.store.records import (
    AsideRecord,
    CallRecord,
    CallSummary,
    EventRecord,
    EventSummary,
    Hit,
    TurnRecord,
    UtteranceRecord,
)
from voicebot.wire import api
from voicebot.wire.webhook_data import EntryData, LatencyData, LatencySummary, Word


def summary(call: CallSummary, *, live: bool) -> api.CallSummary:
    """Return a call as a line of a list."""
    return api.CallSummary(
        id=call.id,
        from_=call.from_number,
        to=call.to_number,
        direction=call.direction,
        mode=call.mode,
        state="live" if live else "ended",
        started_at=call.started_at,
        ended_at=call.ended_at,
        reason=call.reason,
        duration_ms=call.duration_ms,
        turns=call.turns,
    )


def ringing(dialling: Dialling) -> CallSummary:
    """Return a call that rings as the store would, which does not have it."""
    return CallSummary(
        id=dialling.carrier_id,
        from_number=dialling.from_,
        to_number=dialling.to,
        direction="outbound",
        mode=dialling.mode,
        started_at=dialling.started_at,
        ended_at=None,
        reason=None,
        duration_ms=None,
        turns=0,
    )


def detail(call: CallRecord, *, live: bool, words: bool, recording: bool) -> api.CallDetail:
    """Return a call whole."""
    return api.CallDetail(
        call=summary(call.summary, live=live),
        turns=tuple(_turn(turn, words=words) for turn in call.turns),
        utterances=tuple(map(_utterance, call.utterances)),
        asides=tuple(map(_aside, call.asides)),
        counts=api.Counts(
            turns=len(call.turns),
            utterances=len(call.utterances),
            interruptions=sum(each.interrupted for each in call.utterances),
            asides=len(call.asides),
        ),
        latency=_latency(
            turn.latency["audio_heard_ms"] for turn in call.turns if turn.latency and "audio_heard_ms" in turn.latency
        ),
        parameters=call.parameters,
        state=call.state,
        recording=recording,
    )


def hit(found: Hit) -> api.HitItem:
    """Return where something was said."""
    return api.HitItem(
        call=found.call_id,
        from_=found.from_number,
        to=found.to_number,
        kind=found.kind,
        track=found.track,
        number=found.number,
        at=found.at,
        snippet=tuple(api.SnippetPart(text=part.text, match=part.match) for part in found.snippet),
    )


def delivery(event: EventSummary) -> api.DeliveryItem:
    """Return an event as a line of a list."""
    return api.DeliveryItem(
        id=event.id,
        call=event.call_id,
        sequence=event.sequence,
        type=event.type,
        wants_reply=event.wants_reply,
        url=event.url,
        state=event.state,
        created_at=event.created_at,
        attempts=event.attempts,
        first_attempt_at=event.first_attempt_at,
        next_attempt_at=event.next_attempt_at,
        delivered_at=event.delivered_at,
        last_status=event.last_status,
        last_error=event.last_error,
    )


def delivery_detail(event: EventRecord) -> api.DeliveryDetail:
    """Return an event whole."""
    return api.DeliveryDetail(
        delivery=delivery(event.summary),
        attempts=tuple(api.AttemptItem.model_validate(each, from_attributes=True) for each in event.attempts),
        copies=tuple(api.CopyItem.model_validate(each, from_attributes=True) for each in event.copies),
        body=_json(event.body),
    )


def _turn(turn: TurnRecord, *, words: bool) -> api.TurnItem:
    spoken = tuple(Word.model_validate(word) for word in turn.words)
    sure = [word.confidence for word in spoken if word.confidence is not None]
    return api.TurnItem(
        track=turn.track,
        number=turn.number,
        revision=turn.revision,
        text=turn.text,
        translation=turn.translation,
        digits=turn.digits,
        languages=_each_once(word.language for word in spoken),
        speakers=_each_once(word.speaker for word in spoken),
        confidence=sum(sure) / len(sure) if sure else None,
        reason=turn.reason,
        started_at=turn.started_at,
        ended_at=turn.ended_at,
        entry=None if turn.entry is None else EntryData.model_validate(turn.entry),
        latency=None if turn.latency is None else LatencyData.model_validate(turn.latency),
        words=spoken if words else None,
    )


def _utterance(said: UtteranceRecord) -> api.UtteranceItem:
    return api.UtteranceItem(
        text=said.text,
        heard=said.heard,
        unheard=said.unheard,
        ms=said.ms,
        interrupted=said.interrupted,
        started_at=said.started_at,
    )


def _aside(aside: AsideRecord) -> api.AsideItem:
    return api.AsideItem(kind=aside.kind, text=aside.text, at=aside.at)


def _latency(heard_ms: Iterable[int]) -> LatencySummary | None:
    ordered = sorted(heard_ms)
    if not ordered:
        return None
    return LatencySummary(
        turns=len(ordered),
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[len(ordered) * 19 // 20],
        max_ms=ordered[-1],
    )


def _each_once(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _json(body: bytes) -> JsonValue:
    """Bytes that are emptied, or that another version wrote, are no reason to show nothing."""
    try:
        value: JsonValue = from_json(body, cache_strings="none")
    except ValueError:
        return None
    return value
