"""A speech-to-text session answered by a script: audio is only counted, so thousands of them cost next to nothing."""

import asyncio
from concurrent.futures import Executor
from typing import override

from voicebot.local.soniox.audio import WIDE_RATE, AudioDecoder
from voicebot.local.soniox.config import SttConfig
from voicebot.local.soniox.containers import ContainerDecoder
from voicebot.local.soniox.frames import END, FIN
from voicebot.local.soniox.reel import Reel
from voicebot.local.soniox.refusals import Refused
from voicebot.local.soniox.script import Entry, Script
from voicebot.local.soniox.session import Port, Session


class AudioMeter:
    """Counts audio in ms: raw formats by their bytes, containers by decoding them in `pool`."""

    def __init__(self, config: SttConfig, pool: Executor) -> None:
        self._bytes_per_second = config.audio.frame_bytes * config.audio.rate
        self._decoder: AudioDecoder | None = None if config.audio.sample else ContainerDecoder()
        self._pool = pool
        self._count = 0

    @property
    def heard_ms(self) -> int:
        """Audio received so far."""
        return self._count * 1000 // (self._bytes_per_second or WIDE_RATE)

    async def feed(self, data: bytes) -> None:
        """Count the next piece."""
        if self._decoder is None:
            self._count += len(data)
            return
        loop = asyncio.get_running_loop()
        self._count += len(await loop.run_in_executor(self._pool, self._decoder.feed, data))


class ScriptSession(Session):
    """
    Answers are sent from the reader's own task, in the order the audio came.

    `<end>` is sent only to a client that asked for endpoint detection; finalize settles the pending words.
    """

    def __init__(self, config: SttConfig, script: Script, port: Port, pool: Executor) -> None:
        self._reel = Reel(script)
        self._meter = AudioMeter(config, pool)
        self._endpoints = config.endpoint is not None
        self._port = port

    @override
    async def run(self) -> None:
        return  # everything happens as audio and commands come in

    @override
    async def audio(self, data: bytes) -> None:
        await self._meter.feed(data)
        position_ms = self._meter.heard_ms
        for entry in self._reel.due(position_ms):
            await self._play(entry)
        await self._port.reached(position_ms)

    @override
    async def finalize(self) -> None:
        frame = self._port.frames.settle(self._reel.settle(), self._meter.heard_ms, control=FIN)
        await self._port.outlet.send(frame)

    @override
    async def finish(self) -> None:
        if pending := self._reel.settle():
            await self._port.outlet.send(self._port.frames.settle(pending, self._meter.heard_ms))
        await self._port.finish(self._meter.heard_ms)

    async def _play(self, entry: Entry) -> None:
        control = END if entry.end and self._endpoints else None
        if entry.final or control:
            tail = entry.partial or ()
            await self._port.outlet.send(self._port.frames.settle(entry.final, entry.at_ms, control=control, tail=tail))
        elif entry.partial is not None:
            await self._port.outlet.send(self._port.frames.sketch(entry.partial, entry.at_ms))
        if entry.frame is not None:
            await self._port.outlet.send_text(entry.frame)
        if entry.error is not None:
            raise Refused(entry.error)
        if entry.close is not None:
            await self._port.outlet.close(entry.close)
