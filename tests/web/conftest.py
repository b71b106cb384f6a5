"""Twilio's side of the doors, message by message, so that every message can be wrong."""

import asyncio
import base64
import json
import secrets
from contextlib import asynccontextmanager
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

ORIGIN = "https://voice.example.com"
MEDIA = "wss://voice.example.com/twilio/media"
DEADLINE_S = 50
FRAME = b"\x7f" * 160


def sid(prefix):
    return prefix + secrets.token_hex(16)


class Stream:
    """One media stream, from the carrier's side."""

    def __init__(self, socket, call_sid):
        self.socket, self.call_sid, self.sid = socket, call_sid, sid("MZ")
        self.sequence = self.chunk = 0
        self.timestamp = 155
        self.got = []

    async def send(self, **message):
        await self.socket.send(json.dumps(message))

    async def raw(self, message):
        await self.socket.send(message)

    async def connected(self):
        await self.send(event="connected", protocol="Call", version="1.0.0")

    async def start(self, token, **changes):
        body = {
            "accountSid": DEFAULT_ACCOUNT_SID,
            "streamSid": self.sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {} if token is None else {"token": token},
        }
        self.sequence += 1
        await self.send(event="start", sequenceNumber=str(self.sequence), start=body | changes, streamSid=self.sid)

    async def media(self, frames=1, payload=FRAME, track="inbound"):
        """Send frames as fast as the line takes them; their timestamps say 20 ms each."""
        for _ in range(frames):
            self.sequence, self.chunk = self.sequence + 1, self.chunk + 1
            await self.send(
                event="media",
                sequenceNumber=str(self.sequence),
                media={
                    "track": track,
                    "chunk": str(self.chunk),
                    "timestamp": str(self.timestamp),
                    "payload": base64.b64encode(payload).decode(),
                },
                streamSid=self.sid,
            )
            self.timestamp += 20

    async def stop(self):
        await self.send(
            event="stop",
            sequenceNumber="999",
            streamSid=self.sid,
            stop={"accountSid": DEFAULT_ACCOUNT_SID, "callSid": self.call_sid},
        )

    async def echo(self, mark):
        await self.send(event="mark", sequenceNumber="9", streamSid=self.sid, mark={"name": mark})

    async def until(self, event):
        """Read up to the next message of this kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = json.loads(await self.socket.recv())
                self.got.append(message)
                if message["event"] == event:
                    return message

    async def closed(self):
        """Read until the service closes; the close code and reason."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    self.got.append(json.loads(await self.socket.recv()))
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason


class Carrier:
    """Makes Twilio's requests of one house."""

    def __init__(self, house, session):
        self.house, self.session = house, session
        self.validator = RequestValidator(DEFAULT_AUTH_TOKEN)

    def form(self, call_sid, **changes):
        base = {
            "CallSid": call_sid,
            "AccountSid": DEFAULT_ACCOUNT_SID,
            "From": "+15550123",
            "To": "+15550199",
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        return base | changes

    async def post(self, path, form, *, signature=None, query="", **request):
        """Ask one of the HTTP doors; the status and the text."""
        if signature is None:
            signature = self.validator.compute_signature(f"{ORIGIN}{path}{query}", form)
        headers = {"X-Twilio-Signature": signature} if signature else {}
        data = request.pop("data", form)
        async with self.session.post(
            f"{self.house.address}{path}{query}", data=data, headers=headers | request.pop("headers", {}), **request
        ) as answer:
            return answer.status, await answer.text()

    async def get(self, path):
        async with self.session.get(f"{self.house.address}{path}") as answer:
            return answer.status, await answer.text()

    async def ring(self, call_sid=None, **changes):
        """Ask the voice webhook; the CallSid and the stream's token."""
        call_sid = call_sid or sid("CA")
        status, text = await self.post("/twilio/voice", self.form(call_sid, **changes))
        assert status == 200, text
        return call_sid, self.token_of(text)

    @staticmethod
    def token_of(twiml):
        return ET.fromstring(twiml).find(".//Parameter[@name='token']").get("value")

    @asynccontextmanager
    async def stream(self, call_sid, *, signature=None, **options):
        """Open the WebSocket; nothing is sent yet."""
        if signature is None:
            signature = self.validator.compute_signature(MEDIA, {})
        headers = {"x-twilio-signature": signature} if signature else {}
        url = self.house.address.replace("http", "ws", 1) + "/twilio/media"
        async with connect(url, additional_headers=headers, compression=None, proxy=None, **options) as socket:
            yield Stream(socket, call_sid)

    @asynccontextmanager
    async def talking(self, **changes):
        """A call with its stream begun."""
        call_sid, token = await self.ring(**changes)
        async with self.stream(call_sid) as stream:
            await stream.connected()
            await stream.start(token)
            yield stream


@pytest.fixture
def carrier():
    """Twilio for one house: `async with carrier(h) as twilio:`."""

    @asynccontextmanager
    async def open_carrier(house):
        async with aiohttp.ClientSession() as session:
            yield Carrier(house, session)

    return open_carrier
