"""`voicebot replay` as a user runs it: recordings in, tables, JSON and a picture out."""

import gzip
import json
import re
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from voicebot.__main__ import EXIT_CONFIGURATION, EXIT_FAILED, main
from voicebot.core.events import (
    AskFinalize,
    BotStarted,
    Digit,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    Token,
    Turn,
    TurnCompleted,
)
from voicebot.core.recording import Effect, Head, Input, Leg
from voicebot.core.score import Provisional
from voicebot.local import plot
from voicebot.wire.recording import encode

LIKE, ORDER = Token("I would like", 100, 1_100), Token(" to order.", 2_100, 3_000)
WHOLE = "I would like to order."
CALL = "CA1"


def told(t_ms, event):
    return Input(t_ms, "caller", event)


# "I would like", a second of silence, " to order."; the endpoint comes 600 ms after its end.
LINES = [
    Head(call=CALL),
    Leg(0, 1, "caller", 0),
    told(100, SpeechStarted()),
    told(900, Heard(tentative=(LIKE,))),
    told(1_300, SpeechStopped(200)),
    Effect(1_400, "caller", AskFinalize()),
    told(1_550, Heard(settled=(LIKE,))),
    told(1_550, Finalized()),
    told(2_100, SpeechStarted()),
    told(2_500, Heard(tentative=(ORDER,))),
    told(3_200, SpeechStopped(200)),
    told(3_600, Heard(settled=(ORDER,))),
    told(3_600, Endpoint()),
    Effect(3_600, "caller", TurnCompleted(Turn(1, WHOLE, "endpoint", (LIKE, ORDER), started_ms=100, ended_ms=3_000))),
    told(4_000, BotStarted(text="A [red]pizza?")),
    told(7_000, Digit("1")),
    told(9_000, HungUp()),
    told(9_100, Finished()),
]
LABELS = {
    "id": "order",
    "silence_spans": [
        {"start_ms": 1_100, "end_ms": 2_100, "kind": "hold"},
        {"start_ms": 3_000, "end_ms": 9_000, "kind": "eot"},
    ],
    "utterances": [{"start_ms": 100, "end_ms": 3_000, "text": WHOLE}],
}
SCORE_KEYS = {
    "calls", "turns", "utterances", "hold_spans", "cut_spans", "cut_turns", "cut_span_rate", "cut_turn_rate", "dead_air_ms",
    "merged_per_1000", "split_per_1000", "lost_per_1000", "duplicated_per_1000", "false_per_1000", "provisional",
    "webhooks_per_turn",
}  # fmt: skip
FOUR = {"cut_offs_at_300_ms", "cut_offs_at_600_ms", "delay_at_5_percent_ms", "delay_at_10_percent_ms"}


@pytest.fixture
def folder(tmp_path):
    """A recording and its labels."""
    (tmp_path / "order.jsonl").write_text("".join(map(encode, LINES)))
    (tmp_path / "order.json").write_text(json.dumps(LABELS))
    return tmp_path


@pytest.fixture
def replay(folder, capsys, monkeypatch):
    """Run the command on the recording; returns (exit code, output, errors)."""
    monkeypatch.setenv("COLUMNS", "140")

    def run(*options, recording="order.jsonl"):
        code = main(["replay", str(folder / recording), *map(str, options)])
        return code, *capsys.readouterr()

    return run


def rows(text):
    """Table rows as {name: [cells]}."""
    cells = ([cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in text.splitlines())
    return {name: rest for name, *rest in filter(None, cells)}


def test_without_changes_the_replay_is_the_recording(replay, folder):
    code, out, _ = replay("--labels", folder)
    table = rows(out)
    assert code == 0
    assert table["turns told"] == ["1", "1"]
    assert table["pauses cut off"] == ["0.0 % (0 of 1)"] * 2
    assert table["dead air, mean"] == ["600 ms"] * 2
    assert table["lost, per 1,000"] == ["0.0"] * 2


def test_a_change_of_the_policy_shows_beside_the_recording(replay, folder):
    _, out, _ = replay("--labels", folder, "--policy", "commit_after_ms=500")
    table = rows(out)
    assert table["turns told"] == ["1", "2"]
    assert table["pauses cut off"] == ["0.0 % (0 of 1)", "100.0 % (1 of 1)"]
    assert table["split, per 1,000"] == ["0.0", "1000.0"]


def test_without_endpoints(replay, folder):
    code, out, _ = replay(
        "--labels", folder, "--policy", "endpoint.enabled=false", "--policy", "commit_after_ms=2000", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert found["policy"] == {"commit_after_ms": 2_000, "endpoint.enabled": False}
    assert found["replayed"]["dead_air_ms"]["mean"] == pytest.approx(2_000, abs=1)


def test_the_keys_of_the_json(replay, folder):
    found = json.loads(replay("--labels", folder, "--sweep", "--json")[1])
    assert set(found) == {"policy", "recorded", "replayed", "sweep"}
    assert set(found["recorded"]) == set(found["replayed"]) == SCORE_KEYS
    assert set(found["replayed"]["dead_air_ms"]) == {"mean", "p50", "p95"}
    assert [curve["name"] for curve in found["sweep"]] == ["policy", "silence only", "endpoint only"]
    assert all(set(curve) == {"name", "points", *FOUR} for curve in found["sweep"])
    point = found["sweep"][0]["points"][0]
    knobs = {"finalize_after_ms", "commit_after_ms", "endpoint_after_ms"}
    assert set(point) == knobs | {"cut_off_rate", "delay_ms", "on_front", "score"}


def test_every_key_and_every_line_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text)) | set(
        re.findall(r"\w+", " ".join(re.findall(r"`\{([^`]*)\}`", text, re.DOTALL)))
    )
    assert named >= SCORE_KEYS
    assert FOUR | {field.name for field in fields(Provisional)} <= named
    assert {json.loads(encode(line))["type"] for line in LINES} | {"audio", "policy", "event", "reply", "end"} <= named


def test_by_hindsight(replay):
    found = json.loads(replay("--json", "--policy", "commit_after_ms=600")[1])
    assert found["recorded"]["utterances"] is None
    assert (found["recorded"]["cut_turns"], found["replayed"]["cut_turns"]) == (0, 1)


def test_the_sweep_as_a_table(replay, folder):
    _, out, _ = replay("--labels", folder, "--sweep")
    table = rows(out)
    assert table["policy"][-1] == table["endpoint only"][-1] == "600 ms"
    assert table["silence only"][-1] == "1,000 ms"


def test_the_timeline(replay):
    _, out, _ = replay("--timeline", "--policy", "commit_after_ms=500")
    for text in (
        "sound",
        "silence",
        "<end>",
        "bot: A [red]pizza?",
        "key 1",
        "hung up",
        "turn 1 (finalize): I would like",
        "turn 2 (",
    ):
        assert text in out


def test_a_folder_of_recordings_packed_or_not(replay, folder):
    (folder / "again.jsonl.gz").write_bytes(gzip.compress((folder / "order.jsonl").read_bytes()))
    assert json.loads(replay("--json", recording=".")[1])["recorded"]["calls"] == 2


def test_labels_may_have_the_name_of_the_call(replay, folder):
    (folder / "order.json").rename(folder / f"{CALL}.json")
    assert json.loads(replay("--json", "--labels", folder)[1])["recorded"]["utterances"] == 1


# --- the picture ----------------------------------------------------------------------------------


def test_the_picture_stands_alone_and_is_the_same_every_time(replay, folder):
    pictures = []
    for name in ("a.svg", "b.svg"):
        assert replay("--labels", folder, "--plot", folder / name)[0] == 0
        pictures.append((folder / name).read_text())
    first, second = pictures
    assert first == second
    root = ET.fromstring(first)
    assert {element.tag.rpartition("}")[2] for element in root.iter()}.isdisjoint({"script", "image", "link"})
    assert set(re.findall(r"https?://[^\"'\s<]+", first)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    text = " ".join("".join(root.itertext()).split())
    for label in ("cut-offs (%)", "delay (ms)", "policy", "silence only", "endpoint only", "the policy in use"):
        assert label in text


def test_without_the_extra_the_picture_says_what_to_install(replay, folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pygal", None)
    code, _, err = replay("--labels", folder, "--plot", folder / "a.svg")
    assert code == EXIT_CONFIGURATION
    assert "install voicebot[local]" in err


def test_a_picture_that_cannot_be_written(replay, folder):
    code, _, err = replay("--plot", folder / "no" / "a.svg")
    assert code == EXIT_CONFIGURATION
    assert "--plot: " in err


def test_nothing_to_draw_is_drawn_all_the_same():
    assert "delay (ms)" in plot.draw([])


# --- what cannot be used --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        pytest.param(
            ["--policy", "patience=3"], EXIT_FAILED, "patience: no such knob; there are", id="an unknown knob"
        ),
        pytest.param(["--policy", "commit_after_ms=1"], EXIT_FAILED, "commit_after_ms: ", id="out of bounds"),
        pytest.param(["--track", "agent"], EXIT_FAILED, "has no track agent; it has caller", id="another track"),
        pytest.param(["--labels", "nowhere"], EXIT_FAILED, "nowhere has no order.json", id="no labels"),
    ],
)
def test_what_cannot_be_used_is_named(replay, options, code, why):
    found, out, err = replay(*options)
    assert (found, out) == (code, "")
    assert why in err


def test_labels_that_cannot_be_read_are_named(replay, folder):
    (folder / "order.json").write_text('{"id": "order"}')
    code, _, err = replay("--labels", folder)
    assert code == EXIT_FAILED
    assert "order.json: labels: silence_spans: Field required" in err


def test_a_file_that_is_no_recording(replay):
    code, _, err = replay(recording="order.json")
    assert code == EXIT_FAILED
    assert "order.json: line 1: no line of a recording" in err


def test_a_folder_without_recordings(replay, folder):
    (folder / "empty").mkdir()
    code, _, err = replay(recording="empty")
    assert code == EXIT_CONFIGURATION
    assert "no recording" in err
