"""One caller: the signed voice webhook, the signed WebSocket handshake, and the messages of a media stream."""

import asyncio
import base64
import hmac
import json
from dataclasses import dataclass, field
from typing import cast, override
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import frames
import stamps

DIAL_TIMEOUT_S = 30
FIRST_TIMESTAMP_MS = 60
ACCOUNT = "AC" + "b" * 32
BARGES_IN = 10
"""Every tenth caller pauses only half as long, and so speaks while the bot still does."""
SPEECH, LINE_NOISE = stamps.rests(speech=True), stamps.rests(speech=False)


class DialError(Exception):
    """The call did not come about; the text says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What all callers share."""

    voice_url: str
    auth_token: str
    speech_ms: int
    pause_ms: int

    def sign(self, url: str, form: dict[str, str]) -> str:
        """Return `X-Twilio-Signature` (Twilio, webhooks security)."""
        text = url + "".join(name + form[name] for name in sorted(form))
        return base64.b64encode(hmac.digest(self.auth_token.encode(), text.encode(), "sha1")).decode()


@dataclass(slots=True, eq=False)
class Line(asyncio.Protocol):
    """A media stream from its handshake on."""

    number: int
    caller: Caller
    opened: asyncio.Future[None]
    sent: int = 0
    """Frames."""
    lost: bool = False
    heard_ms: int = 0
    """Speech that the bot has sent."""
    _transport: asyncio.Transport | None = None
    _reader: frames.Frames = field(default_factory=frames.Frames)
    _head: bytes = b""
    _over: bool = False
    _heard_until: float = 0.0
    _marks: dict[str, asyncio.TimerHandle] = field(default_factory=dict[str, asyncio.TimerHandle])

    @property
    def call_id(self) -> str:
        """Twilio's name of the call."""
        return f"CA{self.number:032x}"

    @property
    def stream_id(self) -> str:
        """Twilio's name of the stream."""
        return f"MZ{self.number:032x}"

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost = not self._over
        for timer in self._marks.values():
            timer.cancel()
        if not self.opened.done():
            self.opened.set_exception(DialError("the connection broke in the handshake"))

    @override
    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._head += data
            head, end, data = self._head.partition(frames.HEAD_END)
            if not end:
                return
            self._answered(head)
        for opcode, payload in self._reader.feed(data):
            if opcode == frames.TEXT:
                self._take(payload)
            elif opcode == frames.PING:
                self._send(frames.PONG, payload)
            elif opcode == frames.CLOSE and self._transport:
                self._send(frames.CLOSE, payload[:2])
                self._transport.close()

    def request(self, url: str) -> None:
        """Ask for the WebSocket, with the headers that Twilio sends."""
        parts = urlsplit(url)
        key = base64.b64encode(self.number.to_bytes(16)).decode()
        self._write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: Twilio.TmeWs/1.0\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"X-Twilio-Signature: {self.caller.sign(url, {})}\r\n\r\n".encode()
        )

    def start(self, parameters: dict[str, str]) -> None:
        """Begin the stream."""
        self._send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._send_json(
            {
                "event": "start",
                "sequenceNumber": "1",
                "start": {
                    "accountSid": ACCOUNT,
                    "streamSid": self.stream_id,
                    "callSid": self.call_id,
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": parameters,
                },
                "streamSid": self.stream_id,
            }
        )

    def send_frame(self) -> None:
        """Send the next 20 ms."""
        if self._over or self._transport is None:
            return
        number = self.sent
        speech = self._speaks(number * stamps.FRAME_MS)
        rests = SPEECH if speech else LINE_NOISE
        self._send(
            frames.TEXT,
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            b'"payload":"%b%b"},"streamSid":"%b"}'
            % (
                number + 2,
                number + 1,
                FIRST_TIMESTAMP_MS + number * stamps.FRAME_MS,
                stamps.write(self.number, number, speech=speech),
                rests[number % len(rests)],
                self.stream_id.encode(),
            ),
        )
        self.sent += 1

    def hang_up(self) -> None:
        """End the stream as Twilio does when the caller hangs up."""
        self._over = True
        stop = {"accountSid": ACCOUNT, "callSid": self.call_id}
        self._send_json({"event": "stop", "sequenceNumber": str(self.sent + 2), "stop": stop})

    def _speaks(self, at_ms: int) -> bool:
        pause_ms = self.caller.pause_ms
        if self.number % BARGES_IN == BARGES_IN - 1:
            pause_ms = max(pause_ms // 2, 1_000)
        return at_ms % (self.caller.speech_ms + pause_ms) < self.caller.speech_ms

    def _answered(self, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 101"):
            self.opened.set_result(None)
        else:
            self.opened.set_exception(DialError(f"the handshake was answered: {head[:80]!r}"))

    def _take(self, payload: bytes) -> None:
        """Play what the bot says: it is heard at its own pace, and a mark is echoed when all before it was heard."""
        message = json.loads(payload)
        now = asyncio.get_running_loop().time()
        match message["event"]:
            case "media":
                ms = len(message["media"]["payload"]) * 3 // 4 // 8
                self.heard_ms += ms
                self._heard_until = max(self._heard_until, now) + ms / 1_000
            case "mark":
                name = message["mark"]["name"]
                self._marks[name] = asyncio.get_running_loop().call_at(self._heard_until, self._echo, name)
            case "clear":
                self._heard_until = now
                for name in tuple(self._marks):
                    self._marks[name].cancel()
                    self._echo(name)
            case _:
                pass

    def _echo(self, name: str) -> None:
        self._marks.pop(name, None)
        self._send_json({"event": "mark", "streamSid": self.stream_id, "mark": {"name": name}})

    def _send_json(self, message: dict[str, object]) -> None:
        self._send(frames.TEXT, json.dumps(message).encode())

    def _send(self, opcode: int, payload: bytes) -> None:
        self._write(frames.frame(opcode, payload, client=True))

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)


async def dial(caller: Caller, number: int) -> Line:
    """Place one call: voice webhook, TwiML, stream; raises DialError or OSError."""
    loop = asyncio.get_running_loop()
    line = Line(number, caller, loop.create_future())
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            url, parameters = _stream(await _post(caller, line.call_id))
            parts = urlsplit(url)
            await loop.create_connection(lambda: line, parts.hostname or "", parts.port or 80)
            line.request(url)
            await line.opened
    except TimeoutError:
        raise DialError(f"no stream within {DIAL_TIMEOUT_S} s") from None
    line.start(parameters)
    return line


async def _post(caller: Caller, call_id: str) -> bytes:
    """Ask for the TwiML of a call."""
    form = {
        "CallSid": call_id,
        "AccountSid": ACCOUNT,
        "From": "+15550100",
        "To": "+15550199",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
    }
    parts = urlsplit(caller.voice_url)
    body = urlencode(form).encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        f"X-Twilio-Signature: {caller.sign(caller.voice_url, form)}\r\n\r\n".encode()
        + body
    )
    answer = await reader.read()
    writer.close()
    head, _, document = answer.partition(frames.HEAD_END)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise DialError(f"the voice webhook was answered: {answer[:200]!r}")
    return document


def _stream(document: bytes) -> tuple[str, dict[str, str]]:
    """Return the URL and the parameters of the stream that the TwiML asks for."""
    stream = ET.fromstring(document).find(".//Stream")  # noqa: S314 - from the service under test
    if stream is None:
        raise DialError(f"the TwiML opens no stream: {document[:200]!r}")
    parameters = {each.get("name", ""): each.get("value", "") for each in stream.iter("Parameter")}
    return stream.get("url", ""), parameters
