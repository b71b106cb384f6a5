"""A speech-to-text session answered by the engines: audio through the listener in a worker thread, findings out as frames."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import override

from voicebot.local.engines.base import Hearing
from voicebot.local.soniox.audio import WIDE_RATE, AudioDecoder, RawDecoder
from voicebot.local.soniox.config import SttConfig
from voicebot.local.soniox.containers import ContainerDecoder
from voicebot.local.soniox.frames import END, FIN, Frame
from voicebot.local.soniox.inbox import Command, Inbox
from voicebot.local.soniox.listener import Endpoint, Finding, Listener, Settled, Sketch
from voicebot.local.soniox.refusals import DECODE_TIMEOUT, Refused
from voicebot.local.soniox.segment import FRAME_MS
from voicebot.local.soniox.session import Port, Session
from voicebot.local.soniox.words import TokenWriter

BATCH_MS = 1000
"""Most audio taken to the engines at once, so that words of a fast upload still come out piece by piece."""
COMPRESSED_BYTES_PER_MS = 8
"""Stands in for the unknown density of a container (64 kbit/s)."""


class EngineSession(Session):
    """Everything that blocks runs in `pool`; one call at a time, so the listener needs no lock."""

    def __init__(
        self, config: SttConfig, hearing: Hearing, port: Port, pool: Executor, decode_timeout_s: float
    ) -> None:
        raw = config.audio.sample is not None
        self._decoder: AudioDecoder = RawDecoder(config.audio) if raw else ContainerDecoder()
        self._listener = Listener(hearing, self._decoder.rate if raw else WIDE_RATE, config.endpoint)
        self._writer = TokenWriter(config)
        self._port = port
        self._pool = pool
        self._decode_timeout_s = decode_timeout_s
        self._inbox = Inbox()
        self._bytes_per_ms = config.audio.frame_bytes * config.audio.rate / 1000 or COMPRESSED_BYTES_PER_MS
        self._least = int(self._bytes_per_ms * FRAME_MS) if raw else 1
        self._fed = False

    @override
    async def audio(self, data: bytes) -> None:
        await self._inbox.put(data)

    @override
    async def finalize(self) -> None:
        await self._inbox.order(Command.FINALIZE)

    @override
    async def finish(self) -> None:
        await self._inbox.order(Command.FINISH)

    @override
    async def run(self) -> None:
        while True:
            match await self._next():
                case Command.FINALIZE:
                    await self._tell(await self._blocking(self._listener.flush), control=FIN)
                case Command.FINISH:
                    await self._tell(await self._blocking(self._end))
                    await self._port.finish(self._listener.heard_ms)
                    return
                case data:
                    behind_ms = int((len(data) + self._inbox.waiting_bytes) / self._bytes_per_ms)
                    await self._tell(await self._blocking(self._hear, data, behind_ms))
                    await self._port.reached(self._listener.heard_ms)

    async def _next(self) -> bytes | Command:
        """The next audio or command; audio that no decoder recognises is refused after a while."""
        patience = self._decode_timeout_s if self._fed and not self._decoder.recognised else None
        try:
            async with asyncio.timeout(patience):
                item = await self._inbox.take(self._least, int(BATCH_MS * self._bytes_per_ms))
        except TimeoutError:
            raise Refused(DECODE_TIMEOUT) from None
        self._fed = True
        return item

    def _hear(self, data: bytes, behind_ms: int) -> list[Finding]:
        return self._listener.hear(self._decoder.feed(data), behind_ms=behind_ms)

    def _end(self) -> list[Finding]:
        return self._listener.hear(self._decoder.finish()) + self._listener.flush()

    async def _blocking[*Arguments](
        self, call: Callable[[*Arguments], list[Finding]], *arguments: *Arguments
    ) -> list[Finding]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    async def _tell(self, findings: Sequence[Finding], control: str | None = None) -> None:
        for frame in self._frames(findings, control):
            await self._port.outlet.send(frame)

    def _frames(self, findings: Sequence[Finding], control: str | None) -> Iterator[Frame | None]:
        """Frames for what was found; settled words and the control token that follows them share one frame."""
        frames, writer = self._port.frames, self._writer
        words: Settled | None = None
        for finding in findings:
            if words is not None and not isinstance(finding, Endpoint):
                yield frames.settle(writer.settled(words.words), words.upto_ms)
                words = None
            match finding:
                case Sketch(pending, total_ms):
                    yield frames.sketch(writer.pending(pending), total_ms)
                case Settled():
                    words = finding
                case Endpoint(at_ms):
                    yield frames.settle(writer.settled(words.words if words else ()), at_ms, control=END)
                    words = None
        if words is not None or control is not None:
            upto_ms = self._listener.heard_ms if words is None else words.upto_ms
            yield frames.settle(writer.settled(words.words if words else ()), upto_ms, control=control)
