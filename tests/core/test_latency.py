"""The latency account of a turn."""

import pytest

from voicebot.core.latency import TurnClock


def test_every_part_and_their_sum():
    clock = TurnClock(speech_ended=10.0, completed=10.42, reply_began=10.455, replied=10.457, first_audio=10.767)
    assert clock.parts() == {
        "endpoint_ms": 420,
        "webhook_ms": 35,
        "reply_ms": 2,
        "first_audio_ms": 310,
        "total_ms": 767,
    }


@pytest.mark.parametrize(
    ("clock", "parts"),
    [
        pytest.param(TurnClock(), {}, id="nothing happened yet"),
        pytest.param(TurnClock(0.0, 0.5), {"endpoint_ms": 500}, id="no reply"),
        pytest.param(TurnClock(None, 1.0, 1.2, 1.3), {"webhook_ms": 200, "reply_ms": 100}, id="end of speech unknown"),
        pytest.param(
            TurnClock(1.0, 1.4, 1.5, 3.0, 2.0),
            {"endpoint_ms": 400, "webhook_ms": 100, "reply_ms": 1_500, "total_ms": 1_000},
            id="the answer was heard before its end was written",
        ),
    ],
)
def test_only_what_is_known(clock, parts):
    assert clock.parts() == parts
