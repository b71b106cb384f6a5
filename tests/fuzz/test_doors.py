"""The doors of a running service, hit over raw sockets with what no good peer sends, while a good call goes on."""

import asyncio
import contextlib
from random import Random

import pytest

from voicebot import live
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.local.phone.signing import Signer

DOORS = (
    "/twilio/voice",
    "/twilio/connected",
    "/twilio/dialed",
    "/twilio/status",
    "/twilio/stream-status",
    "/twilio/media",
)
PATHS = (
    *DOORS,
    "/calls",
    "/calls/CA1/actions",
    "/events",
    "/search?q=%00",
    "/openapi.json",
    "/console",
    "/metrics",
    "/%ff",
    "*",
)
METHODS = (b"GET", b"POST", b"PUT", b"OPTIONS", b"BREW", b"\x00", b"GET" * 3_000)
BODIES = (
    b"",
    b"CallSid=CA1&From=%ED%A0%80",
    b"CallSid=" + b"a" * 70_000,
    b"&".join(b"a%d=b" % number for number in range(3_000)),
    b"\xff\xfe%zz%%",
    b'{"actions":' + b"[" * 5_000,
    b"--x\r\nContent-Disposition: form-data; name=CallSid\r\n\r\nCA1\r\n",
)
TYPES = (
    b"application/x-www-form-urlencoded",
    b"application/x-www-form-urlencoded; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=no-such",
    b"multipart/form-data; boundary=x",
    b"application/json",
    b"\xff",
)
LENGTHS = (None, b"-1", b"99999999999999999999", b"0", b"5", b"1\r\nContent-Length: 2", b"0x10")
HEADERS = (
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    b"Expect: 100-continue\r\n",
    b"X-Twilio-Signature: \xff\xff\r\n",
    b"Authorization: Bearer " + b"x" * 9_000 + b"\r\n",
    b"Host\r\n",
    b": empty\r\n",
    b"A: b\r\n c\r\n",
    b"".join(b"H%d: x\r\n" % number for number in range(400)),
)
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n"
KEYS = (b"AAAAAAAAAAAAAAAAAAAAAA==", b"short", b"")
PAYLOADS = (
    b"",
    b"{}",
    b"[" * 50_000,
    b'{"event":"start","start":{}}',
    b'{"event":"media","media":{"track":"inbound","timestamp":"0","payload":"\xc7"}}',
    b"\xff\xfe",
    b"a" * 70_000,
)
CODES = (1_000, 1_005, 1_006, 1_015, 999, 65_535)
HITS = 60
ANSWER_S = 0.05


def request(chance):
    """An HTTP request with something wrong in it, or cut off."""
    path = chance.choice(PATHS)
    length = chance.choice(LENGTHS)
    body = chance.choice(BODIES)
    lines = b"%b %b HTTP/%b\r\nHost: a\r\n" % (
        chance.choice(METHODS),
        path.encode("latin-1"),
        chance.choice((b"1.1", b"1.0", b"9.9", b"1.1 x")),
    )
    lines += b"Content-Type: %b\r\n" % chance.choice(TYPES)
    lines += b"Content-Length: %b\r\n" % (length if length is not None else b"%d" % len(body))
    lines += b"".join(chance.sample(HEADERS, chance.randint(0, 2)))
    if chance.random() < 0.4:
        lines += UPGRADE % chance.choice(KEYS)
    whole = lines + b"\r\n" + body
    return whole[: chance.randint(1, len(whole))] if chance.random() < 0.3 else whole


def frame(chance):
    """A WebSocket frame: any opcode, reserved bits, masked or not, with a length that is true or not."""
    opcode, payload = chance.choice((0, 1, 1, 1, 2, 3, 8, 9, 10, 15)), chance.choice(PAYLOADS)
    if opcode == 8 and chance.random() < 0.7:
        payload = chance.choice(CODES).to_bytes(2) + chance.choice((b"", b"\xff", b"bye"))
    head = bytes([(0x80 if chance.random() < 0.7 else 0) | chance.choice((0, 0, 0, 0x40, 0x70)) | opcode])
    masked = 0x80 if chance.random() < 0.8 else 0
    size = len(payload) if chance.random() < 0.9 else chance.choice((2**62, 2**16, 0))
    head += bytes([masked | 127]) + size.to_bytes(8) if size > 65_535 else bytes([masked | 126]) + size.to_bytes(2)
    whole = head + (b"\0\0\0\0" if masked else b"") + payload
    return whole[: chance.randint(1, len(whole))] if chance.random() < 0.2 else whole


def upgrade(sign):
    """A good handshake at the media door."""
    head = b"GET /twilio/media HTTP/1.1\r\nHost: a\r\n" + UPGRADE % KEYS[0]
    return head + b"X-Twilio-Signature: %b\r\n\r\n" % sign.encode()


async def hit(port, *pieces):
    """Send, look at what comes for a moment, and leave, politely or not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            try:
                async with asyncio.timeout(ANSWER_S):
                    await reader.read(65_536)
            except TimeoutError:
                pass
    except ConnectionError:
        pass
    if len(pieces) % 2:
        writer.transport.abort()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(120)
async def test_a_good_call_goes_on(house, logs, seed):

    chance = Random(seed)
    h = await house([{"at_ms": 400, "say": "one", "until_ms": 600, "end_ms": 800}], twilio={"start_timeout_s": 1})
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    signature = Signer(DEFAULT_AUTH_TOKEN).handshake("wss://voice.example.com/twilio/media")
    async with asyncio.TaskGroup() as group:
        for number in range(HITS):
            if number % 2:
                group.create_task(hit(h.service.port, request(chance)))
            else:
                frames = [frame(chance) for _ in range(chance.randint(1, 6))]
                pings = [b"\x89\x80\0\0\0\0" * 500] * (number % 10 == 0)
                group.create_task(hit(h.service.port, upgrade(signature), *frames, *pings))
    await h.app.until("turn.completed", call=good.sid)
    assert len(h.service.calls) == h.metric("calls") == 1
    report = await good.hang_up()
    assert report.notes == []
    await h.empty()
    assert [entry for entry in logs if entry["log_level"] in {"error", "critical"}] == []
