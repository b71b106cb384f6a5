"""The latency account of a turn."""

from dataclasses import fields, replace

import pytest

from voicebot.core.latency import TurnClock
from voicebot.wire.webhook_data import LatencyData

WHOLE = TurnClock(
    speech_ended=10.0,
    settled=10.33,
    decided=10.42,
    sent=10.424,
    reply_began=10.459,
    replied=10.461,
    audio_sent=10.767,
    audio_heard=10.861,
)


def test_every_step_counts_from_the_end_of_speech():
    assert WHOLE.parts() == {
        "settled_ms": 330,
        "decided_ms": 420,
        "sent_ms": 424,
        "reply_began_ms": 459,
        "replied_ms": 461,
        "audio_sent_ms": 767,
        "audio_heard_ms": 861,
    }


def test_the_steps_are_those_of_the_webhook_in_their_order():
    assert list(WHOLE.parts()) == list(LatencyData.model_fields)
    assert LatencyData.model_validate(WHOLE.parts()).audio_heard_ms == 861


@pytest.mark.parametrize(
    ("clock", "parts"),
    [
        pytest.param(TurnClock(), {}, id="nothing happened yet"),
        pytest.param(replace(WHOLE, speech_ended=None), {}, id="end of speech unknown"),
        pytest.param(TurnClock(speech_ended=10.0), {}, id="only the end of speech"),
        pytest.param(
            TurnClock(speech_ended=0.0, settled=0.2, decided=0.5, sent=0.501),
            {"settled_ms": 200, "decided_ms": 500, "sent_ms": 501},
            id="no reply",
        ),
        pytest.param(
            TurnClock(speech_ended=1.0, reply_began=1.5, audio_sent=2.0, audio_heard=2.1, replied=3.0),
            {"reply_began_ms": 500, "replied_ms": 2_000, "audio_sent_ms": 1_000, "audio_heard_ms": 1_100},
            id="the answer was heard before its end was written",
        ),
        pytest.param(
            TurnClock(speech_ended=1.0, sent=1.4, reply_began=1.45, replied=1.45, decided=2.0),
            {"sent_ms": 400, "reply_began_ms": 450, "replied_ms": 450, "decided_ms": 1_000},
            id="a provisional turn is answered before it is decided",
        ),
        pytest.param(
            TurnClock(speech_ended=5.0, settled=4.7, decided=5.0),
            {"settled_ms": 0, "decided_ms": 0},
            id="settled while the last sound faded: never negative",
        ),
        pytest.param(TurnClock(speech_ended=1.0, decided=1.0004), {"decided_ms": 0}, id="rounded down"),
        pytest.param(TurnClock(speech_ended=1.0, decided=1.0006), {"decided_ms": 1}, id="rounded up"),
    ],
)
def test_only_what_is_known(clock, parts):
    assert clock.parts() == parts


@pytest.mark.parametrize("step", [each.name for each in fields(TurnClock) if each.name != "speech_ended"])
def test_a_step_changes_its_own_part_only(step):
    parts = replace(WHOLE, **{step: 12.0}).parts()
    assert parts.pop(f"{step}_ms") == 2_000
    assert parts == {name: ms for name, ms in WHOLE.parts().items() if name != f"{step}_ms"}
