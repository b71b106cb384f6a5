"""What follows from each answer to an attempt."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.delivery import (
    JITTER,
    MAX_RETRY_AFTER_S,
    Answer,
    Dead,
    Delivered,
    Exhausted,
    Retry,
    RetryPolicy,
    judge,
    judge_later,
    reason,
    retry_after,
    schedule_step,
)

POLICY = RetryPolicy(waits_s=(0.25, 0.5, 1, 2), deadline_s=10)
ONCE = RetryPolicy(waits_s=(), deadline_s=0)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def after(status: int | None, *, attempt: int = 1, elapsed_s: float = 0, **answer: object) -> object:
    return judge(Answer(status, **answer), attempt, elapsed_s, POLICY, 0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_delivered_however_late(status):
    assert after(status, attempt=9, elapsed_s=99) == Delivered()
    assert judge(Answer(status), 1, 0, ONCE, 0) == Delivered()


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 408, 409, 425, 429, 500, 502, 503, 504, 599])
def test_passing_faults_are_tried_again(status):
    assert after(status) == Retry(0.25, f"status {status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 411, 413, 415, 422, 451])
def test_refusals_are_final(status):
    assert after(status) == Dead(f"status {status}")


def test_gone_stops_the_endpoint():
    assert after(410) == Dead("status 410", stop=True)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(Answer(error="reset"), "reset", id="error"),
        pytest.param(Answer(), "no answer", id="nothing"),
        pytest.param(Answer(503, error="half a body"), "status 503", id="status-first"),
    ],
)
def test_reasons(answer, text):
    assert reason(answer) == text
    assert judge(answer, 1, 0, POLICY, 0) == Retry(0.25, text)


@pytest.mark.parametrize(("attempt", "wait_s"), [(1, 0.25), (2, 0.5), (3, 1), (4, 2), (5, 2), (50, 2)])
def test_the_last_wait_repeats(attempt, wait_s):
    assert after(500, attempt=attempt) == Retry(wait_s, "status 500")


@pytest.mark.parametrize(
    ("elapsed_s", "verdict"),
    [
        pytest.param(9.7, Retry(0.25, "status 500"), id="before"),
        pytest.param(9.75, Exhausted("status 500"), id="at"),
        pytest.param(11, Exhausted("status 500"), id="after"),
    ],
)
def test_no_attempt_begins_after_the_deadline(elapsed_s, verdict):
    assert after(500, elapsed_s=elapsed_s) == verdict


@pytest.mark.parametrize(
    ("retry_after_s", "verdict"),
    [
        pytest.param(0.0, Retry(0.25, "status 503"), id="shorter-than-planned"),
        pytest.param(3.0, Retry(3.0, "status 503"), id="longer"),
        pytest.param(10.0, Exhausted("status 503"), id="past-the-deadline"),
    ],
)
def test_retry_after_is_honoured_within_the_deadline(retry_after_s, verdict):
    assert after(503, retry_after_s=retry_after_s) == verdict


def test_one_attempt_only():
    assert judge(Answer(500), 1, 0, ONCE, 0) == Exhausted("status 500")


ANSWERS = st.builds(
    Answer,
    st.none() | st.integers(100, 599),
    retry_after_s=st.none() | st.floats(0, MAX_RETRY_AFTER_S),
)


@settings(deadline=None)
@given(ANSWERS, st.integers(1, 30), st.floats(0, 20), st.floats(0, 1, exclude_max=True))
def test_laws(answer, attempt, elapsed_s, jitter):
    verdict = judge(answer, attempt, elapsed_s, POLICY, jitter)
    if isinstance(verdict, Retry):
        planned = POLICY.waits_s[min(attempt, 4) - 1]
        assert planned <= verdict.wait_s <= max(planned * (1 + JITTER), answer.retry_after_s or 0)
        assert verdict.wait_s >= (answer.retry_after_s or 0)
        assert elapsed_s + verdict.wait_s < POLICY.deadline_s
    assert isinstance(verdict, Delivered) is (answer.status is not None and 200 <= answer.status < 300)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("0", 0, id="zero"),
        pytest.param(" 120 ", 120, id="seconds"),
        pytest.param("999999", MAX_RETRY_AFTER_S, id="too-long"),
        pytest.param("9" * 400, MAX_RETRY_AFTER_S, id="absurd"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("٣", None, id="foreign-digits"),
        pytest.param("soon", None, id="words"),
        pytest.param("Sun, 22 Nov 2026 12:01:00 GMT", 60, id="date"),
        pytest.param("Sun, 22 Nov 2026 11:00:00 GMT", 0, id="date-past"),
        pytest.param("Sun, 22 Nov 2026 12:01:00 -0000", None, id="date-without-zone"),
        pytest.param("Sun, 99 Nov 2026 12:01:00 GMT", None, id="no-date"),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header, NOW) == seconds


def test_retry_after_counts_from_now():
    assert retry_after("Sun, 22 Nov 2026 12:01:00 GMT", NOW + timedelta(seconds=20)) == 40


# --- the schedule ----------------------------------------------------------------------------------

SCHEDULE = (5, 300, 1_800)


@pytest.mark.parametrize(
    ("gaps_s", "step"),
    [
        pytest.param([], 0, id="first"),
        pytest.param([0.25, 0.5, 1, 2], 0, id="while-a-caller-waited"),
        pytest.param([0.25, 5.2], 1, id="one-wait"),
        pytest.param([5.2, 310], 2, id="two-waits"),
        pytest.param([5.2, 5.1, 6], 1, id="cut-off-for-a-caller"),
        pytest.param([5.2, 310, 1_900], 3, id="all"),
        pytest.param([5.2, 310, 1_900, 86_400], 3, id="replayed"),
        pytest.param([86_400], 1, id="the-service-was-down"),
    ],
)
def test_how_far_the_schedule_is(gaps_s, step):
    assert schedule_step(gaps_s, SCHEDULE) == step


@pytest.mark.parametrize(
    ("gaps_s", "verdict"),
    [
        pytest.param([], Retry(5, "status 500"), id="first"),
        pytest.param([5], Retry(300, "status 500"), id="second"),
        pytest.param([5, 300], Retry(1_800, "status 500"), id="last"),
        pytest.param([5, 300, 1_800], Exhausted("status 500"), id="over"),
    ],
)
def test_a_failure_goes_on_along_the_schedule(gaps_s, verdict):
    assert judge_later(Answer(500), gaps_s, SCHEDULE, 0) == verdict


def test_later_attempts_are_judged_like_all():
    assert judge_later(Answer(204), [9_999] * 9, SCHEDULE, 0) == Delivered()
    assert judge_later(Answer(404), [], SCHEDULE, 0) == Dead("status 404")
    assert judge_later(Answer(410), [], SCHEDULE, 0) == Dead("status 410", stop=True)
    assert judge_later(Answer(503, retry_after_s=3_600), [], SCHEDULE, 0) == Retry(3_600, "status 503")
    assert judge_later(Answer(500), [], (), 0) == Exhausted("status 500"), "without a schedule there is no later"


@given(st.lists(st.floats(1, 1e5), max_size=12), st.floats(0, 1, exclude_max=True))
def test_following_the_schedule_uses_up_one_wait_each_time(schedule_s, jitter):
    gaps_s: list[float] = []
    while isinstance(verdict := judge_later(Answer(500), gaps_s, schedule_s, jitter), Retry):
        planned = schedule_s[len(gaps_s)]
        assert planned <= verdict.wait_s <= planned * (1 + JITTER)
        gaps_s.append(verdict.wait_s)
    assert len(gaps_s) == len(schedule_s)
