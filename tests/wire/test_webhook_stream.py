"""A reply in pieces: each action as soon as it is complete, however the network has cut it."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.actions import HangUp, Pause, Say
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_reply import MAX_ACTIONS, MAX_TEXT, UNSET, Reply, parse_reply
from voicebot.wire.webhook_stream import Part, open_stream

LINES = "application/x-ndjson"
STREAM = "text/event-stream"
LIMIT = 65_536
SAY = {"type": "say", "text": "Hi."}


def stream(content_type: str = LINES, max_bytes: int = LIMIT):
    opened = open_stream(content_type, max_bytes=max_bytes)
    assert opened is not None
    return opened


def lines(*units: object) -> bytes:
    return b"".join(json.dumps(unit).encode() + b"\n" for unit in units)


def read(chunks: list[bytes], content_type: str = LINES, max_bytes: int = LIMIT) -> Part:
    """Return everything that a stream in these chunks brings."""
    reader = stream(content_type, max_bytes)
    parts = [*map(reader.push, chunks), reader.end()]
    states = [part.state for part in parts if part.state is not UNSET]
    actions = tuple(action for part in parts for action in part.actions)
    return Part(actions, states[-1] if states else UNSET, parts[-1].refusal)


def fault(*units: object) -> str:
    return str(read([lines(*units)]).refusal)


# --- as it comes -----------------------------------------------------------------------------------


def test_an_action_is_there_with_the_end_of_its_line():
    reader = stream()
    assert reader.push(b'{"type":"say","text":"Hi."}') == Part()
    assert reader.push(b'\n{"type":') == Part((Say(text="Hi."),))
    assert reader.push(b'"hangup"}') == Part()
    assert reader.end() == Part((HangUp(),))


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\r\n\n", b"\n\r"])
def test_a_message_is_there_with_its_empty_line(end):
    reader = stream(STREAM)
    parts = [reader.push(bytes([byte])) for byte in b'data: {"type":"hangup"}' + end]
    assert [part.actions for part in parts if part.actions] == [(HangUp(),)]
    assert reader.end() == Part(), "the other half of the line's end is no empty line of its own"


@pytest.mark.parametrize("comment", [b": ping\n\n", b":\r\n", b"event: x\nid: 3\n\n", b"retry: 10\n", b"\n\n"])
def test_comments_and_other_fields_mean_nothing(comment):
    body = b'data: {"type":"say",\ndata: "text":"Hi."}\n\n'
    assert read([comment, body, comment, comment], STREAM) == Part((Say(text="Hi."),))
    assert stream(STREAM).push(comment) == Part()


def test_a_comment_inside_a_message_does_not_end_it():
    assert read([b'data: {"type":"say",\n: ping\ndata: "text":"Hi."}\n\n'], STREAM).actions == (Say(text="Hi."),)


def test_the_last_state_counts():
    assert read([lines({"state": 1}, SAY, {"state": None})]) == Part((Say(text="Hi."),), None)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/html", "", None])
def test_other_types_are_no_streams(content_type):
    assert open_stream(content_type, max_bytes=LIMIT) is None


def test_parameters_of_the_type_do_not_matter():
    assert open_stream("Application/X-NDJSON; charset=utf-8", max_bytes=LIMIT) is not None


# --- faults ----------------------------------------------------------------------------------------


def test_what_came_before_a_fault_stands_and_nothing_behind_it_is_read():
    reader = stream()
    part = reader.push(lines(SAY, {"type": "pause"}, SAY))
    assert part.actions == (Say(text="Hi."),)
    assert str(part.refusal) == "reply refused at line 2: $.ms: is missing"
    assert reader.push(lines(SAY)) == reader.end() == Part(refusal=part.refusal)


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_size_of_a_stream_is_bounded(size):
    body = lines(SAY, {"type": "pause", "ms": 1}) + b" " * 200
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    part = read(chunks, max_bytes=100)
    assert part.actions == (Say(text="Hi."), Pause(ms=1))
    assert str(part.refusal) == "reply refused at $: is larger than 100 bytes"
    assert read(chunks, max_bytes=len(body)).refusal is None


def test_comments_count_towards_the_size():
    assert "larger than 100 bytes" in str(read([b": ping\n\n"] * 20, STREAM, max_bytes=100).refusal)


def test_a_stream_has_so_many_actions():
    reader = stream()
    for _ in range(MAX_ACTIONS):
        assert reader.push(lines(SAY)).refusal is None
    assert "line 51: $: is action 51 of the reply; 50 are the most" in str(reader.push(lines(SAY)).refusal)


def test_nothing_follows_the_end_of_the_conversation():
    assert "line 2: $: pause comes after hangup" in fault({"type": "hangup"}, {"type": "pause", "ms": 1})


# --- sentences in pieces ---------------------------------------------------------------------------


def more(text: str, **others: object) -> dict[str, object]:
    return {"type": "say", "text": text, "more": True, **others}


def test_a_sentence_may_come_in_pieces():
    first = {"voice": "Mina", "language": "de", "speed": 1.1, "interruptible": False}
    common = {**first, "more": True}
    part = read([lines(more("Gut", **first), more("en "), {"state": 1}, {"type": "say", "text": "Tag."}, SAY)])
    assert part.refusal is None
    assert part.actions == (
        Say(text="Gut", **common),
        Say(text="en ", **common),
        Say(text="Tag.", **{**common, "more": False}),
        Say(text="Hi."),
    )


def test_a_piece_may_repeat_what_the_first_one_says():
    part = read([lines(more("Good ", voice="Mina"), {"type": "say", "text": "day.", "voice": "Mina"})])
    assert [action.voice for action in part.actions] == ["Mina", "Mina"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("voice", "Adrian"), ("language", "en"), ("speed", 0.9), ("interruptible", False), ("voice", None)],
)
def test_a_piece_may_not_differ(key, value):
    beginning = more("Gut", voice="Mina", language="de", speed=1.1)
    path = f"line 2: $.{key}: differs from the beginning of the sentence; leave it out here"
    assert path in fault(beginning, {"type": "say", "text": "en Tag.", key: value})


@pytest.mark.parametrize("other", [{"type": "hangup"}, {"type": "pause", "ms": 1}, {"type": "listen"}])
def test_nothing_else_comes_inside_a_sentence(other):
    assert f"line 2: $: {other['type']} comes inside a sentence" in fault(more("Good "), other)


def test_a_stream_may_end_inside_a_sentence():
    assert read([lines(more("Good "))]) == Part((Say(text="Good ", more=True),))


def test_a_piece_may_be_blank_but_a_sentence_may_not_begin_so():
    assert read([lines(more("Good"), more(" "), {"type": "say", "text": "\n"})]).refusal is None
    assert "$.text: is blank" in fault(more(" "))


def test_a_sentence_counts_as_one_action():
    pieces = [more("a")] * (3 * MAX_ACTIONS)
    assert read([lines(*pieces, {"type": "say", "text": "."}, *[SAY] * (MAX_ACTIONS - 1))]).refusal is None
    assert "is action 51" in fault(*pieces, {"type": "say", "text": "."}, *[SAY] * MAX_ACTIONS)


def test_a_sentence_has_an_end():
    half = more("x" * (MAX_TEXT // 2))
    assert read([lines(half, {**half, "more": False}, SAY)]).refusal is None
    assert "line 3: $.text: makes the sentence longer than 5000 characters" in fault(half, half, more("x"))


def test_a_whole_reply_has_no_pieces():
    body = json.dumps({"actions": [SAY, more("Good ")]}).encode()
    with pytest.raises(ReplyRefused, match=r"\$\.actions\[1\]\.more: is only for replies in application/x-ndjson"):
        parse_reply(200, "application/json", body, max_bytes=LIMIT)
    body = json.dumps({"actions": [{**SAY, "more": False}]}).encode()
    assert parse_reply(200, "application/json", body, max_bytes=LIMIT) == Reply((Say(text="Hi."),))


# --- laws ------------------------------------------------------------------------------------------

UNITS = st.sampled_from(
    [
        SAY,
        {"type": "say", "text": "Grüezi 👋"},
        {"type": "say", "text": "Line\u2028separator"},
        more("Gu"),
        more("ten ", voice="Mina"),
        {"type": "pause", "ms": 1},
        {"type": "hangup"},
        {"state": {"ü": ["\r\n"]}},
        {"type": "say"},
        [],
    ]
)
NOISE = st.sampled_from(["", ": ping", "event: x", "data:", "x"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r", ""])


def written(unit: object, noise: str, end: str, content_type: str) -> str:
    text = json.dumps(unit, ensure_ascii=False)
    return f"{noise}{end}data: {text}{end}" if content_type == STREAM else f"{text}{end}"


@given(
    content_type=st.sampled_from([LINES, STREAM]),
    units=st.lists(st.tuples(UNITS, NOISE, ENDS), max_size=6),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_however_it_is_cut_the_same_comes_out(content_type, units, cuts):
    body = "".join(written(*unit, content_type) for unit in units).encode()
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = [body[start:stop] for start, stop in pairwise(places)]
    part = read(chunks, content_type)
    assert_same(part, read([body[at : at + 1] for at in range(len(body))], content_type))
    if part.refusal is None:
        assert Reply(part.actions, part.state) == parse_reply(200, content_type, body, max_bytes=LIMIT)
    else:
        with pytest.raises(ReplyRefused, match=re.escape(str(part.refusal))):
            parse_reply(200, content_type, body, max_bytes=LIMIT)


@given(
    body=st.binary(max_size=80) | st.text(alphabet='data: {}[]"\r\n:typesay,', max_size=80).map(str.encode),
    content_type=st.sampled_from([LINES, STREAM]),
    cut=st.integers(0, 80),
)
def test_whatever_comes_is_taken_or_refused(body, content_type, cut):
    assert_same(read([body[:cut], body[cut:]], content_type), read([body], content_type))


def assert_same(one: Part, other: Part) -> None:
    assert (one.actions, one.state, str(one.refusal)) == (other.actions, other.state, str(other.refusal))
