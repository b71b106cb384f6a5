"""One caller's media stream: the handshake, 50 frames a second, and what the caller hears of the bot."""

import asyncio
import base64
import hmac
import json
import random
from dataclasses import dataclass, field
from typing import cast, override
from urllib.parse import urlsplit

import frames
import pump
import stamps

FIRST_TIMESTAMP_MS = 60
ACCOUNT = "AC" + "b" * 32
BARGES_IN = 10
"""Every tenth caller pauses only half as long, and so speaks while the bot still does."""
LEAST_PAUSE_MS = 1_000
SPEAKS_MS, PAUSES_MS = 2_000, 4_400
"""What a caller does unless asked otherwise: the bot begins a second after the last word, and 3.2 seconds later it is done."""
SPEECH, LINE_NOISE = stamps.rests(speech=True), stamps.rests(speech=False)
MEDIA = (
    b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
    b'"payload":"%b%b"},"streamSid":"%b"}'
)


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
    lost: bool = False
    heard_ms: int = 0
    """Speech that the bot has sent."""
    _transport: asyncio.Transport | None = None
    _reader: frames.Frames = field(default_factory=frames.Frames)
    _head: bytes = b""
    _over: bool = False
    _heard_until: float = 0.0
    _marks: dict[str, asyncio.TimerHandle] = field(default_factory=dict[str, asyncio.TimerHandle])
    state: pump.State = field(default_factory=pump.State)
    """The place in what is said and how it stands with the connection: what C must know to send frames."""

    def __post_init__(self) -> None:
        pause_ms = self.caller.pause_ms
        if self.number % BARGES_IN == BARGES_IN - 1:
            pause_ms = max(pause_ms // 2, LEAST_PAUSE_MS)
        state = self.state
        state.call, state.stream = self.number, self.stream_id.encode()
        state.spoken = -(-self.caller.speech_ms // stamps.FRAME_MS)
        state.round = state.spoken + pause_ms // stamps.FRAME_MS
        # In turns that begin at the pace of dialling, the same second of every round would have more of them for good.
        state.begun = random.Random(self.number).randrange(state.round)

    @property
    def sent(self) -> int:
        """Frames."""
        return int(self.state.sent)

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
        self.state.fd = transport.get_extra_info("socket").fileno()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.state.status = pump.IDLE
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
        for opcode, payload, _ in self._reader.feed(data):
            if opcode == frames.TEXT:
                self._take(payload)
            elif opcode == frames.PING:
                self._send(frames.PONG, payload)
            elif opcode == frames.CLOSE:
                self._send(frames.CLOSE, payload[:2])
                self.drop()

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

    def send_frame(self, now_ns: int) -> None:
        """Send the next 20 ms, or what C could not send of the last; `now_ns` is the monotonic clock."""
        if self._over or self._transport is None:
            return
        state, number = self.state, self.sent
        if state.status == pump.STUCK:
            self._write(b"")
            return
        speech = (number + state.begun) % state.round < state.spoken
        rests = SPEECH if speech else LINE_NOISE
        text = MEDIA % (
            number + 2,
            number + 1,
            FIRST_TIMESTAMP_MS + number * stamps.FRAME_MS,
            stamps.write(self.number, number, now_ns, speech=speech),
            rests[number % stamps.VARIANTS],
            state.stream,
        )
        state.sent = number + 1
        self._send(frames.TEXT, text)

    def hang_up(self) -> None:
        """End the stream as Twilio does when the caller hangs up."""
        self._over = True
        stop = {"accountSid": ACCOUNT, "callSid": self.call_id}
        self._send_json({"event": "stop", "sequenceNumber": str(self.sent + 2), "stop": stop})
        self.state.status = pump.IDLE

    def drop(self) -> None:
        """Close the connection, without a word if there was none before."""
        if self._transport:
            self.state.status = pump.IDLE
            self._transport.close()
            self._transport = None

    def _answered(self, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 101"):
            self.opened.set_result(None)
        else:
            self.opened.set_exception(DialError(f"the handshake was answered: {head[:80]!r}"))
            self.drop()

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
        """Write behind what waits; C may send on this connection while nothing does."""
        if self._transport:
            stuck = self.state.status == pump.STUCK
            self._transport.write(self.state.unsent_bytes() + data if stuck else data)
            if not self._over:
                self.state.status = pump.BUSY if self._transport.get_write_buffer_size() else pump.READY
