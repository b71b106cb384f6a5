"""A flood of refused requests is counted whole and logged in part."""

import asyncio

import structlog

from voicebot.metrics import Metrics
from voicebot.web.refusals import LINES_PER_SECOND, Refusals


def test_of_many_refusals_in_a_second_the_log_has_a_few_and_their_number(logs):
    now = [0.0]
    metrics = Metrics()
    refusals = Refusals(metrics, lambda: now[0])
    for _ in range(1_000):
        refusals.note("voice", "wrong signature", status=403)
    refusals.note("media", "wrong signature")
    assert len(logs.all) == LINES_PER_SECOND + 1
    now[0] = 1.2
    refusals.note("voice", "wrong signature")
    assert logs.all[-1]["left_out"] == 1_000 - LINES_PER_SECOND
    refusals.note("voice", "wrong signature")
    assert "left_out" not in logs.all[-1]
    counted = metrics.registry.get_sample_value("voicebot_refused_total", {"door": "voice", "why": "wrong signature"})
    assert counted == 1_002


async def test_a_stranger_does_not_fill_the_log(house, carrier, logs):
    h = await house()
    structlog.get_logger()
    async with carrier(h) as twilio, asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(twilio.post("/twilio/voice", twilio.form("CA1"), signature="bm90"))
    assert h.metric("refused_total", door="voice", why="wrong signature") == 100
    lines = [entry for entry in logs if entry["event"] == "door.refused"]
    assert LINES_PER_SECOND <= len(lines) < 100
