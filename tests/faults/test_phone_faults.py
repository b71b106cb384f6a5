"""Everything the phone's side can do wrong, one after the other: the faulty call ends by itself, a good one does not notice."""

from dataclasses import fields

import pytest

from voicebot import live
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.scenario import HangUp, Wait

SCRIPT = [{"at_ms": 400, "say": "hello there", "until_ms": 600, "end_ms": 800}]
PATIENCE = {"twilio": {"start_timeout_s": 1, "silence_timeout_s": 1.5, "ping_s": 0.5, "mark_timeout_s": 0.5}}
REFUSED = {
    "never_start": True,
    "start_call_sid": "CAother",
    "parameters": {"token": "forged"},
    "bad_webhook_signature": True,
    "bad_socket_signature": True,
    "no_signature": True,
}
"""No stream comes about."""
NO_CALL = {"bad_webhook_signature", "no_signature"}
SURVIVED = {
    "no_stop": True,
    "die_after_frames": 110,
    "freeze_after_frames": 60,
    "stop_reading": True,
    "no_marks": True,
    "duplicate_socket": True,
    "start_twice": True,
    "webhook_twice": True,
    "swap_every": 3,
    "duplicate_every": 4,
    "drop_every": 5,
    "unknown_event_every": 3,
    "unknown_fields": True,
    "numbers_as_numbers": True,
    "oversized_frame": 110,
    "malformed_before_frame": 20,
    "binary_before_frame": 20,
}
"""The caller's words arrive."""


def test_no_fault_is_left_out():
    how_often = {"die_streams"}
    assert {field.name for field in fields(PhoneFaults)} - how_often == {*REFUSED, *SURVIVED}


@pytest.mark.timeout(120)
async def test_each_suffers_alone(house):
    h = await house(SCRIPT, **PATIENCE)
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    bad = {
        name: h.dial(Wait(wait=2.5), HangUp(), faults=PhoneFaults(**{name: value}), pace=1.0)
        for name, value in (REFUSED | SURVIVED).items()
    }
    for name in SURVIVED:
        turn = await h.app.until("turn.completed", call=bad[name].sid)
        assert turn["data"]["turn"]["text"] == "hello there", name
    for phone in bad.values():
        await phone.report()
    for name in bad.keys() - NO_CALL:
        await h.app.until("call.ended", call=bad[name].sid)
    assert [name for name in NO_CALL if h.app.of("call.started", bad[name].sid)] == []
    assert h.service.calls.find(good.sid) is not None
    report = await good.hang_up()
    assert report.notes == []
    await h.empty()
    assert h.metric("calls") == 0
    for call in {event["call"]["id"] for event in h.app.events}:
        sequences = [event["sequence"] for event in h.app.events if event["call"]["id"] == call]
        assert sorted(sequences) == list(range(1, len(sequences) + 1))
        assert len(h.app.of("call.ended", call)) == 1
