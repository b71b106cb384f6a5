"""A media stream that has come to another worker than its call's: its connection is handed over whole."""

import asyncio
import base64
import json
import secrets
from xml.etree import ElementTree as ET

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN
from voicebot.workers import handover

ORIGIN = "https://voice.example.com"
DEADLINE_S = 50


def form(sid):
    return {"CallSid": sid, "AccountSid": DEFAULT_ACCOUNT_SID, "From": "+15550123", "To": "+15550199"}


async def ring(p, asked, sid):
    """Return the address of the stream and its token, as the carrier is told."""
    status, twiml = await p.webhook(asked, "/twilio/voice", form(sid))
    assert status == 200
    root = ET.fromstring(twiml)
    return root.find(".//Stream").get("url"), root.find(".//Parameter[@name='token']").get("value")


def signature(url):
    return RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(url, {})


def start(sid, token):
    body = {
        "accountSid": DEFAULT_ACCOUNT_SID,
        "streamSid": f"MZ{secrets.token_hex(16)}",
        "callSid": sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": token},
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": body, "streamSid": body["streamSid"]})


def frame(text):
    """A masked text frame (RFC 6455, section 5.2)."""
    data, mask = text.encode(), b"\x01\x02\x03\x04"
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return b"\x81" + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


async def attached(p, owner, sid):
    call = p.services[owner].calls.find(sid)
    async with asyncio.timeout(DEADLINE_S):
        await call.route.leg.attached.wait()
    return call


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize("owner", [0, 1])
async def test_the_owner_gets_it_and_the_other_one_keeps_nothing(pair, owner, asked):
    p = await pair()
    sid = p.call_of(owner)
    url, token = await ring(p, asked, sid)
    assert url == f"wss://voice.example.com/twilio/media/{sid}"
    at = url.replace("wss://voice.example.com", p.address(asked).replace("http", "ws", 1))
    async with connect(at, additional_headers={"X-Twilio-Signature": signature(url)}, proxy=None) as socket:
        await socket.send(start(sid, token))
        call = await attached(p, owner, sid)
        await socket.ping()
        assert p.services[1 - owner].calls.find(sid) is None
        await socket.send(json.dumps({"event": "stop", "streamSid": "x", "stop": {}}))
        await socket.wait_closed()
    await p.services[owner].calls.wait_empty()
    assert call.route.closed


async def test_what_came_right_behind_the_handshake_is_not_lost(pair):
    """A peer that does not wait for the answer: the owner reads its frames all the same, in their order."""
    p = await pair()
    sid = p.call_of(1)
    url, token = await ring(p, 0, sid)
    reader, writer = await asyncio.open_connection("127.0.0.1", p.services[0].port)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    head = (
        f"GET /twilio/media/{sid} HTTP/1.1\r\nHost: voice.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nX-Twilio-Signature: {signature(url)}\r\n\r\n"
    )
    connected = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    first = frame(connected) + frame(start(sid, token))
    writer.write(head.encode() + first[:100])
    await writer.drain()
    writer.write(first[100:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    await attached(p, 1, sid)
    writer.write(frame(json.dumps({"event": "stop", "streamSid": "x", "stop": {}})))
    async with asyncio.timeout(DEADLINE_S):
        await reader.read()
    writer.close()
    await writer.wait_closed()
    await p.services[1].calls.wait_empty()


async def test_the_owner_checks_the_signature(pair):
    p = await pair()
    sid, other = p.call_of(1), p.call_of(1)
    url, _ = await ring(p, 0, sid)
    for path, signed in ((sid, url + "x"), (other, url), (sid, url.rpartition("/")[0])):
        at = f"ws://127.0.0.1:{p.services[0].port}/twilio/media/{path}"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(at, additional_headers={"X-Twilio-Signature": signature(signed)}, proxy=None):
                pass
        assert refused.value.response.status_code == 403
    await p.webhook(0, "/twilio/status", form(sid) | {"CallStatus": "completed"})
    await p.services[1].calls.wait_empty()


async def test_a_worker_that_is_away_is_waited_for(pair, monkeypatch):
    p = await pair()
    sid = p.call_of(1)
    url, _ = await ring(p, 0, sid)
    at = f"ws://127.0.0.1:{p.services[0].port}/twilio/media/{sid}"
    headers = {"X-Twilio-Signature": signature(url)}
    await p.end(1)
    monkeypatch.setattr(handover, "AWAY_S", 0.1)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(at, additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == 503
    monkeypatch.setattr(handover, "AWAY_S", DEADLINE_S)
    async with asyncio.TaskGroup() as group:
        coming = group.create_task(connect(at, additional_headers=headers, proxy=None).__aenter__())
        await asyncio.sleep(0.1)
        assert not coming.done()
        await p.start(1)
    socket = coming.result()
    await socket.close()


async def test_many_at_once(pair):
    """More than the other worker's mailbox holds (net.unix.max_dgram_qlen)."""
    p = await pair()
    sids = [p.call_of(1) for _ in range(60)]
    told = [await ring(p, 0, sid) for sid in sids]

    async def stream(sid, url, token):
        at = f"ws://127.0.0.1:{p.services[0].port}/twilio/media/{sid}"
        headers = {"X-Twilio-Signature": signature(url)}
        async with connect(at, additional_headers=headers, proxy=None, open_timeout=DEADLINE_S) as socket:
            await socket.send(start(sid, token))
            await attached(p, 1, sid)
            await socket.send(json.dumps({"event": "stop", "streamSid": "x", "stop": {}}))
            await socket.wait_closed()

    async with asyncio.TaskGroup() as group:
        for sid, (url, token) in zip(sids, told, strict=True):
            group.create_task(stream(sid, url, token))
    await p.services[1].calls.wait_empty()
    assert len(p.services[0].calls) == 0
