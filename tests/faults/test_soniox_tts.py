"""The voice fails: another connection, another account, at last the carrier; the call goes on."""

from voicebot import live
from voicebot.local.soniox.server import Faults

HANG_UP = {"type": "hangup"}


def say(text):
    return {"type": "say", "text": text}


async def test_a_refused_voice_is_replaced_by_the_carriers(house, logs):
    """Recognition works, the voice does not: what is to be said is said, in order, between two streams."""
    h = await house(faults=Faults(tts_error_code=402))
    h.app.on(
        "call.started",
        {"actions": [say("Good morning."), say("How can I help?"), {"type": "pause", "ms": 20}, HANG_UP]},
    )
    phone = h.dial()
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    said = [event.detail for event in phone.events.all if getattr(event, "verb", "") == "Say"]
    assert said == ["Good morning. How can I help?"]
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert h.metric("soniox_errors_total", side="tts", kind="organization_balance_exhausted") >= 1
    assert [entry["log_level"] for entry in logs if entry["event"] == "tts.refused"] == ["error"]
    assert h.app.of("call.degraded") == []


async def test_a_voice_that_fails_for_now_is_not_replaced(house):
    """What may pass is no reason to leave the stream: the utterance is not said, as ever, and the operator is told."""
    h = await house(faults=Faults(tts_error_code=500))
    h.app.on("call.started", {"actions": [say("Good morning."), HANG_UP]})
    await h.call()
    await h.trouble("500 internal_error")
    assert h.metric("speech_failed_total") == 1
    assert len([event for event in h.seen.all if isinstance(event, live.StreamOpened)]) == 1


async def test_another_account_speaks_when_the_first_is_refused(house):
    h = await house(soniox={"api_key": "another-key", "fallback": {"api_key": "the-key"}})
    h.app.on("call.started", {"actions": [say("Good morning."), HANG_UP]})
    await h.call()
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Good morning."]
    assert [session.key for session in h.tap.tts][-1] == "Bearer the-key"
