"""Secrets, signatures, bodies and the schema of the webhook contract."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from voicebot.core.entries import Entry
from voicebot.core.events import Token, Turn
from voicebot.wire.webhook import (
    EVENT_TYPES,
    WANTS_REPLY,
    encode,
    json_schema,
    parse_event,
)
from voicebot.wire.webhook_data import (
    CallDegradedData,
    CallEndedData,
    CallInfo,
    CallRecoveredData,
    CallResumedData,
    CallStartedData,
    DigitsCompletedData,
    EntryData,
    LatencyData,
    LatencySummary,
    Message,
    NoInputData,
    SpeechData,
    SpokenData,
    Totals,
    TranscriptFinalData,
    TransferFailedData,
    TurnCompletedData,
    TurnData,
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

NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
CALL = CallInfo(
    id="CA1",
    from_="+15550101",
    to="+15550100",
    direction="inbound",
    started_at=NOW,
    parameters={"tenant": "7"},
    turns=2,
    state={"notes": ["a"]},
)
TURN = TurnData(number=1, text="Grüezi", reason="endpoint")
SPEECH = SpeechData(text="Hello there.", heard="Hello", unheard=" there.", ms=400)
HEAD = {"id": "evt_1", "sequence": 3, "created_at": NOW, "call": CALL}
EVENTS = [
    CallStartedEvent(**HEAD, data=CallStartedData(carrier={"FromCity": "BERN"})),
    CallResumedEvent(**HEAD, data=CallResumedData(why="restart", gap_ms=None)),
    TurnCompletedEvent(**HEAD, messages=(Message(role="user", content="Grüezi"),), data=TurnCompletedData(turn=TURN)),
    TurnProvisionalEvent(
        **HEAD,
        messages=(Message(role="user", content="Ja"),),
        data=TurnProvisionalData(
            turn=TurnData(
                number=3,
                text="Ja",
                reason="finalize",
                entry=EntryData(kind="yes_no", value="yes", complete=True),
            ),
            revision=2,
            spoken=(SpokenData(text="Gut?", heard="Gut?", ms=300),),
            latency=LatencyData(settled_ms=330, decided_ms=420, sent_ms=0, audio_heard_ms=861),
        ),
    ),
    TurnRetractedEvent(**HEAD, data=TurnRetractedData(number=3, revision=2, text="ja")),
    DigitsCompletedEvent(**HEAD, data=DigitsCompletedData(digits="", reason="finish_key")),
    NoInputEvent(**HEAD, data=NoInputData(count=1, spoken=(SpokenData(text="Hm?", heard="Hm?", ms=300),))),
    TransferFailedEvent(**HEAD, data=TransferFailedData(to="+15550102", status="busy")),
    CallDegradedEvent(
        **HEAD,
        data=CallDegradedData(what="recognition", kind="unreachable", code=0, message="no answer", recovering=True),
    ),
    CallRecoveredEvent(**HEAD, data=CallRecoveredData(what="recognition", ms=15_000)),
    TranscriptFinalEvent(**HEAD, data=TranscriptFinalData(turn=TURN, track="agent")),
    SpeechInterruptedEvent(**HEAD, data=SPEECH),
    SpeechFinishedEvent(**HEAD, data=SPEECH),
    CallEndedEvent(
        **HEAD,
        data=CallEndedData(
            reason="caller",
            duration_ms=8_000,
            totals=Totals(
                turns=2,
                retracted_turns=1,
                resumptions=1,
                lost_streams=1,
                latency=LatencySummary(turns=2, p50_ms=700, p95_ms=900, max_ms=900),
            ),
        ),
    ),
]


# --- bodies ----------------------------------------------------------------------------------------


def test_there_is_an_example_of_every_type():
    assert tuple(event.type for event in EVENTS) == EVENT_TYPES


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_events_survive_the_wire(event):
    assert parse_event(encode(event)) == event


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_only_events_that_want_a_reply_carry_messages(event):
    assert ("messages" in json.loads(encode(event))) is (event.type in WANTS_REPLY)


def test_the_body_is_compact_utf8_json():
    body = encode(EVENTS[2])
    document = json.loads(body)
    assert body == json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    assert "Grüezi".encode() in body
    assert document["call"]["from"] == "+15550101"
    assert document["created_at"] == "2026-11-22T12:00:00.250000Z"
    assert document["call"]["state"] == {"notes": ["a"]}


def test_events_that_wait_for_somebody():
    asking = "call.started call.resumed turn.completed turn.provisional digits.completed no_input transfer.failed call.degraded"
    assert set(asking.split()) == WANTS_REPLY


def test_a_provisional_turn_carries_what_a_completed_one_does():
    """An application may treat both alike."""
    assert list(TurnProvisionalData.model_fields) == list(TurnCompletedData.model_fields)


def test_a_turn_that_was_told_once_is_revision_one():
    document = json.loads(encode(EVENTS[2]))
    assert document["data"]["revision"] == 1
    assert document["data"]["turn"]["entry"] is None
    assert document["data"]["latency"] is None


def test_a_provisional_turn_on_the_wire():
    document = json.loads(encode(EVENTS[3]))
    assert document["call"]["turns"] == 2
    assert document["data"]["turn"]["number"] == 3
    assert document["data"]["turn"]["entry"] == {"kind": "yes_no", "value": "yes", "complete": True}
    assert document["data"]["revision"] == 2
    assert document["data"]["latency"] == {
        "settled_ms": 330,
        "decided_ms": 420,
        "sent_ms": 0,
        "reply_began_ms": None,
        "replied_ms": None,
        "audio_sent_ms": None,
        "audio_heard_ms": 861,
    }


def test_a_retraction_on_the_wire():
    assert json.loads(encode(EVENTS[4]))["data"] == {"number": 3, "revision": 2, "text": "ja"}


@pytest.mark.parametrize(
    ("event", "change"),
    [
        pytest.param(
            EVENTS[3], {"turn": {"entry": {"kind": "age", "value": "7", "complete": True}}}, id="unknown kind"
        ),
        pytest.param(EVENTS[3], {"turn": {"entry": {"kind": "digits", "value": "7"}}}, id="entry without complete"),
        pytest.param(EVENTS[3], {"latency": {"endpoint_ms": 420}}, id="a step that there is not"),
        pytest.param(EVENTS[4], {"revision": None}, id="retraction without revision"),
        pytest.param(EVENTS[4], {"number": "three"}, id="number in words"),
        pytest.param(EVENTS[4], {"messages": []}, id="unknown field"),
    ],
)
def test_events_of_another_shape_are_none(event, change):
    document = json.loads(encode(event))
    data = document["data"]
    turn = {"turn": {**data["turn"], **change["turn"]}} if "turn" in change else {}
    document["data"] = {**data, **change, **turn}
    with pytest.raises(ValidationError):
        parse_event(json.dumps(document))


def test_sequence_counts_from_one():
    with pytest.raises(ValidationError, match="sequence"):
        CallEndedEvent(**{**HEAD, "sequence": 0}, data=EVENTS[-1].data)


def test_events_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        EVENTS[0].id = "evt_2"


# --- turns -----------------------------------------------------------------------------------------


def tokens(*texts: str, **more: object) -> tuple[Token, ...]:
    return tuple(
        Token(text, start_ms=100 * place, end_ms=100 * place + 90, **more) for place, text in enumerate(texts, start=1)
    )


def words_of(*parts: Token) -> list[str]:
    turn = Turn(number=1, text="", reason="endpoint", tokens=parts)
    return [word.text for word in turn_data(turn, NOW).words]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        pytest.param(["How", " are", " you", "?"], ["How", "are", "you?"], id="leading-spaces"),
        pytest.param(["Beau", "ti", "ful", " day", "."], ["Beautiful", "day."], id="pieces"),
        pytest.param(["one", " ", "two"], ["one", "two"], id="space-alone"),
        pytest.param(["one ", "two"], ["one", "two"], id="trailing-space"),
        pytest.param([" "], [], id="only-space"),
        pytest.param(["好", "的"], ["好的"], id="no-spaces"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_tokens_become_words(texts, words):
    assert words_of(*tokens(*texts)) == words


def test_a_word_has_one_speaker():
    assert words_of(Token("yes", speaker="1"), Token("no", speaker="2")) == ["yes", "no"]


def test_words_keep_times_confidence_language_and_speaker():
    turn = Turn(
        number=4,
        text="Beautiful day",
        reason="finalize",
        tokens=(
            Token("Beau", 100, 200, 0.5, "1", "en"),
            Token("tiful", 200, 400, 1.0, "1", "en"),
            Token(" jour", 450, 700, 0.9, "1", "fr"),
            Token(" schön", language="de", confidence=0.1, translation=True),
        ),
        digits="12",
        translation="schön",
        started_ms=100,
        ended_ms=700,
    )
    data = turn_data(turn, NOW)
    assert [word.model_dump() for word in data.words] == [
        {"text": "Beautiful", "start_ms": 100, "end_ms": 400, "confidence": 0.75, "language": "en", "speaker": "1"},
        {"text": "jour", "start_ms": 450, "end_ms": 700, "confidence": 0.9, "language": "fr", "speaker": "1"},
    ]
    assert (data.languages, data.speakers, data.confidence) == (("en", "fr"), ("1",), 0.8)
    assert (data.started_at, data.ended_at) == (NOW + timedelta(milliseconds=100), NOW + timedelta(milliseconds=700))
    assert (data.number, data.text, data.translation, data.digits) == (4, "Beautiful day", "schön", "12")


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        pytest.param(None, None, id="nothing was expected"),
        pytest.param(Entry("digits", "", complete=False), ("digits", "", False), id="nothing was found"),
        pytest.param(Entry("spelling", "smi", complete=False), ("spelling", "smi", False), id="begun"),
        pytest.param(Entry("email", "a@b.ch", complete=True), ("email", "a@b.ch", True), id="whole"),
    ],
)
def test_what_was_expected_comes_with_the_turn(entry, data):
    """An entry that holds nothing is not the same as none."""
    found = turn_data(Turn(number=1, text="hi", reason="endpoint", entry=entry), NOW).entry
    assert (found and (found.kind, found.value, found.complete)) == data


def test_a_turn_without_times_has_none():
    data = turn_data(Turn(number=1, text="hi", reason="hangup", tokens=(Token("hi"),)), NOW)
    assert (data.started_at, data.ended_at, data.confidence, data.words[0].start_ms) == (None, None, None, None)


# --- schema ----------------------------------------------------------------------------------------


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("part", ["events", "reply", "all"])
def test_the_schema_is_whole(part):
    schema = json_schema(part)
    assert references(schema) <= {f"#/$defs/{name}" for name in schema["$defs"]}
    assert len(schema["anyOf"]) == (2 if part == "all" else 1)


def test_the_schema_explains_every_field_of_an_event():
    for name, definition in json_schema("events")["$defs"].items():
        for field, schema in definition.get("properties", {}).items():
            assert "description" in schema or field in {"type", "data"}, f"{name}.{field}"


def test_the_schema_of_the_reply_asks_for_the_type_and_forbids_unknown_keys():
    definitions = json_schema("reply")["$defs"]
    for action in ("Say", "Play", "Pause", "Listen", "SendDigits", "Transfer", "Redirect", "Configure", "HangUp"):
        assert "type" in definitions[action]["required"]
        assert definitions[action]["additionalProperties"] is False
