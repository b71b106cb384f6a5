"""`streamdouble`, somebody else's Twilio: it streams at our service and judges every message that comes back.

It knows the media stream alone, so the voice webhook is asked here first and gives it the token and the CallSid. Its
command line makes up a CallSid of its own; a session of its library takes ours.
"""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from streamdouble.chaos import Impairments
from streamdouble.protocol import StreamIdentity
from streamdouble.scenario import Dtmf, Expect, Say, Scenario, Wait, WaitFor
from streamdouble.session import Session, SessionConfig
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

HELLO = [{"at_ms": 400, "say": "hello there", "until_ms": 700, "end_ms": 900}]
HANG_UP = {"type": "hangup"}
TONE = [bytes(range(0x20, 0x48)) * 4] * 15
MEDIA = "wss://voice.example.com/twilio/media"


def say(text):
    return {"type": "say", "text": text}


async def ring(h):
    """Ask the voice webhook as Twilio does; who streams, and with which token."""
    identity = StreamIdentity(account_sid=DEFAULT_ACCOUNT_SID)
    form = {"CallSid": identity.call_sid, "AccountSid": DEFAULT_ACCOUNT_SID, "From": "+1555", "To": "+1556"}
    url = "https://voice.example.com/twilio/voice"
    headers = {"X-Twilio-Signature": RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(url, form)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{h.address}/twilio/voice", data=form, headers=headers) as answer,
    ):
        twiml = ET.fromstring(await answer.text())
    return identity, twiml.find(".//Parameter").get("value")


@asynccontextmanager
async def signing(h):
    """A proxy that adds what streamdouble cannot: Twilio's signature of the handshake."""
    signature = RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(MEDIA, {})

    async def pump(source, target):
        try:
            async for message in source:
                await target.send(message)
        except ConnectionClosed:
            pass
        await target.close()

    async def handle(socket):
        headers = {"x-twilio-signature": signature}
        url = h.address.replace("http", "ws", 1) + "/twilio/media"
        async with (
            connect(url, additional_headers=headers, compression=None, proxy=None) as upstream,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(pump(socket, upstream))
            group.create_task(pump(upstream, socket))

    async with serve(handle, "127.0.0.1", 0, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/twilio/media"


async def place(h, url, *steps, **config):
    """Place a call; what streamdouble found."""
    identity, token = await ring(h)
    settings = SessionConfig(custom_parameters={"token": token, "campaign": "spring"}, quiet_period_s=0.3, **config)
    scenario = Scenario(name="call", steps=list(steps))
    result = await Session(url, scenario=scenario, config=settings, identity=identity).run()
    await h.empty()
    assert result.violations == []
    assert result.unknown_events == []
    assert result.warnings == []
    return result


def spoken(frames=TONE):
    return Say(path=Path("clip.wav"), frames=frames)


async def test_a_conversation(house):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [say("Well, hello.")]})
    async with signing(h) as url:
        result = await place(h, url, spoken(), Wait(1.0), WaitFor("audio", 10), WaitFor("quiet", 10), Wait(0.3))
    assert result.audio_duration_s == pytest.approx(len("Well, hello.") * 0.06, abs=0.03)
    assert len(result.marks_echoed) == len(result.marks_received) == 2  # behind its beginning, and its end
    assert result.clears_received == 0
    [turn] = h.app.of("turn.completed")
    assert turn["data"]["turn"]["text"] == "hello there"
    assert turn["call"]["parameters"] == {"campaign": "spring"}
    [finished] = h.app.of("speech.finished")
    assert finished["data"]["heard"] == "Well, hello."


async def test_the_service_hangs_up_after_its_last_words(house):
    h = await house()
    h.app.on("call.started", {"actions": [say("Bye."), HANG_UP]})
    async with signing(h) as url:
        result = await place(h, url, WaitFor("audio", 10), Wait(20))
    assert result.closed_by == "agent"
    assert result.audio_duration_s > 0.2
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"


async def test_an_interruption_though_flushed_marks_never_come_back(house):
    """Unlike Twilio, streamdouble drops the marks that `clear` flushes: nobody may wait for them."""
    h = await house([{"at_ms": 1_000, "say": "stop please", "until_ms": 1_300, "end_ms": 1_500}])
    h.app.on("call.started", {"actions": [say("A greeting that is much too long for anybody to hear it to its end.")]})
    h.app.on("turn.completed", {"actions": [say("Sorry."), HANG_UP]})
    async with signing(h) as url:
        result = await place(h, url, WaitFor("audio", 10), spoken(), WaitFor("clear", 10), Expect("clear"), Wait(20))
    assert result.failed_expectations == []
    assert result.clears_received == 1
    [interrupted] = h.app.of("speech.interrupted")
    assert interrupted["data"]["unheard"]
    assert h.app.of("speech.finished")[0]["data"]["text"] == "Sorry."


async def test_keys(house):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "listen", "expect": {"digits": 3}}]})
    h.app.on("digits.completed", {"actions": [HANG_UP]})
    async with signing(h) as url:
        await place(h, url, Wait(1.5), Dtmf("407"), Wait(20))
    assert h.app.of("digits.completed")[0]["data"]["digits"] == "407"


async def test_a_fork_with_both_tracks_gets_nothing_back(house):
    h = await house(HELLO, default={"mode": "transcribe", "track": "both_tracks"})
    h.app.on("transcript.final", {"actions": [say("Never said.")]})
    async with signing(h) as url:
        await place(
            h,
            url,
            spoken(),
            Wait(1.2),
            fork=True,
            strict_fork=True,
            tracks=["inbound", "outbound"],
            agent_frames=[b"\x11" * 160] * 100,
        )
    finals = h.app.of("transcript.final")
    assert {final["data"]["track"] for final in finals} == {"caller", "agent"}
    assert {final["data"]["turn"]["text"] for final in finals} == {"hello there"}


async def test_a_bad_network(house):
    """Frames lost on the way leave holes in the timestamps; they are filled, so the words keep their time."""
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    async with signing(h) as url:
        impairments = Impairments(loss=0.2, jitter_ms=30)
        result = await place(h, url, spoken(), Wait(20), impairments=impairments, chaos_seed=7)
    assert result.frames_dropped > 0
    [turn] = h.app.of("turn.completed")
    assert turn["data"]["turn"]["text"] == "hello there"


async def test_without_a_signature_it_gets_no_further_than_the_handshake(house):
    h = await house()
    identity, token = await ring(h)
    url = h.address.replace("http", "ws", 1) + "/twilio/media"
    config = SessionConfig(custom_parameters={"token": token})
    with pytest.raises(Exception, match="403"):
        await Session(url, TONE, config=config, identity=identity).run()
    await h.service.calls.end_all()


async def test_straight_at_the_door_where_signatures_are_switched_off(house):
    """Here it brings its own WebSocket client: compression offered, another user agent."""
    h = await house(HELLO, twilio={"check_signatures": False})
    h.app.on("turn.completed", {"actions": [say("Fine."), HANG_UP]})
    url = h.address.replace("http", "ws", 1) + "/twilio/media"
    result = await place(h, url, spoken(), Wait(20))
    assert result.audio_duration_s > 0.2
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == "hello there"
