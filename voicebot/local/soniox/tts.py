"""One text-to-speech connection: up to five streams on one socket (Soniox, "TTS WebSocket API")."""

import asyncio
import json

from aiohttp import WSMsgType, web

from voicebot.local.soniox.auth import check_handshake, judge_start
from voicebot.local.soniox.parts import Opened, Parts, open_socket
from voicebot.local.soniox.refusals import IDLE, START_NOT_TEXT, Refusal, Refused, by_code, error_fields, first_refusal
from voicebot.local.soniox.tts_messages import (
    Cancel,
    KeepAlive,
    Message,
    Start,
    StreamRefused,
    Text,
    already_open,
    not_found,
    read_message,
    text_after_end,
    too_many,
)
from voicebot.local.soniox.tts_stream import SpeechStream, Studio

MAX_STREAMS = 5


async def serve_tts(request: web.Request, parts: Parts) -> web.WebSocketResponse:
    """Serve one connection until the client leaves, is silent for too long, or is refused."""
    opened = await open_socket(request, parts)
    parts.notify(f"tts {opened.request_id[:8]} connected")
    connection = TtsConnection(opened, parts)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.outlet.pump())
            await connection.run()
            opened.outlet.stop()
    finally:
        parts.sockets.discard(opened.socket)
        parts.notify(f"tts {opened.request_id[:8]} ended: {connection.outcome}")
    return opened.socket


class TtsConnection:
    """The open streams of one client; every stream is a task of this connection."""

    def __init__(self, opened: Opened, parts: Parts) -> None:
        self._opened = opened
        self._parts = parts
        self._known = bool(opened.keys)
        self.outcome = "client left"
        self._streams: dict[str, tuple[SpeechStream, asyncio.Task[None]]] = {}
        timeout_s = parts.options.timeouts.tts_text_s
        self._studio = Studio(parts.engines.voice, parts.pool, opened.outlet, opened.request_id, timeout_s)

    async def run(self) -> None:
        """Serve; a refusal of the connection (not of a stream) ends it."""
        try:
            check_handshake(self._opened.keys, self._parts.lock)
            async with asyncio.TaskGroup() as group:
                await self._read(group)
                for _, task in self._streams.values():
                    task.cancel()
        except* Refused as group_of_refusals:
            await self._refuse(first_refusal(group_of_refusals))

    async def _read(self, group: asyncio.TaskGroup) -> None:
        idle_s = self._parts.options.timeouts.tts_idle_s
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(idle_s) as deadline:
                while (text := await self._receive()) is not None:
                    deadline.reschedule(loop.time() + idle_s)
                    await self._handle(group, text)
        except TimeoutError:
            raise Refused(IDLE) from None

    async def _receive(self) -> str | None:
        message = await self._opened.socket.receive()
        if message.type is WSMsgType.TEXT:
            return str(message.data)
        if message.type is WSMsgType.BINARY:
            raise Refused(START_NOT_TEXT)
        return None

    async def _handle(self, group: asyncio.TaskGroup, text: str) -> None:
        try:
            message = read_message(text, self._parts.engines.voice.languages)
            await self._carry_out(group, message)
        except StreamRefused as refused:
            await self._refuse_stream(refused)

    async def _carry_out(self, group: asyncio.TaskGroup, message: Message) -> None:
        match message:
            case Start():
                self._start(group, message)
            case Text(stream_id, text, end):
                stream = self._stream(stream_id)
                if not self._parts.options.faults.tts_silent:
                    stream.add(text, end=end)
            case Cancel(stream_id):
                stream = self._stream(stream_id, ended=True)
                self._forget(stream_id)
                await stream.terminate()
            case KeepAlive():
                pass  # it has done its work by arriving

    def _start(self, group: asyncio.TaskGroup, start: Start) -> None:
        self._check_key(start)
        if code := self._parts.options.faults.tts_error_code:
            raise StreamRefused(start.stream_id, by_code(code), over=True)
        open_streams = {key for key, (_, task) in self._streams.items() if not task.done()}
        if start.stream_id in open_streams:
            raise already_open(start.stream_id)
        if len(open_streams) >= MAX_STREAMS:
            raise too_many(start.stream_id, MAX_STREAMS)
        stream = SpeechStream(start.stream_id, start.config, self._studio)
        self._streams = {key: entry for key, entry in self._streams.items() if key in open_streams}
        self._streams[start.stream_id] = (stream, group.create_task(stream.run()))

    def _check_key(self, start: Start) -> None:
        """A key in the handshake or in the first start request is good for the whole connection."""
        if start.api_key is None and self._known:
            return
        if refusal := judge_start(self._opened.keys, start.api_key, self._parts.lock):
            raise Refused(refusal)
        self._known = True

    def _stream(self, stream_id: str, *, ended: bool = False) -> SpeechStream:
        entry = self._streams.get(stream_id)
        if entry is None or entry[1].done():
            raise not_found(stream_id)
        if entry[0].ended and not ended:
            raise text_after_end(stream_id)
        return entry[0]

    def _forget(self, stream_id: str) -> None:
        """Stop a stream's task, if there is one."""
        entry = self._streams.pop(stream_id, None)
        if entry is not None:
            entry[1].cancel()

    async def _refuse_stream(self, refused: StreamRefused) -> None:
        frame = {**error_fields(refused.refusal, self._opened.request_id), "stream_id": refused.stream_id}
        await self._opened.outlet.send_text(json.dumps(frame))
        if refused.over:
            self._forget(refused.stream_id)
            await self._opened.outlet.send_text(json.dumps({"terminated": True, "stream_id": refused.stream_id}))

    async def _refuse(self, refusal: Refusal) -> None:
        self.outcome = f"refused {refusal.code}: {refusal.text}"
        await self._opened.outlet.send_text(json.dumps(error_fields(refusal, self._opened.request_id)))
        await self._opened.outlet.close()
