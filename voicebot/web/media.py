"""Twilio's WebSocket door: one media stream, from the handshake to its end."""

import asyncio
from contextlib import suppress
from typing import override

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.http import WSMessageNoDecodeText

from voicebot.call.admission import Busy
from voicebot.call.call import Call
from voicebot.call.inputs import LegClosed
from voicebot.call.leg import Leg, MediaSocket
from voicebot.call.registry import Calls
from voicebot.config import LimitSettings, TwilioSettings
from voicebot.core.batching import Batching
from voicebot.core.events import CarrierEvent, Digit, Ignored, MarkReached, Media, StreamStarted, StreamStopped
from voicebot.errors import PeerProtocolError, VoicebotError
from voicebot.metrics import Metrics
from voicebot.web.inlet import Inlet, Inlets
from voicebot.web.low_water import LowWater
from voicebot.web.media_socket import MediaWebSocket
from voicebot.web.refusals import Refusals
from voicebot.web.twilio import SIGNATURE
from voicebot.wire import twilio, twiml
from voicebot.wire.twilio import Signatures
from voicebot.wire.twiml import Doors

MAX_REASON_BYTES = 123
"""Most bytes of a close reason, which is UTF-8 (RFC 6455, section 5.5)."""


class Refused(VoicebotError):  # noqa: N818 - the word of the log and the metrics
    """The stream is not taken: `why` is the metric's label, the text the WebSocket's close reason."""

    def __init__(self, why: str, text: str = "") -> None:
        super().__init__(text or why)
        self.why = why


class _Socket(MediaSocket):
    """A stream's way back to the carrier; `listening` is what bounds the wait for what comes, once somebody listens."""

    def __init__(self, ws: MediaWebSocket, low_water: LowWater) -> None:
        self._ws, self._low_water = ws, low_water
        self.listening: asyncio.Timeout | None = None
        self.closing = False
        self._pinging: asyncio.Task[None] | None = None

    def ping(self) -> None:
        """Ask whether anybody is there; the network may be taking nothing, and then nobody waits for it."""
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.get_running_loop().create_task(self._ping())

    async def _ping(self) -> None:
        with suppress(ConnectionError):
            await self._ws.ping()

    def gone(self) -> None:
        """The stream is over."""
        if self._pinging is not None:
            self._pinging.cancel()

    @override
    async def send(self, message: bytes) -> None:
        # When the carrier is gone, the call hears of it from the reader.
        with suppress(ConnectionError):
            await self._ws.send_frame(message, WSMsgType.TEXT)

    @override
    async def close(self) -> None:
        # Closed from here, beside the reader, aiohttp would not wait for the answer, and what nobody has read yet would
        # make a reset of it: the reader ends, and closes.
        self.closing = True
        self._low_water.lower()  # the answer is short and the last
        if self.listening is not None and not self.listening.expired():
            self.listening.reschedule(asyncio.get_running_loop().time())


class MediaDoor:
    """Takes streams that carry a valid signature and the one-time token of their call."""

    def __init__(
        self,
        settings: TwilioSettings,
        limits: LimitSettings,
        doors: Doors,
        signatures: Signatures | None,
        calls: Calls,
        batching: Batching,
        metrics: Metrics,
    ) -> None:
        self._most_pending, self._pending = limits.pending_streams, 0
        self._settings, self._doors, self._signatures = settings, doors, signatures
        self._calls, self._refusals = calls, Refusals(metrics)
        self._inlets = Inlets(settings, batching)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, relative to the public URL; the second is for streams whose address names their call."""
        return [web.get("/twilio/media", self._handle), web.get("/twilio/media/{call}", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        signature = request.headers.get(SIGNATURE, "")
        url = self._doors.media_of(request.match_info.get("call", ""))
        if self._signatures and not self._signatures.valid_upgrade(url, signature):
            why = "wrong signature" if signature else "no signature"
            self._count(why)
            return web.Response(status=403, text=f"{why}: this must be signed for {url}\n")
        if self._pending >= self._most_pending:
            self._count("too many pending")
            return web.Response(status=503, text="too many streams have not begun yet\n")
        ws = MediaWebSocket(max_msg_size=self._settings.max_message_bytes)
        low_water = LowWater(request.transport)
        socket = _Socket(ws, low_water)
        self._pending += 1
        try:
            await ws.prepare(request)
            async with asyncio.timeout(self._settings.start_timeout_s):
                call, leg = await self._admit(ws, socket)
        except Refused as refusal:
            return await self._refuse(ws, refusal)
        except PeerProtocolError as error:
            return await self._refuse(ws, Refused("malformed message", str(error)))
        except TimeoutError:
            return await self._refuse(ws, Refused("no start message in time"))
        finally:
            self._pending -= 1
        reason = "lost"
        silent = asyncio.timeout(None)
        inlet = Inlet(call, leg, low_water, silent, socket.ping)
        try:
            async with silent:
                if socket.closing:
                    silent.reschedule(inlet.touched_at)
                socket.listening = silent
                reason = await self._pump(ws, call, inlet)
        except TimeoutError:
            reason = "closed" if socket.closing else "watchdog"
        finally:
            socket.listening = None
            socket.gone()
            await self._over(call, leg, inlet, reason)
            low_water.lower()
            await ws.close()
        return ws

    async def _over(self, call: Call, leg: Leg, inlet: Inlet, reason: str) -> None:
        """Let the call have the last of the stream, and know that it was the last."""
        leg.finish()
        await inlet.settle()
        await call.put(LegClosed(leg.number, StreamStopped(reason), *leg.losses()))

    async def _admit(self, ws: MediaWebSocket, socket: MediaSocket) -> tuple[Call, Leg]:
        """Wait for `start` and let its call claim it; raises Refused or PeerProtocolError."""
        while True:
            message = await ws.receive()
            if await _only_alive(ws, message):
                continue
            if message.type is not WSMsgType.TEXT:
                raise Refused("ended early", "the stream ended before its start message")
            match event := twilio.read(message.data):
                case StreamStarted():
                    break
                case Ignored():
                    continue
                case _:
                    raise Refused("start expected", f"{type(event).__name__} before the start message")
        if (event.encoding, event.sample_rate, event.channels) != (
            twilio.ENCODING,
            twilio.SAMPLE_RATE,
            twilio.CHANNELS,
        ):
            text = f"media format {event.encoding[:40]} {event.sample_rate} Hz is not audio/x-mulaw 8000 Hz mono"
            raise Refused("media format", text)
        call, token = self._calls.find(event.call_id), event.parameters.get(twiml.TOKEN, "")
        if call is None and not token and self._settings.direct_streams:
            call = self._begin(event)
            token = call.route.leg.token
        if call is None:
            raise Refused("unknown call", "no call of this CallSid is waiting for a stream")
        claimed = call.route.claim(event, token, call.identity.carrier_id)
        if isinstance(claimed, str):
            raise Refused(claimed)
        await call.attach(event, socket)
        return call, claimed

    def _begin(self, event: StreamStarted) -> Call:
        """Begin the call of a stream that somebody else's TwiML has started; its handshake says that it is Twilio's.

        Who calls whom is in its parameters, since `start` does not say it (Twilio Media Streams, start message).
        """
        form = {name: event.parameters.get(name, "") for name in ("From", "To", "Direction")}
        if not self._calls.only_transcribed(form):
            raise Refused("mode", "this number is not in the mode transcribe: a bot's call comes by the voice webhook")
        try:
            return self._calls.open(form | {"CallSid": event.call_id, "AccountSid": event.account_id})
        except Busy as busy:
            raise Refused(busy.why, str(busy)) from None

    async def _pump(self, ws: MediaWebSocket, call: Call, inlet: Inlet) -> str:
        """Pass on what the carrier sends until the stream ends; return why it did."""
        self._inlets.add(inlet)
        try:
            while True:
                if not ws.waiting:
                    inlet.hasten()  # what one read has brought goes up together, whatever lay between
                message = await ws.next(inlet.take)
                await inlet.settle()
                inlet.touched_at = asyncio.get_running_loop().time()
                if await _only_alive(ws, message):
                    continue
                match event := self._event(message, inlet.stream_id):
                    case Media():
                        inlet.hear([event], len(message.data))
                    case Digit():
                        inlet.hasten()
                        await call.put(event)
                    case MarkReached():
                        await call.put(event)
                    case StreamStopped(reason=reason):
                        return reason
                    case StreamStarted():
                        self._count("second start")
                    case Ignored():
                        pass
        finally:
            self._inlets.remove(inlet)

    def _event(self, message: WSMessageNoDecodeText, stream_id: str) -> CarrierEvent:
        """Read a message; what cannot be read is counted and passed over, for the call is worth more."""
        match message.type:
            case WSMsgType.TEXT:
                try:
                    return twilio.read(message.data)
                except PeerProtocolError as error:
                    self._count("malformed message", stream=stream_id, error=str(error))
                    return Ignored("malformed")
            case WSMsgType.BINARY:
                self._count("binary message", stream=stream_id)
                return Ignored("binary")
            case WSMsgType.ERROR:
                if getattr(message.data, "code", None) == WSCloseCode.MESSAGE_TOO_BIG:
                    self._count("oversized message", stream=stream_id)
                return StreamStopped(f"error: {message.data}")
            case _:
                return StreamStopped("closed")

    async def _refuse(self, ws: MediaWebSocket, refusal: Refused) -> MediaWebSocket:
        self._count(refusal.why, text=str(refusal))
        reason = str(refusal).encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=reason.encode())
        return ws

    def _count(self, why: str, **details: str) -> None:
        self._refusals.note("media", why, **details)


async def _only_alive(ws: MediaWebSocket, message: WSMessageNoDecodeText) -> bool:
    """Say whether a message says no more than that somebody is there; a ping is answered."""
    if message.type is WSMsgType.PING:
        await ws.pong(message.data)
    return message.type in {WSMsgType.PING, WSMsgType.PONG}
