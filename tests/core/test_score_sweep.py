"""The sweep over degrees of patience, and what is read from its curves."""

from copy import replace

import pytest

from voicebot.core.events import (
    AskFinalize,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    Token,
)
from voicebot.core.recording import Effect, Head, Input, Leg, Recording
from voicebot.core.score import Spread, score
from voicebot.core.score_labels import Labels, Silence, Utterance
from voicebot.core.score_sweep import COMMIT_MS, Curve, FourPoints, Point, four_points, sweep

EMPTY = score([])


def told(t_ms, event):
    return Input(t_ms, "caller", event)


def call(pause_ms):
    """One turn of two parts with a pause between them; its endpoint comes 450 ms after the end."""
    first, second = Token("one", 0, 1_000), Token(" two", 1_000 + pause_ms, 2_000 + pause_ms)
    end = 2_000 + pause_ms
    lines = (
        Leg(0, 1, "caller", 0),
        told(0, SpeechStarted()),
        told(900, Heard(tentative=(first,))),
        told(1_200, SpeechStopped(200)),
        told(1_000 + pause_ms, SpeechStarted()),
        told(end - 100, Heard(tentative=(first, second))),
        told(end + 200, SpeechStopped(200)),
        Effect(end + 300, "caller", AskFinalize()),
        told(end + 400, Heard(settled=(first, second))),
        told(end + 400, Finalized()),
        told(end + 450, Heard()),
        told(end + 450, Endpoint()),
        told(end + 9_000, HungUp()),
        told(end + 9_100, Finished()),
    )
    silences = (Silence(1_000, 1_000 + pause_ms, "hold"), Silence(end, end + 9_000, "eot"))
    return Recording(Head(call="CA1"), lines), Labels(f"{pause_ms}", silences, (Utterance(0, end, "one two"),))


def curve(*points):
    """A curve of (delay, rate) points."""
    return Curve(
        "c",
        tuple(
            Point(300, at, replace(EMPTY, cut_span_rate=rate, dead_air_ms=Spread(delay, delay, delay)))
            for at, (delay, rate) in enumerate(points)
        ),
    )


def test_three_curves_and_what_they_show():
    policy, silence, endpoint = sweep([call(pause) for pause in (700, 1_000, 1_400, 1_800)])
    assert [each.name for each in (policy, silence, endpoint)] == ["policy", "silence only", "endpoint only"]
    assert {point.commit_after_ms for point in silence.points} == set(COMMIT_MS)
    assert all(point.commit_after_ms >= point.finalize_after_ms for point in silence.points)
    [only] = endpoint.points
    assert (only.commit_after_ms, only.delay_ms, only.score.cut_rate) == (None, 450, 0)
    patient = next(
        point for point in silence.points if (point.finalize_after_ms, point.commit_after_ms) == (300, 2_000)
    )
    assert (patient.delay_ms, patient.score.cut_rate) == (pytest.approx(2_000, abs=1), 0)
    hasty = next(point for point in silence.points if (point.finalize_after_ms, point.commit_after_ms) == (300, 1_200))
    assert hasty.score.cut_rate == 0.5
    same = next(point for point in policy.points if (point.finalize_after_ms, point.commit_after_ms) == (300, 2_000))
    assert (same.delay_ms, same.score.cut_rate) == (450, 0)
    assert four_points(policy).delay_at_5_percent_ms < four_points(silence).delay_at_5_percent_ms


def test_the_change_lies_under_the_sweep():
    policy, *_ = sweep([call(700)], lambda policy: replace(policy, max_turn_ms=1_000))
    assert all(point.score.cut_turns for point in policy.points)


def test_the_front_has_no_point_that_another_beats():
    drawn = curve((900, 0.1), (300, 0.5), (600, 0.2), (700, 0.2), (600, 0.3), (1_000, 0.1))
    assert [(point.delay_ms, point.score.cut_rate) for point in drawn.front()] == [(300, 0.5), (600, 0.2), (900, 0.1)]


def test_the_four_points():
    assert four_points(curve((250, 0.4), (550, 0.08), (800, 0.05), (1_500, 0.01))) == FourPoints(0.4, 0.08, 800, 550)


def test_a_budget_that_nothing_keeps_to_has_no_point():
    assert four_points(curve((700, 0.2))) == FourPoints(None, None, None, None)
    assert four_points(Curve("nothing", (Point(300, 300, EMPTY),))) == FourPoints(None, None, None, None)
