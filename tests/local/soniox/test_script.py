import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.errors import ConfigurationError
from voicebot.local.soniox.reel import Reel
from voicebot.local.soniox.script import Script

SAY = {"at_ms": 1000, "say": "book a table", "until_ms": 1900, "end_ms": 2500}


def texts(tokens):
    return [token["text"] for token in tokens or ()]


def test_say_grows_word_by_word_then_settles_and_ends():
    entries = Script.parse([SAY]).entries
    assert [(entry.at_ms, texts(entry.partial)) for entry in entries[:-1]] == [
        (1300, [" book"]),
        (1600, [" book", " a"]),
        (1900, [" book", " a", " table"]),
    ]
    last = entries[-1]
    assert (last.at_ms, texts(last.final), last.end, last.partial) == (2500, [" book", " a", " table"], True, ())
    assert last.final[0] == {"text": " book", "start_ms": 1000, "end_ms": 1300, "confidence": 0.9}


def test_say_has_a_pace_of_its_own_and_may_leave_the_end_out():
    last = Script.parse([{"at_ms": 0, "say": "yes please", "end": False, "language": "en", "speaker": "2"}]).entries[-1]
    assert (last.at_ms, texts(last.final), last.end) == (1300, ["yes", " please"], False)
    assert (last.final[0]["language"], last.final[0]["speaker"]) == ("en", "2")


def test_entries_may_be_written_out():
    script = Script.parse(
        {
            "entries": [
                {"at_ms": 500, "partial": "How are"},
                {"at_ms": 900, "final": "How", "partial": " are you"},
                {"at_ms": 1500, "final": [{"text": " are"}, {"text": " you"}], "end": True},
                {"at_ms": 1600, "tokens": [{"text": "a", "is_final": True}, {"text": "b", "is_final": False}]},
                {"at_ms": 1700, "frame": "not json"},
                {"at_ms": 1800, "frame": {"tokens": []}},
                {"at_ms": 1900, "error": 503},
                {"at_ms": 2000, "error": {"code": 429, "type": "x", "message": "y"}},
                {"at_ms": 2100, "close": 1001},
            ]
        }
    )
    first, second, third, exact, junk, raw, error, own, close = script.entries
    assert (texts(first.partial), first.partial[1]["end_ms"]) == (["How", " are"], 500)
    assert (texts(second.final), texts(second.partial)) == (["How"], [" are", " you"])
    assert (texts(third.final), third.end, third.partial) == ([" are", " you"], True, ())
    assert (texts(exact.final), texts(exact.partial)) == (["a"], ["b"])
    assert (junk.frame, junk.partial, json.loads(raw.frame)) == ("not json", None, {"tokens": []})
    assert (error.error.kind, own.error.kind, own.error.text, close.close) == ("service_unavailable", "x", "y", 1001)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        pytest.param("words", "expected an object with a list", id="not an object"),
        pytest.param({"entries": 5}, "expected an object with a list", id="entries no list"),
        pytest.param([5], "script entry 1: expected an object", id="entry no object"),
        pytest.param([{"say": "x"}], "script entry 1: at_ms is missing", id="no time"),
        pytest.param([{"at_ms": 1}, {"at_ms": -1}], "script entry 2: at_ms must be", id="negative time"),
        pytest.param([{"at_ms": "1"}], "script entry 1: at_ms must be", id="time as text"),
        pytest.param([{"at_ms": 1, "sya": "x"}], "unknown key 'sya'", id="unknown key"),
        pytest.param([{"at_ms": 1, "final": 5}], "expected a text or a list of tokens", id="tokens no list"),
        pytest.param([{"at_ms": 1, "final": [{}]}], "expected a text or a list of tokens", id="token without text"),
        pytest.param([{"at_ms": 1, "error": "x"}], "error must be a code", id="error"),
        pytest.param({"entries": [], "period_ms": "x"}, "period_ms must be", id="period"),
    ],
)
def test_a_wrong_script_says_where(document, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        Script.parse(document)


@pytest.mark.parametrize(
    ("name", "text"), [("s.yaml", "entries:\n- {at_ms: 5, say: hi}\n"), ("s.json", '[{"at_ms": 5, "say": "hi"}]')]
)
def test_a_script_is_a_json_or_yaml_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert Script.load(tmp_path / name) == Script.parse([{"at_ms": 5, "say": "hi"}])


def test_a_script_that_cannot_be_read_is_a_wrong_setting(tmp_path):
    (tmp_path / "bad").write_text("{")
    for name in ("bad", "missing"):
        with pytest.raises(ConfigurationError, match=name):
            Script.load(tmp_path / name)


def test_entries_are_due_once_and_in_order():
    reel = Reel(Script.parse([SAY]))
    assert reel.due(1299) == []
    assert [entry.at_ms for entry in reel.due(1700)] == [1300, 1600]
    assert [entry.at_ms for entry in reel.due(9000)] == [1900, 2500]
    assert reel.due(99_000) == []


def test_a_looping_script_starts_again_later():
    reel = Reel(Script.parse({"entries": [{"at_ms": 100, "final": "a", "end": True}], "loop": True, "period_ms": 1000}))
    entries = reel.due(2500)
    assert [entry.at_ms for entry in entries] == [100, 1100, 2100]
    assert [entry.final[0]["end_ms"] for entry in entries] == [100, 1100, 2100]


def test_what_a_finalize_settles_is_not_settled_again():
    reel = Reel(Script.parse([SAY]))
    reel.due(1700)
    assert texts(reel.settle()) == [" book", " a"]
    assert reel.settle() == ()
    growing, ending = reel.due(9000)
    assert texts(growing.partial) == [" table"]
    assert (texts(ending.final), ending.end) == ([" table"], True)


def test_after_the_end_the_same_words_count_again():
    reel = Reel(
        Script.parse([{"at_ms": 10, "say": "yes", "until_ms": 20, "end_ms": 30}, {"at_ms": 40, "final": " yes"}])
    )
    reel.due(25)
    assert texts(reel.settle()) == [" yes"]
    ending, again = reel.due(50)
    assert (texts(ending.final), texts(again.final)) == ([], [" yes"])


@given(st.lists(st.integers(0, 6000), max_size=6), st.lists(st.integers(0, 6000), max_size=6))
def test_whatever_is_finalized_when_every_word_is_final_once(positions, finalizes):
    script = Script.parse([SAY, {"at_ms": 3000, "say": "for two", "until_ms": 4000, "end_ms": 5000}])
    reel = Reel(script)
    told = []
    for position in sorted([*positions, *finalizes, 9000]):
        for entry in reel.due(position):
            told += texts(entry.final)
        if position in finalizes:
            told += texts(reel.settle())
    assert told == [" book", " a", " table", " for", " two"]
