"""The benches of speech activity and echo measure what they say, on two recordings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Let the scripts of the bench be imported as they import each other."""
    monkeypatch.syspath_prepend(str(BENCH))


def test_a_scene_knows_where_it_sounds():
    import scenes

    clip = np.concatenate([np.zeros(4_000), scenes.coloured("white", 0)(8_000), np.zeros(1_600), np.zeros(800)])
    scene = scenes.scene("one", [clip, clip])
    assert scene.spoken == ((2_500, 3_500), (2_500 + 2_700, 3_500 + 2_700))
    assert len(scene.audio) == 8 * (2_000 + 2 * 1_800 + scenes.PAUSE_MS[0] + scenes.PAUSE_MS[1])


@pytest.mark.parametrize(
    ("heard", "missed", "onset", "end", "recall", "false_alarm"),
    [
        pytest.param(((1_100, 2_000), (4_000, 5_000)), 0, 50, 0, 0.95, 0.0, id="late"),
        pytest.param(((1_000, 2_000),), 1, 0, 0, 0.5, 0.0, id="missed"),
        pytest.param(((1_000, 1_800), (4_000, 4_800)), 0, 0, -200, 0.8, 0.0, id="ended early"),
        pytest.param(((1_000, 2_000), (2_700, 3_300), (4_000, 5_000)), 0, 0, 0, 1.0, 0.2, id="false alarm"),
    ],
)
def test_scores(heard, missed, onset, end, recall, false_alarm):
    import speech_activity

    got = speech_activity.score(((1_000, 2_000), (4_000, 5_000)), heard, 6_200)
    assert (got.utterances, got.missed, got.onset_ms[0], got.end_ms[0]) == (2, missed, onset, end)
    assert got.early == (1.0 if end < -150 else 0.0)
    assert got.recall == pytest.approx(recall)
    assert got.false_alarm == pytest.approx(false_alarm, abs=0.01)


def test_echo_and_callers_are_counted():
    import echo
    import scenes

    bots = scenes.clips(scenes.SHIPPED, "austen_s*.wav")
    tally = echo.callers(bots, scenes.clips(scenes.SHIPPED, "five_*.wav"), -10, None)
    assert (tally.right, tally.asked) == (2, 2)
    bot = echo.speech(bots, 0)
    told = [answer for _, answer, _ in echo.answers(bot, echo.returned(bot, -20, 100))]
    assert sum(told) > 0.9 * len(told) > 0


def test_speech_activity_bench_runs(tmp_path):
    import scenes

    (tmp_path / "one.wav").write_bytes((scenes.SHIPPED / "five_digits.wav").read_bytes())
    command = [sys.executable, str(BENCH / "speech_activity.py"), "--speech", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "| digital silence | energy | 0 of " in done.stdout
    assert "cost of a 20 ms frame" in done.stdout
