"""One speech-to-text connection from handshake to close (Soniox, "STT WebSocket API")."""

import asyncio
import json

from aiohttp import WSMessage, WSMsgType, web

from voicebot.local.soniox.auth import check_handshake, judge_start
from voicebot.local.soniox.config import SttConfig, read_config, read_start
from voicebot.local.soniox.engine_session import EngineSession
from voicebot.local.soniox.fields import Fields, parse_object
from voicebot.local.soniox.frames import Frames, FrameStyle
from voicebot.local.soniox.misbehaviour import FaultClock
from voicebot.local.soniox.parts import Opened, Parts, open_socket
from voicebot.local.soniox.refusals import (
    CONTROL_MALFORMED,
    CONTROL_TYPE,
    IDLE,
    INTERNAL,
    START_NOT_TEXT,
    START_TIMEOUT,
    Refusal,
    Refused,
    first_refusal,
)
from voicebot.local.soniox.script_session import ScriptSession
from voicebot.local.soniox.session import HalfClosed, Port, Session

MAX_TRAILING_SILENCE_MS = 60_000


class ClientGone(Exception):  # noqa: N818 - how a session ends when the client leaves first; nobody's mistake
    """The client closed or lost the connection."""


async def serve_stt(request: web.Request, parts: Parts) -> web.WebSocketResponse:
    """Serve one connection; every ending (finished, refused, dropped, gone) ends here."""
    opened = await open_socket(request, parts)
    connection = SttConnection(opened, parts)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.outlet.pump())
            await connection.run()
            opened.outlet.stop()
    except* ClientGone:
        connection.outcome = "client left"
    finally:
        parts.sockets.discard(opened.socket)
        parts.notify(
            f"stt {opened.request_id[:8]} ended: {connection.outcome}, {connection.frames.total_ms / 1000:.1f} s of audio"
        )
    return opened.socket


class SttConnection:
    """Reads the client's messages in order and hands them to a session."""

    def __init__(self, opened: Opened, parts: Parts) -> None:
        self._opened = opened
        self._parts = parts
        self.frames = Frames(FrameStyle())
        self.outcome = "finished"

    async def run(self) -> None:
        """Start request, then audio and control messages; a refusal becomes an error frame and close 1000."""
        try:
            config = await self._start()
            await self._converse(config)
        except* Refused as group:
            await self._refuse(first_refusal(group))
        except* HalfClosed:
            self.outcome = "half-closed on order"
            await self._parts.closing.wait()

    async def _converse(self, config: SttConfig) -> None:
        style = FrameStyle(config.non_final_tokens, self._parts.options.faults.end_timestamps)
        self.frames = Frames(style)
        faults = self._parts.options.faults
        session = self._session(config, Port(self._opened.outlet, self.frames, faults, FaultClock(faults)))
        self._parts.notify(
            f"stt {self._opened.request_id[:8]} started: {config.model}, {config.audio.name}, {config.reference or 'no reference'}"
        )
        if self._parts.options.ack:
            await self._opened.outlet.send(self.frames.ack())
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run())
            await self._read(session)

    def _session(self, config: SttConfig, port: Port) -> Session:
        parts = self._parts
        if parts.script is not None:
            return ScriptSession(config, parts.script, port, parts.pool)
        if parts.engines.hearing is None:
            raise Refused(INTERNAL)
        return EngineSession(config, parts.engines.hearing, port, parts.pool, parts.options.timeouts.decode_s)

    async def _start(self) -> SttConfig:
        """The start request, checked together with its key."""
        check_handshake(self._opened.keys, self._parts.lock)
        message = await self._receive_start()
        if message is None:
            raise ClientGone
        if message.type is not WSMsgType.TEXT:
            raise Refused(START_NOT_TEXT)
        raw = read_start(message.data)
        if refusal := judge_start(self._opened.keys, raw.get("api_key"), self._parts.lock):
            raise Refused(refusal)
        return read_config(raw, english_only=self._parts.script is None)

    async def _receive_start(self) -> WSMessage | None:
        try:
            async with asyncio.timeout(self._parts.options.timeouts.start_s):
                return await self._receive()
        except TimeoutError:
            raise Refused(START_TIMEOUT) from None

    async def _read(self, session: Session) -> None:
        """Messages until the end of audio; silence for too long is refused."""
        idle_s = self._parts.options.timeouts.idle_s
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(idle_s) as deadline:
                while (message := await self._receive()) is not None:
                    deadline.reschedule(None)  # waiting for a slow recogniser is not the client's idleness
                    if await self._handle(session, message):
                        break
                    deadline.reschedule(loop.time() + idle_s)
        except TimeoutError:
            raise Refused(IDLE) from None
        await self._drain()

    async def _handle(self, session: Session, message: WSMessage) -> bool:
        """Carry out one message; True for the end of audio, which is an empty text (an empty binary is only empty audio)."""
        if message.type is WSMsgType.BINARY:
            if message.data:
                await session.audio(message.data)
            return False
        if message.data == "":
            await session.finish()
            return True
        match read_control(message.data):
            case "finalize":
                await session.finalize()
            case _:
                pass  # a keepalive has done its work by arriving
        return False

    async def _drain(self) -> None:
        """After the end of audio nothing the client says counts (a second end is usual), until the connection ends."""
        while await self._receive() is not None:
            pass

    async def _receive(self) -> WSMessage | None:
        """The next message; None after our own close, which the session may still be busy with."""
        message = await self._opened.socket.receive()
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return message
        if self._opened.outlet.closing:
            return None
        raise ClientGone

    async def _refuse(self, refusal: Refusal) -> None:
        self.outcome = f"refused {refusal.code}: {refusal.text}"
        await self._opened.outlet.send_text(json.dumps(self.frames.error(refusal, self._opened.request_id)))
        await self._opened.outlet.close()


def read_control(text: str) -> str:
    """The type of a control message; raises Refused for anything but `keepalive` and `finalize`."""
    raw = parse_object(text, CONTROL_MALFORMED)
    kind = raw.get("type")
    if kind not in {"keepalive", "finalize"}:
        raise Refused(CONTROL_TYPE)  # also a second start request, which has no type
    Fields(raw).integer("trailing_silence_ms", 0, MAX_TRAILING_SILENCE_MS)
    return str(kind)
