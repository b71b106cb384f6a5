"""Soniox refuses the account: never tried again on that key; the call goes on with keys, and the carrier apologises."""

import pytest

from voicebot import live
from voicebot.config.answers import APOLOGY
from voicebot.local.phone.options import DialOutcome
from voicebot.local.soniox.server import Faults

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 1_500, "end_ms": 2_000}]
KEYS = {"actions": [{"type": "listen", "expect": {"digits": 2}}]}
BYE = {"actions": [{"type": "say", "text": "Thank you."}, {"type": "hangup"}]}


def said_by_carrier(phone):
    return [event.detail for event in phone.events.all if getattr(event, "verb", "") == "Say"]


@pytest.mark.parametrize("code", [401, 402, 403])
async def test_the_call_goes_on_with_keys(house, logs, code):
    """The voice of the same account still speaks: nothing is left to the carrier."""
    h = await house(HELLO, faults=Faults(error_at_ms=100, error_code=code))
    h.app.on("call.degraded", KEYS)
    h.app.on("digits.completed", BYE)
    phone = h.dial()
    degraded = await h.app.until("call.degraded")
    assert (degraded["data"]["code"], degraded["data"]["recovering"]) == (code, False)
    await h.live(live.BotSaid)
    phone.press("42")
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    [digits] = h.app.of("digits.completed")
    assert digits["data"]["digits"] == "42"
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == [APOLOGY, "Thank you."]
    assert h.app.of("turn.completed") == []
    assert len(h.tap.stt) == 1, "never again on that key"
    assert h.metric("stt_failed_total") == 1
    [failed] = [entry for entry in logs if entry["event"] == "stt.failed"]
    assert failed["log_level"] == "error" and failed["advice"]
    [line] = [entry for entry in logs if entry["event"] == "call.ended"]
    assert line["reconnects"] == 0
    assert line["degraded_ms"] > 0, "to the end of the call"
    assert h.metric("calls_degraded") == 0


async def test_the_carrier_says_what_our_voice_cannot(house, logs):
    h = await house(HELLO, soniox={"api_key": "another-key"})
    h.app.on("call.degraded", KEYS)
    h.app.on("digits.completed", BYE)
    phone = h.dial()
    await h.app.until("call.degraded")
    await h.live(live.StreamOpened, count=2)
    assert said_by_carrier(phone) == [APOLOGY]
    phone.press("42")
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert said_by_carrier(phone) == [APOLOGY, "Thank you."]
    assert [event["data"]["digits"] for event in h.app.of("digits.completed")] == ["42"]
    assert h.app.types.count("call.degraded") == 1, "told once, although each stream has found it out anew"
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert "another-key" not in str(logs.all)
    assert h.metric("calls_degraded") == 0


async def test_a_number_may_say_nothing_by_itself(house):
    h = await house(HELLO, soniox={"api_key": "another-key"}, default={"degraded": {"actions": []}})
    h.app.on("call.degraded", {"actions": [{"type": "hangup"}]})
    phone = h.dial()
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert said_by_carrier(phone) == []


async def test_a_number_may_hand_the_caller_on_by_itself(house):
    actions = [{"type": "say", "text": "Let me connect you."}, {"type": "transfer", "to": "+15550199"}]
    h = await house(HELLO, soniox={"api_key": "another-key"}, default={"degraded": {"actions": actions}})
    phone = h.dial(dial=DialOutcome("completed", 0.1))
    await phone.report()
    await h.empty()
    assert said_by_carrier(phone) == ["Let me connect you."]
    assert h.app.events[-1]["data"]["reason"] == "transferred"
