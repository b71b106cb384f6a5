"""The file format of recorded calls: what is written is what is read, and what cannot be read says why."""

import json

import pytest

from voicebot.core.actions import BargeInPolicy, Expect
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    Digit,
    DigitsCompleted,
    Endpoint,
    Finalized,
    Finished,
    FloorGiven,
    Heard,
    HungUp,
    NoInput,
    NotATurn,
    ResumeSpeech,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Token,
    Turn,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnRequested,
    TurnRetracted,
)
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import (
    VERSION,
    Audio,
    BotAudio,
    BotCleared,
    Effect,
    End,
    Head,
    Input,
    Leg,
    PolicyChanged,
    Posted,
    Recording,
    Replied,
)
from voicebot.wire.recording import RecordingError, decode, encode, read
from voicebot.wire.recording_labels import read_labels
from voicebot.wire.recording_policy import policy_keys, read_changes

TOKENS = (Token(" grüß", 60, 120, 0.9, "1", "de"), Token("hi", translation=True, source_language="de"))
TURN = Turn(2, "grüß", "endpoint", TOKENS, "12", "hi", started_ms=60, ended_ms=120)
POLICY = TurnPolicy(
    commit_after_ms=900, barge_in=BargeInPolicy(backchannels=("mhm", "ok")), expect=Expect(kind="digits", digits=4)
)
INPUTS = [
    Heard(TOKENS, (Token(" welt", 200, 300),)),
    Endpoint(),
    Finalized(),
    Finished(),
    SttFailed(402, "quota", "no money"),
    SpeechStarted(40),
    SpeechStopped(200, 900),
    BotStarted(interruptible=False, text="Hello."),
    BotStopped(),
    FloorGiven(),
    Digit("#"),
    TurnRequested(),
    HungUp(),
    Tick(),
]
EFFECTS = [
    AskFinalize(),
    TurnProvisional(TURN, 2),
    TurnRetracted(2, 1, "grüß"),
    TurnCompleted(TURN, 2, confirms=True),
    NotATurn("echo", "hello", TOKENS),
    DigitsCompleted("12", "finish_key"),
    BargeIn("words"),
    ResumeSpeech(),
    NoInput(3),
]
HEAD = Head(
    call="CA1",
    from_number="+15550100",
    to_number="+15550101",
    mode="transcribe",
    started_at="2026-01-02T03:04:05Z",
    tracks=("caller", "agent"),
    policy=POLICY,
    stt={"language_hints": ["de", "en"]},
)
LINES = [
    HEAD,
    Leg(1.5, 1, "caller", -18.5, "MZ1"),
    Audio(1_000.25, "agent", 0, bytes(range(256))),
    BotAudio(1_001.5, 1_060.125, bytes(range(256))),
    BotCleared(1_002.0),
    *(Input(2, "caller", event) for event in INPUTS),
    *(Effect(3, "agent", effect) for effect in EFFECTS),
    PolicyChanged(4, "caller", POLICY),
    Posted(5, "turn.completed", 7),
    Replied(6, 7, ("say", "hangup"), 5.5, None),
    End(7, "caller_hangup"),
]


def members(union):
    return {member.__name__ for member in union.__value__.__args__}


def test_every_kind_of_event_is_tried():
    assert {type(each).__name__ for each in INPUTS} == members(TurnInput)
    assert {type(each).__name__ for each in EFFECTS} == members(TurnEffect)


def kind(line):
    return " ".join(
        type(each).__name__ for each in (line, getattr(line, "event", None), getattr(line, "effect", None)) if each
    )


@pytest.mark.parametrize("line", LINES, ids=kind)
def test_a_line_is_read_as_it_was_written(line):
    text = encode(line)
    assert text.endswith("\n") and text.count("\n") == 1
    assert decode(text) == line


def test_the_format_that_is_documented():
    assert json.loads(encode(Input(1.23456, "caller", Heard((Token(" I", 60, 120),))))) == {
        "type": "input",
        "t_ms": 1.235,
        "track": "caller",
        "name": "heard",
        "event": {"settled": [{"text": " I", "start_ms": 60, "end_ms": 120}]},
    }
    assert json.loads(encode(Audio(1, "caller", 20, b"\xff\x7f"))) == {
        "type": "audio",
        "t_ms": 1,
        "track": "caller",
        "at_ms": 20,
        "ulaw": "/38=",
    }


def test_the_head_holds_the_whole_policy_so_that_defaults_may_change():
    policy = json.loads(encode(Head(call="CA1")))["policy"]
    assert policy["commit_after_ms"] == TurnPolicy().commit_after_ms
    assert policy["barge_in"]["min_ms"] == TurnPolicy().barge_in.min_ms


def test_fields_of_later_programs_are_passed_over():
    assert decode('{"type":"end","t_ms":1,"reason":"full","more":1}\n') == End(1, "full")
    assert decode('{"type":"input","t_ms":1,"track":"caller","name":"tick","event":{"new":1}}') == Input(
        1, "caller", Tick()
    )


def test_a_whole_recording():
    assert read(map(encode, LINES)) == Recording(HEAD, tuple(LINES[1:]))


@pytest.mark.parametrize("kept", [1, 20, -2])
def test_a_cut_last_line_is_no_fault(kept):
    lines = [encode(line) for line in LINES]
    found = read([*lines[:-1], lines[-1][:kept]])
    assert (found.lines, found.cut) == (tuple(LINES[1:-1]), True)


FAULTS = [
    pytest.param("", "begins with a line of type head", id="nothing"),
    pytest.param("hello\nworld\n", "line 1: no line of a recording", id="another file"),
    pytest.param("{}", "'type' is missing or unknown", id="no type"),
    pytest.param("[]\n", "no line of a recording", id="no object"),
    pytest.param(encode(End(1, "x")), "begins with a line of type head", id="no head"),
    pytest.param(encode(HEAD) + "{\n" + encode(End(1, "x")), "line 2: ", id="a fault in the middle"),
    pytest.param(f'{{"type":"head","version":{VERSION + 1},"call":"C"}}', "use a newer one", id="a newer format"),
    pytest.param('{"type":"head","version":1}', "'call' is missing", id="a head without a call"),
    pytest.param(
        '{"type":"head","version":1,"call":"C","policy":{"commit_after_ms":-5}}',
        "commit_after_ms: ",
        id="a wrong policy",
    ),
    pytest.param(
        '{"type":"head","version":1,"call":"C","tracks":["x"]}', "neither caller nor agent", id="a wrong track"
    ),
]


@pytest.mark.parametrize(("text", "why"), FAULTS)
def test_what_cannot_be_read_says_where_and_why(text, why):
    with pytest.raises(RecordingError, match=why.replace("(", r"\(")):
        read(text.splitlines(keepends=True))


def test_an_unknown_event_is_a_fault_and_shows_the_line():
    with pytest.raises(RecordingError, match=r"'sneezed' is missing or unknown: '.*sneezed"):
        decode('{"type":"input","t_ms":1,"track":"caller","name":"sneezed"}')


# --- labels ---------------------------------------------------------------------------------------


def labels(**changes):
    whole = {
        "id": "a",
        "language": "en",
        "audio": "a.wav",
        "words": [{"text": "one"}],
        "messages": [],
        "silence_spans": [
            {"start_ms": 500, "end_ms": 900, "kind": "hold"},
            {"start_ms": 1_500, "end_ms": 4_000, "kind": "eot"},
        ],
    }
    return json.dumps(whole | changes)


def test_labels_in_the_shape_of_eot_bench():
    found = read_labels(labels())
    assert [(each.start_ms, each.end_ms, each.kind) for each in found.silences] == [
        (500, 900, "hold"),
        (1_500, 4_000, "eot"),
    ]
    assert [(each.start_ms, each.end_ms) for each in found.utterances] == [(0, 1_500)]
    assert len(list(found.holds())) == 1


def test_labels_with_utterances():
    two = [
        {"start_ms": 5_000, "end_ms": 5_200, "text": "mhm", "kind": "backchannel"},
        {"start_ms": 0, "end_ms": 1_500, "text": "one two"},
    ]
    found = read_labels(labels(utterances=two, kind="pause", offset_ms=120))
    assert [(each.text, each.kind) for each in found.utterances] == [("one two", "turn"), ("mhm", "backchannel")]
    assert (found.kind, found.offset_ms) == ("pause", 120)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{", "Invalid JSON", id="no JSON"),
        pytest.param("{}", "id: Field required", id="nothing in it"),
        pytest.param(
            labels(silence_spans=[{"start_ms": 1, "end_ms": 0, "kind": "eot"}]), "ends before", id="backwards"
        ),
        pytest.param(labels(utterances=[{"start_ms": 1}]), "utterances.0.end_ms: Field required", id="no end"),
    ],
)
def test_wrong_labels_say_what_and_where(text, why):
    with pytest.raises(RecordingError, match=why):
        read_labels(text)


# --- changes of the policy ------------------------------------------------------------------------


def test_changes_lie_over_the_policy():
    change = read_changes(["commit_after_ms=1200", "barge_in.min_ms=400", "expect.kind=digits", "provisional=true"])
    changed = change(POLICY)
    assert (changed.commit_after_ms, changed.barge_in.min_ms, changed.provisional) == (1_200, 400, True)
    assert (changed.expect.kind, changed.expect.digits) == ("digits", 4)
    assert changed.barge_in.backchannels == ("mhm", "ok")
    assert change.endpoints


def test_lists_and_nothing_are_written_as_json():
    changed = read_changes(['barge_in.backchannels=["aha"]', "expect.digits=null"])(POLICY)
    assert (changed.barge_in.backchannels, changed.expect.digits) == (("aha",), None)


def test_endpoints_can_be_switched_off():
    assert not read_changes(["endpoint.enabled=false"]).endpoints
    assert read_changes([])(POLICY) == POLICY


def test_every_knob_has_a_key():
    assert {"commit_after_ms", "provisional", "barge_in.min_words", "expect.kind"} <= set(policy_keys())


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        pytest.param(
            "patience=3", "patience: no such knob; there are barge_in.backchannels, .*commit_after_ms", id="unknown"
        ),
        pytest.param("barge_in=3", "no such knob", id="a branch"),
        pytest.param("commit_after_ms", "is not KEY=VALUE", id="no value"),
        pytest.param("commit_after_ms=soon", "commit_after_ms: ", id="a wrong type"),
        pytest.param("commit_after_ms=5", "commit_after_ms: .*greater than or equal to 200", id="out of bounds"),
        pytest.param("expect.kind=poem", "expect.kind: ", id="a wrong word"),
        pytest.param("endpoint.enabled=maybe", "is true or false", id="neither true nor false"),
    ],
)
def test_a_wrong_change_is_refused(assignment, why):
    with pytest.raises(RecordingError, match=why):
        read_changes([assignment])
