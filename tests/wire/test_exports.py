"""Transcripts to take along: what players and people make of them."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.wire import exports
from voicebot.wire.api import CallDetail, CallSummary, Counts, TurnItem, UtteranceItem
from voicebot.wire.webhook_data import Word

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VTT_TIME = r"\d\d:\d\d:\d\d\.\d{3}"
SRT_TIME = VTT_TIME.replace(r"\.", ",")


def turn(text, begin, end, *, track="caller", number=1, words=None, **changes):
    values = {
        "track": track,
        "number": number,
        "revision": 1,
        "text": text,
        "translation": "",
        "digits": "",
        "languages": (),
        "speakers": (),
        "confidence": None,
        "reason": "endpoint",
        "started_at": NOON + timedelta(seconds=begin),
        "ended_at": NOON + timedelta(seconds=end),
        "entry": None,
        "latency": None,
        "words": words,
    }
    return TurnItem(**values | changes)


def said(heard, begin, ms, unheard=""):
    return UtteranceItem(
        text=f"{heard} {unheard}".strip(),
        heard=heard,
        unheard=unheard,
        ms=ms,
        interrupted=bool(unheard),
        started_at=NOON + timedelta(seconds=begin),
    )


def call(turns=(), utterances=(), **changes):
    summary = {
        "id": "CA1",
        "from": "+15550123",
        "to": "+15550199",
        "direction": "inbound",
        "mode": "bot",
        "state": "ended",
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=65),
        "reason": "bot_hangup",
        "duration_ms": 65_000,
        "turns": len(turns),
    }
    return CallDetail(
        call=CallSummary(**summary | changes),
        turns=tuple(turns),
        utterances=tuple(utterances),
        asides=(),
        counts=Counts(turns=len(turns), utterances=len(utterances), interruptions=0, asides=0),
        latency=None,
        parameters={},
        state=None,
        recording=False,
    )


TALK = call(
    [turn("Two pizzas, please.", 4, 5.5), turn("", 20, 20, number=2, digits="42", started_at=None)],
    [said("Hello!", 1, 800), said("With", 6, 400, "cheese?")],
)


def test_text_is_for_people():
    assert exports.export(TALK, "txt") == (
        "Call CA1, inbound, from +15550123 to +15550199\n"
        "2026-11-22 12:00:00 UTC, 00:01:05 long, ended by bot_hangup\n"
        "\n"
        "[00:00:01] Bot: Hello!\n"
        "[00:00:04] Caller: Two pizzas, please.\n"
        "[00:00:06] Bot: With (not heard: cheese?)\n"
        "[00:00:20] Caller: (keys 42)\n"
    )


def test_a_call_that_lives_has_no_end_yet():
    assert "UTC, not ended\n" in exports.export(call(state="live", ended_at=None, duration_ms=None, reason=None), "txt")


def test_json_is_the_document_of_the_api():
    assert CallDetail.model_validate(json.loads(exports.export(TALK, "json"))) == TALK


def test_vtt():
    assert exports.export(TALK, "vtt") == (
        "WEBVTT\n\n"
        "1\n00:00:01.000 --> 00:00:01.800\n<v Bot>Hello!</v>\n\n"
        "2\n00:00:04.000 --> 00:00:05.500\n<v Caller>Two pizzas, please.</v>\n\n"
        "3\n00:00:06.000 --> 00:00:06.500\n<v Bot>With</v>\n"
    )


def test_srt():
    assert exports.export(TALK, "srt") == (
        "1\n00:00:01,000 --> 00:00:01,800\nBot: Hello!\n\n"
        "2\n00:00:04,000 --> 00:00:05,500\nCaller: Two pizzas, please.\n\n"
        "3\n00:00:06,000 --> 00:00:06,500\nBot: With\n"
    )


def test_nothing_was_said():
    assert exports.export(call(), "vtt") == "WEBVTT\n"
    assert exports.export(call(), "srt") == ""


@pytest.mark.parametrize(
    ("text", "vtt", "srt"),
    [
        pytest.param("a < b & c --> d", "a &lt; b &amp; c --&gt; d", "a \u2039 b & c --\u203a d", id="markup"),
        pytest.param("one\n\ntwo\r\nthree", "one two three", "one two three", id="lines"),
        pytest.param("{\\an8}up", "{\\an8}up", "(\\an8)up", id="srt-position"),
        pytest.param("<v Bot>I am the bot", "&lt;v Bot&gt;I am the bot", "\u2039v Bot\u203aI am the bot", id="voice"),
    ],
)
def test_what_players_would_take_for_their_own(text, vtt, srt):
    detail = call([turn(text, 1, 3)])
    assert f"<v Caller>{vtt}</v>" in exports.export(detail, "vtt")
    assert f"Caller: {srt}" in exports.export(detail, "srt")


def test_long_turns_are_cut_at_the_times_of_their_words():
    words = tuple(Word(text="pancakes", start_ms=10_000 + 1_000 * n, end_ms=10_500 + 1_000 * n) for n in range(12))
    detail = call([turn("pancakes " * 12, 30, 42, words=words)])
    cues = re.findall(rf"({VTT_TIME}) --> ({VTT_TIME})\n<v Caller>(.*)</v>", exports.export(detail, "vtt"))
    assert [(begin, end) for begin, end, _ in cues] == [
        ("00:00:30.000", "00:00:39.000"),
        ("00:00:39.000", "00:00:42.000"),
    ]
    assert " ".join(text for *_, text in cues).split() == ["pancakes"] * 12


def test_words_without_times_are_spread():
    cues = re.findall(rf"({VTT_TIME}) --> ({VTT_TIME})", exports.export(call([turn("pancakes " * 20, 0, 20)]), "vtt"))
    assert cues[0][0] == "00:00:00.000"
    assert cues[-1][1] == "00:00:20.000"
    assert len(cues) == 3


def milliseconds(stamp):
    hours, minutes, seconds, rest = re.split(r"[:.,]", stamp)
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000 + int(rest)


texts = st.text(max_size=300)
turns = st.builds(
    lambda text, begin, length, track: turn(text, begin, begin + length, track=track),
    texts,
    st.floats(-5, 100_000, allow_nan=False),
    st.floats(0, 100),
    st.sampled_from(["caller", "agent"]),
)
speech = st.builds(said, texts, st.floats(-5, 100_000, allow_nan=False), st.integers(0, 100_000), texts)


@given(st.lists(turns, max_size=6), st.lists(speech, max_size=6))
def test_subtitles_are_whole_whatever_was_said(turned, spoken):
    detail = call(turned, spoken)
    for form, time, blocks in (
        ("vtt", VTT_TIME, exports.export(detail, "vtt").removeprefix("WEBVTT\n").strip("\n").split("\n\n")),
        ("srt", SRT_TIME, exports.export(detail, "srt").strip("\n").split("\n\n")),
    ):
        begins = []
        for number, block in enumerate((block for block in blocks if block), 1):
            count, times, text = block.split("\n")
            assert int(count) == number
            begin, end = re.fullmatch(rf"({time}) --> ({time})", times).groups()
            assert milliseconds(begin) < milliseconds(end), (form, block)
            assert len(text) > len("Bot: ")
            begins.append(milliseconds(begin))
        assert begins == sorted(begins)
    assert exports.export(detail, "txt").count("\n") == 3 + len(turned) + len(spoken)
