"""Soniox drops the line in mid-call: whatever was being said arrives whole, once, and the caller does not notice."""

import pytest

from voicebot import live
from voicebot.local.soniox.server import Faults
from voicebot.wire.soniox_stt import END_OF_AUDIO, FINALIZE

# Session 2 begins where session 1 had settled nothing: at the start of the call, so its times are the call's own.
HELLO = [{"at_ms": 300, "say": "hello there my friend", "until_ms": 1_500, "end_ms": 2_000}]
HANG_UP = {"actions": [{"type": "hangup"}]}


def told(h):
    return [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")]


def cut_once(h, wanted):
    """The connection breaks instead of carrying this message."""

    async def meddle(_session, socket, message):
        if message != wanted:
            return False
        h.tap.meddle = None
        socket.transport.abort()
        return True

    h.tap.meddle = meddle


def starts(event):
    return [word["start_ms"] for word in event["data"]["turn"]["words"]]


@pytest.mark.parametrize("at_ms", [100, 700, 1_400, 1_900], ids=["before", "in the middle", "last word", "pause"])
async def test_a_turn_in_progress_survives(house, at_ms):
    h = await house([HELLO, HELLO], faults=[Faults(drop_at_ms=at_ms), None])
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    [turn] = h.app.of("turn.completed")
    assert starts(turn) == [300, 600, 900, 1_200], "one clock, whichever session it was"
    assert len(h.tap.stt) == 2
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert h.metric("soniox_reconnects_total", why="lost") == 1
    assert h.metric("soniox_errors_total", side="stt", kind="connection_lost") == 1
    assert h.metric("soniox_replayed_ms_total") >= at_ms - 100
    assert h.metric("audio_dropped_ms_total") == 0


async def test_words_already_settled_are_not_repeated(house):
    """The second session hears the last half second of what was settled once more."""
    first = [{"at_ms": 300, "say": "hello there", "until_ms": 900, "end_ms": 1_000}]
    again = [  # begins at 500 ms of the call
        {"at_ms": 400, "tokens": [{"text": " there", "start_ms": 0, "end_ms": 390, "is_final": True}]},
        {"at_ms": 500, "end": True},
        {"at_ms": 1_500, "say": "good bye", "until_ms": 2_000, "end_ms": 2_300},
    ]
    h = await house([first, again], faults=[Faults(drop_at_ms=1_300), None])
    h.app.on("turn.completed", {}, HANG_UP)
    await h.call()
    assert told(h) == ["hello there", "good bye"]
    assert starts(h.app.of("turn.completed")[1]) == [2_000, 2_250]


async def test_again_and_again(house, logs):
    h = await house(
        [HELLO, HELLO, HELLO, HELLO], faults=[*(Faults(drop_at_ms=at_ms) for at_ms in (500, 900, 1_300)), None]
    )
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert len(h.tap.stt) == 4
    [line] = [entry for entry in logs if entry["event"] == "call.ended"]
    assert (line["reconnects"], line["degraded_ms"], line["lost_streams"]) == (3, 0, 0)


async def test_while_a_request_to_settle_is_under_way(house):
    """No endpoint comes; the line breaks before the words can be settled on request."""
    words = [{"at_ms": 500, "partial": " yes please"}]
    h = await house([words, words])
    cut_once(h, FINALIZE)
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["yes please"]
    assert len(h.tap.stt) == 2


async def test_while_the_last_words_are_awaited(house):
    """The caller has hung up; the end of audio is said once more."""
    words = [{"at_ms": 300, "partial": " please wait"}]
    h = await house([words, words], default={"turns": {"commit_after_ms": 30_000, "finalize_after_ms": 10_000}})
    cut_once(h, END_OF_AUDIO)
    phone = h.dial()
    await h.live(live.Partial)
    await phone.hang_up()
    await h.empty()
    assert told(h) == ["please wait"]
    assert len(h.tap.stt) == 2
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"
