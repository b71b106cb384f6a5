"""Labels are few and known beforehand."""

import pytest

from voicebot.metrics import ANSWERS, REASONS, Metrics, answer, one_of


def test_what_a_label_does_not_know_is_other():
    assert one_of(REASONS, "bot_hangup") == "bot_hangup"
    assert one_of(REASONS, "the caller was rude") == "other"


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (204, "", "2xx"),
        (301, "", "3xx"),
        (410, "", "4xx"),
        (503, "", "5xx"),
        (999, "", "other"),
        (None, "no answer within 8.0 s", "timeout"),
        (None, "ClientConnectorError: refused", "unreachable"),
        (200, "cut off after 20.0 s", "2xx"),
    ],
)
def test_how_a_request_went_in_one_word(status, error, outcome):
    assert answer(status, error) == outcome
    assert outcome in {*ANSWERS, "other"}


def test_the_first_event_of_a_kind_is_seen_because_its_series_is_there_before():
    metrics = Metrics()
    assert metrics.registry.get_sample_value("voicebot_calls_ended_total", {"reason": "error"}) == 0
    before = {
        (s.name, *s.labels.values())
        for m in metrics.registry.collect()
        for s in m.samples
        if not s.name.endswith("_created")
    }
    metrics.webhook_attempts.labels("ask", "5xx").inc()
    metrics.turn_latency.labels("audio_heard").observe(1)
    after = {
        (s.name, *s.labels.values())
        for m in metrics.registry.collect()
        for s in m.samples
        if not s.name.endswith("_created")
    }
    assert before == after


def test_numbers_are_summed_over_the_labels_that_are_not_named():
    metrics = Metrics()
    metrics.calls.labels("bot", "inbound").inc(2)
    metrics.calls.labels("bot", "outbound").inc()
    assert metrics.value("voicebot_calls") == 3
    assert metrics.value("voicebot_calls", direction="inbound") == 2
