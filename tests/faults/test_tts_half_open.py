"""The connection that brings the voice is half open: nobody closed it, nothing comes any more; a ping finds out."""

import asyncio
import json

import pytest

from voicebot import live

SAY = {"type": "say", "text": "One moment, I am looking for your order."}
LISTEN = {"type": "listen", "expect": {"kind": "digits", "digits": 1}}
ANSWER = {"type": "say", "text": "Here it is."}
HANG_UP = {"type": "hangup"}
WHOLE, ANSWERED = (SAY["text"], ""), (ANSWER["text"], "")
FRAMES, FRAME_MS = 5, 120
"""What comes of an utterance, which is four times as long, and how much sound there is in a frame of the local voice."""
PING = {"ping_s": 0.2, "pong_timeout_s": 0.2, "tts_first_audio_timeout_s": 40}


@pytest.fixture
async def half_open():
    """After so many frames of audio a connection is as behind a dead router: nothing arrives at either end of it."""
    over = asyncio.Event()

    def make(h, frames):
        async def meddle(session, socket, message):
            if "tts" not in session.path or isinstance(message, bytes) or "model" not in json.loads(message):
                return False
            h.tap.meddle = None
            pass_on, left = socket.send, frames

            async def send(answer):
                nonlocal left
                left -= 1
                if left >= 0:
                    await pass_on(answer)
                elif not over.is_set():
                    socket.transport.pause_reading()
                    await over.wait()
                    socket.transport.resume_reading()

            socket.send = send
            return False

        h.tap.meddle = meddle

    yield make
    over.set()


def said(h, phone):
    """What was said in a call: each text, and what of it was not heard."""
    finished = h.app.of("speech.finished", phone.sid)
    return [(event["data"]["text"], event["data"]["unheard"]) for event in finished]


def asked(session):
    return [message["text"] for message in session.texts if "text" in message]


async def two_calls(h, half_open, frames):
    """One call has been greeted; its connection takes the next one's greeting and dies under it, after so many frames."""
    h.app.on("call.started", {"actions": [LISTEN, SAY]})
    h.app.on("digits.completed", {"actions": [ANSWER, HANG_UP]})
    other = h.dial()
    await h.app.until("speech.finished", call=other.sid)
    half_open(h, frames)
    return other, h.dial()


async def ends_well(h, *phones):
    """The calls were ended by the bot, and the connection was lost once."""
    for phone in phones:
        assert (await phone.report()).notes == []
    await h.empty()
    assert [event["data"]["reason"] for event in h.app.of("call.ended")] == ["bot_hangup"] * len(phones)
    assert h.metric("soniox_errors_total", side="tts", kind="connection_lost") == 1
    assert h.app.of("call.degraded") == []


async def test_in_the_middle_of_an_utterance_its_rest_is_told_as_unheard(house, half_open):
    """The call goes on with its next reply; another call, which speaks on its own connection meanwhile, does not notice."""
    h = await house(soniox=PING | {"tts_streams_per_socket": 1})
    other, phone = await two_calls(h, half_open, FRAMES)
    await phone.heard("BotSpeaks")
    other.press("1")
    await h.trouble("no answer to a ping")
    phone.press("1")
    await ends_well(h, phone, other)
    assert said(h, other) == [WHOLE, ANSWERED]
    [(text, unheard), answered] = said(h, phone)
    assert text == SAY["text"] and unheard and text.endswith(unheard) and unheard != text
    assert h.app.of("speech.finished", phone.sid)[0]["data"]["ms"] == FRAMES * FRAME_MS
    assert answered == ANSWERED
    assert h.metric("speech_failed_total") == 1
    assert [event.call for event in h.seen if isinstance(event, live.Trouble)] == [phone.sid]
    assert asked(h.tap.tts[0]) == [SAY["text"]] * 2


async def test_before_its_first_sound_everything_is_said_over_another_connection(house, half_open):
    """Nobody notices, not the other call either whose next words were on the same connection."""
    h = await house(soniox=PING)
    other, phone = await two_calls(h, half_open, 0)
    await h.tap.changed.until(lambda message: SAY["text"] in str(message), 2)
    other.press("1")
    await h.app.until("speech.finished", call=phone.sid)
    phone.press("1")
    await ends_well(h, phone, other)
    assert said(h, phone) == said(h, other) == [WHOLE, ANSWERED]
    assert h.metric("speech_failed_total") == 0
    assert [event for event in h.seen if isinstance(event, live.Trouble)] == []
    assert len(h.tap.tts) == 2
