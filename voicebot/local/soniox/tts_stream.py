"""One text-to-speech stream: text in, sentence by sentence to the voice, audio frames out, `terminated` last."""

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from voicebot.local.engines.base import Voice
from voicebot.local.soniox.outlet import Outlet
from voicebot.local.soniox.refusals import TTS_STARVED, TTS_TOO_LONG, Refusal, error_fields, invalid
from voicebot.local.soniox.sentences import SentenceSplitter
from voicebot.local.soniox.speech import Spoken, characters_between, chunks, preamble, speak
from voicebot.local.soniox.tts_messages import MAX_TEXT, SpeechConfig, StreamRefused

MAX_SECONDS = 120.0
"""Audio of one stream (Soniox, "TTS limits")."""
END_OF_TEXT = None


@dataclass(slots=True)
class Studio:
    """What every stream of a connection shares: the voice, the threads it speaks in, the way out, the patience."""

    voice: Voice
    pool: Executor
    outlet: Outlet
    request_id: str
    text_timeout_s: float


@dataclass(slots=True)
class SpeechStream:
    """
    One open stream. `run` owns its life; cancelling it stops the audio at once.

    The queue is bounded by the text limit: every entry but the last carries at least one character of it.
    """

    stream_id: str
    config: SpeechConfig
    studio: Studio
    ended: bool = False
    _characters: int = field(default=0, init=False)
    _seconds: float = field(default=0.0, init=False)
    _first: bool = field(default=True, init=False)
    _splitter: SentenceSplitter = field(default_factory=SentenceSplitter, init=False)
    _queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MAX_TEXT + 1), init=False)

    def add(self, text: str, *, end: bool) -> None:
        """Take in text; raises StreamRefused above the limit of a stream."""
        self._characters += len(text)
        if self._characters > MAX_TEXT:
            raise StreamRefused(self.stream_id, invalid(f"Text is too long (max length {MAX_TEXT})."), over=True)
        if text:
            self._queue.put_nowait(text)
        if end:
            self.ended = True
            self._queue.put_nowait(END_OF_TEXT)

    async def run(self) -> None:
        """Speak until the text ends, then say terminated; an error of the stream is said before it."""
        try:
            async for sentence, last in self._sentences():
                await self._perform(sentence, last=last)
        except StreamRefused as refused:
            await self.fail(refused.refusal)
        else:
            await self.terminate()

    async def fail(self, refusal: Refusal) -> None:
        """Say what went wrong, and that the stream is over."""
        await self._send({**error_fields(refusal, self.studio.request_id)})
        await self.terminate()

    async def terminate(self) -> None:
        """The stream's last frame."""
        await self._send({"terminated": True})

    async def _sentences(self) -> AsyncIterator[tuple[str, bool]]:
        """Pieces to speak; True with the last one, which may be empty."""
        while (text := await self._next_text()) is not None:
            for piece in self._splitter.feed(text):
                yield piece, False
        yield self._splitter.finish(), True

    async def _next_text(self) -> str | None:
        try:
            async with asyncio.timeout(self.studio.text_timeout_s):
                return await self._queue.get()
        except TimeoutError:
            raise StreamRefused(self.stream_id, TTS_STARVED, over=True) from None

    async def _perform(self, sentence: str, *, last: bool) -> None:
        spoken = await self._synthesise(sentence)
        self._seconds += spoken.seconds
        if self._seconds > MAX_SECONDS:
            raise StreamRefused(self.stream_id, TTS_TOO_LONG, over=True)
        pieces = chunks(spoken, self.config)
        for audio, start_s, stop_s in pieces:
            await self._audio(audio, spoken, (start_s, stop_s), last=last and stop_s == math.inf)
        if last and not pieces:
            await self._audio(b"", spoken, (0.0, 0.0), last=True)

    async def _synthesise(self, sentence: str) -> Spoken:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self.studio.pool, speak, self.studio.voice, sentence, self.config, self._seconds
        )

    async def _audio(self, audio: bytes, spoken: Spoken, span: tuple[float, float], *, last: bool) -> None:
        if self._first:
            audio, self._first = preamble(self.config) + audio, False
        frame: dict[str, object] = {"audio": base64.b64encode(audio).decode(), "audio_end": last}
        if self.config.timestamps:
            frame["timestamps"] = characters_between(spoken, *span)
        await self._send(frame)

    async def _send(self, frame: dict[str, object]) -> None:
        await self.studio.outlet.send_text(json.dumps({**frame, "stream_id": self.stream_id}, separators=(",", ":")))
