"""The labelled set of turns: its labels are true, its recordings parse, and the default policy is worth its rules."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import SecretStr

from voicebot.config import SonioxSettings
from voicebot.core.events import (
    BotStarted,
    BotStopped,
    Endpoint,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    TurnCompleted,
)
from voicebot.core.recording import Effect, Input
from voicebot.core.score_sweep import four_points, sweep
from voicebot.local.soniox.server import LocalSonioxOptions, Script, local_soniox
from voicebot.wire.recording import read

BENCH = Path(__file__).parents[2] / "bench"
SET = BENCH / "turns" / "set"
NAMES = sorted(path.stem for path in SET.glob("*.json"))
QUIET = [name for name in NAMES if "dB" not in name]
PER_MS = 8
LEAST_FALL_DB = 12
"""Between the speech of a call and its pauses; the set has 20 dB and more."""


@pytest.fixture(scope="module")
def turns_path():
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def calls(turns_path):
    from turns import cases

    return cases.read()


def labels_of(name):
    return json.loads((SET / f"{name}.json").read_text(encoding="utf-8"))


def level_db(samples, start_ms, end_ms):
    part = samples[start_ms * PER_MS : end_ms * PER_MS]
    return 10 * np.log10(np.mean(part**2) + 1e-12)


def test_the_set_is_as_large_as_it_says():
    labels = [labels_of(name) for name in NAMES]
    turns = [one for each in labels for one in each["utterances"] if one["kind"] == "turn"]
    holds = [
        one
        for each in labels
        for one in each["silence_spans"]
        if one["kind"] == "hold" and one["end_ms"] - one["start_ms"] >= 200
    ]
    assert len(turns) == 104
    assert len(holds) >= 80
    assert sum(path.stat().st_size for path in SET.iterdir()) < 7_000_000


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_in_order_and_complete(name):
    labels = labels_of(name)
    info = soundfile.info(SET / labels["audio"])
    length_ms = info.frames // PER_MS
    assert (info.samplerate, info.channels, info.subtype, labels["id"]) == (8_000, 1, "ULAW", name)
    turns = [one for one in labels["utterances"] if one["kind"] == "turn"]
    spans = labels["silence_spans"]
    assert all(0 <= before["end_ms"] <= after["start_ms"] for before, after in pairwise(labels["utterances"]))
    assert all(before["end_ms"] <= after["start_ms"] for before, after in pairwise(spans))
    assert all(one["end_ms"] - one["start_ms"] >= 100 for one in spans)
    assert spans[-1]["end_ms"] <= length_ms
    assert [one["start_ms"] for one in spans if one["kind"] == "eot"] == [one["end_ms"] for one in turns]
    for span in spans:
        if span["kind"] == "hold":
            assert any(
                one["start_ms"] < span["start_ms"] < span["end_ms"] < one["end_ms"] for one in labels["utterances"]
            )
    for one in labels["utterances"]:
        inside = [word for word in labels["words"] if one["start_ms"] <= word["start_ms"] < one["end_ms"]]
        assert inside, one
        if one["kind"] == "turn":
            assert " ".join(word["text"] for word in inside) == one["text"]


@pytest.mark.parametrize("name", QUIET)
def test_there_is_speech_where_the_labels_say_and_none_where_they_do_not(name):
    labels = labels_of(name)
    samples, _ = soundfile.read(SET / labels["audio"])
    silences = [level_db(samples, one["start_ms"] + 20, one["end_ms"] - 20) for one in labels["silence_spans"]]
    for one in labels["utterances"]:
        speech = level_db(samples, one["start_ms"], one["end_ms"])
        assert speech - max(silences) > LEAST_FALL_DB, one
        loudest = max(level_db(samples, at, at + 20) for at in range(one["end_ms"] - 60, one["end_ms"] - 19, 10))
        assert loudest > min(silences) + 3, f"the end is later than the sound: {one}"


def test_the_recordings_are_those_of_the_set(calls):
    assert [recording.head.call for recording, _ in calls] == NAMES
    assert not any(recording.cut for recording, _ in calls)


@pytest.fixture(scope="module")
def curves(calls):
    return {curve.name: curve for curve in sweep(calls)}


def test_the_default_policy_cuts_off_fewer_than_any_silence_that_is_no_slower(calls, curves):
    from turns.cases import POLICIES

    default = POLICIES["default"].score(calls)
    no_slower = [each for each in curves["silence only"].points if each.delay_ms <= default.dead_air_ms.mean]
    assert no_slower
    assert min(each.score.cut_rate for each in no_slower) > default.cut_rate * 1.2


def test_endpoints_save_time_at_every_patience(curves):
    for with_endpoint, alone in zip(curves["policy"].points, curves["silence only"].points, strict=False):
        assert (with_endpoint.finalize_after_ms, with_endpoint.commit_after_ms, with_endpoint.endpoint_after_ms) == (
            alone.finalize_after_ms,
            alone.commit_after_ms,
            0,
        )
        assert with_endpoint.delay_ms < alone.delay_ms, alone.commit_after_ms


def test_the_policy_cuts_off_fewer_than_silence_alone_whatever_the_wait(curves):
    def least(name, budget_ms):
        return min(point.score.cut_rate for point in curves[name].points if point.delay_ms <= budget_ms)

    budgets = range(450, 2_001, 50)
    # A few milliseconds more or less of the mean are the grid of the knobs, not the policy.
    assert all(least("policy", budget + 20) <= least("silence only", budget) for budget in budgets)
    fewer = [least("policy", budget) < least("silence only", budget) for budget in budgets]
    assert sum(fewer) > 0.6 * len(fewer)
    policy, silence = (four_points(curves[name]) for name in ("policy", "silence only"))
    assert policy.cut_offs_at_600_ms < silence.cut_offs_at_600_ms
    assert policy.delay_at_10_percent_ms < silence.delay_at_10_percent_ms - 100
    assert policy.delay_at_5_percent_ms < silence.delay_at_5_percent_ms - 100


def test_provisional_turns_come_early_and_most_of_them_stand(calls):
    from turns import cases

    early = cases.POLICIES["default, provisional"].score(calls).provisional
    assert early.delay_p50_ms - cases.answer_ms(calls) < 450
    assert early.confirmed_share > 0.5
    assert early.head_start_p50_ms > 0


async def test_a_call_is_recorded_as_it_is_played(turns_path, tmp_path):
    from turns import recording

    time = np.arange(8_000 * 3) / 8_000
    sound = 0.3 * np.sin(2 * np.pi * 300 * time) * (time > 0.5) * (time < 1.2) * (1 + np.sin(2 * np.pi * 8 * time))
    soundfile.write(tmp_path / "one.wav", sound, 8_000, subtype="ULAW")
    bot = {"role": "assistant", "content": "Hello.", "start_ms": 2_600, "end_ms": 2_900}
    (tmp_path / "one.json").write_text(json.dumps({"messages": [bot]}), encoding="utf-8")
    script = Script.parse([{"at_ms": 600, "say": "book a table", "until_ms": 1_200, "end_ms": 2_000}])
    async with local_soniox(LocalSonioxOptions(script=script)) as server:
        settings = SonioxSettings(api_key=SecretStr("any"), stt_url=server.stt_url)
        text = await recording.record("one", tmp_path, settings)
    made = read(text.splitlines())
    told = [
        line.effect.turn.text
        for line in made.lines
        if isinstance(line, Effect)
        if isinstance(line.effect, TurnCompleted)
    ]
    names = [type(line.event) for line in made.lines if isinstance(line, Input)]
    assert told == ["book a table"]
    assert {SpeechStarted, SpeechStopped, Heard, Endpoint, BotStarted, BotStopped, HungUp} <= set(names)
    assert names.index(SpeechStopped) < names.index(BotStarted) < names.index(BotStopped)
    assert (made.head.call, made.head.languages) == ("one", ("en",))


@pytest.mark.timeout(180)
def test_the_command_scores_offline(tmp_path):
    command = [sys.executable, str(BENCH / "turns" / "run.py")]
    files = ["--plot", str(tmp_path / "plot.svg"), "--json", str(tmp_path / "turns.json")]
    done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "four points" in done.stdout
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
    numbers = json.loads((tmp_path / "turns.json").read_text(encoding="utf-8"))
    assert numbers["policies"]["default"]["utterances"] == 104
