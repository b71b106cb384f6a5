"""Soniox is busy: 503 at once, 429 and 500 after a wait; too long, and the call goes on deaf until it passes."""

import pytest

from voicebot import live
from voicebot.local.phone.scenario import HangUp, Wait
from voicebot.local.soniox.server import Faults

HELLO = [{"at_ms": 300, "say": "hello there my friend", "until_ms": 1_500, "end_ms": 2_000}]
LATER = [{"at_ms": 500, "say": "can you hear me", "until_ms": 1_500, "end_ms": 2_000}]
HANG_UP = {"actions": [{"type": "hangup"}]}
KINDS = {503: "service_unavailable", 429: "limit_exceeded", 500: "internal_error"}


def told(h):
    return [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")]


@pytest.mark.parametrize("code", KINDS)
async def test_in_mid_turn_nothing_is_lost(house, logs, code):
    h = await house([HELLO, HELLO], faults=[Faults(error_at_ms=900, error_code=code), None])
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert h.metric("soniox_errors_total", side="stt", kind=KINDS[code]) == 1
    assert h.metric("soniox_reconnects_total", why="error") == 1
    [lost] = [entry for entry in logs if entry["event"] == "stt.lost"]
    assert (lost["wait_s"] == 0) is (code == 503)
    assert h.app.of("call.degraded") == []


async def test_a_busy_handshake_is_tried_again(house):
    h = await house([HELLO, HELLO, HELLO], faults=[Faults(handshake_status=503), Faults(handshake_status=429), None])
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert len(h.tap.stt) == 3


@pytest.mark.parametrize("code", [429, 500])
async def test_too_long_and_the_call_goes_on_deaf_until_it_passes(house, logs, code):
    busy = Faults(error_at_ms=100, error_code=code)
    h = await house(
        [HELLO, HELLO, LATER],
        faults=[busy, busy, None],
        soniox={"connect_attempts": 2, "recover_s": 0.5, "recover_ms": 0},
    )
    h.app.on("turn.completed", HANG_UP)
    phone = h.dial()
    degraded = await h.app.until("call.degraded")
    assert degraded["data"] | {"message": "", "spoken": []} == {
        "what": "recognition",
        "kind": KINDS[code],
        "code": code,
        "message": "",
        "recovering": True,
        "spoken": [],
    }
    await h.trouble("speech recognition is gone")
    recovered = await h.app.until("call.recovered")
    assert recovered["data"]["ms"] >= 400
    await phone.report()
    await h.empty()
    assert told(h) == ["can you hear me"]
    assert h.app.types.count("call.degraded") == h.app.types.count("call.recovered") == 1
    assert h.metric("calls_degraded") == 0
    [failed] = [entry for entry in logs if entry["event"] == "stt.failed"]
    assert failed["log_level"] == "error" and failed["advice"]
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    [line] = [entry for entry in logs if entry["event"] == "call.ended"]
    assert (line["reconnects"], line["degraded_ms"]) == (2, recovered["data"]["ms"])


async def test_the_policy_of_the_number_and_then_the_application(house):
    """What a number does by itself comes first, the application's answer follows."""
    h = await house(
        HELLO,
        faults=Faults(error_at_ms=100, error_code=500),
        soniox={"connect_attempts": 1},
        default={"degraded": {"actions": [{"type": "say", "text": "One moment."}]}},
    )
    h.app.on("call.degraded", {"actions": [{"type": "say", "text": "Somebody will call you."}, {"type": "hangup"}]})
    report = await h.call()
    assert report.ended == "service"
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == [
        "One moment.",
        "Somebody will call you.",
    ]


async def test_a_caller_who_hangs_up_meanwhile(house):
    h = await house(
        HELLO, faults=Faults(error_at_ms=100, error_code=500), soniox={"connect_attempts": 1, "recover_s": 60}
    )
    phone = h.dial(Wait(wait=600), HangUp())
    await h.app.until("call.degraded")
    await h.live(live.BotSays)
    await phone.hang_up()
    await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"
    assert h.metric("calls_degraded") == 0
