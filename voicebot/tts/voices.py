"""Text-to-speech for all calls: streams of speech on a few shared sockets."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Self

import structlog

from voicebot.config import SonioxSettings
from voicebot.errors import LocalProtocolError, PeerError, PeerProtocolError, PeerUnavailable
from voicebot.metrics import Metrics
from voicebot.soniox_accounts import Accounts
from voicebot.tts.socket import TtsSocket
from voicebot.waiting import Flag
from voicebot.wire.soniox_errors import PEER
from voicebot.wire.soniox_tts import (
    MAX_AUDIO_BYTES,
    Character,
    Speech,
    VoiceOptions,
    cancel_message,
    start_message,
    text_message,
)


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Raw µ-law audio, 8 kHz, and when its characters are spoken (milliseconds from the start of the stream)."""

    audio: bytes
    characters: tuple[Character, ...]


class Voices:
    """The pool; `run` owns everything that happens in it."""

    def __init__(
        self, settings: SonioxSettings, accounts: Accounts | None = None, metrics: Metrics | None = None
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self._accounts = accounts or Accounts(settings)
        self._sockets: list[TtsSocket] = []
        self._numbers = itertools.count(1)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Serve until cancelled; then every open stream fails."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def warm(self) -> None:
        """Open a socket now because somebody will speak soon; does nothing if one has room."""
        if self._group is not None:
            self.socket()

    @asynccontextmanager
    async def speak(self, options: VoiceOptions) -> AsyncIterator["SpeechStream"]:
        """Speak with one voice; leaving early makes Soniox stop."""
        stream = SpeechStream(self, options)
        try:
            yield stream
        finally:
            stream.leave()

    # --- what streams need

    def socket(self) -> TtsSocket:
        """Return a socket with room for one more stream, a new one if need be."""
        for socket in self._sockets:
            if socket.free and socket.account is self._accounts.present():
                return socket
        if self._group is None:
            raise LocalProtocolError("speech is asked for while Voices.run is not running")
        socket = TtsSocket(self.settings, self._accounts)
        self._sockets.append(socket)
        self._group.create_task(self._run(socket))
        return socket

    def new_id(self) -> str:
        """Return an id that no stream had before, on whatever socket."""
        return f"s{next(self._numbers)}"

    def cancel(self, socket: TtsSocket, stream_id: str) -> None:
        """Tell Soniox that nobody listens any more; does not wait, so it works while the caller is being cancelled."""
        if self._group is not None:
            self._group.create_task(socket.send(cancel_message(stream_id)))

    async def _run(self, socket: TtsSocket) -> None:
        try:
            await socket.run()
        except Exception:  # noqa: BLE001 - its streams were told; those of other sockets go on
            structlog.get_logger().exception("tts.broken")
        finally:
            self._sockets.remove(socket)


class SpeechStream:
    """Text in, speech out; Soniox hears of it with the first text.

    If the socket breaks before the first audio the stream is started once more on another one; nobody notices.
    """

    def __init__(self, voices: Voices, options: VoiceOptions) -> None:
        self._voices = voices
        self._options = options
        self._out = _Outgoing()
        self._in = _Incoming()
        self._pushing = asyncio.Lock()
        self._active_at = 0.0
        self.asked_at: float | None = None
        """When the first text was given (loop time)."""
        self.first_audio_at: float | None = None

    async def write(self, text: str, *, last: bool = False) -> None:
        """Speak a piece of text, at most 5,000 characters; the last piece may be empty; raises PeerUnavailable."""
        self._out.add(text, last=last)
        self._touch()
        self.asked_at = self.asked_at or self._active_at
        await self._push()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SpeechChunk:
        """Wait for audio and take all there is.

        Raises PeerRefused, PeerUnavailable or PeerProtocolError when there will be none.
        """
        while not self._in.chunks:
            if self._in.error is not None:
                raise self._in.error
            if self._in.over:
                raise StopAsyncIteration
            if self._in.lost:
                self._in.restart()
                self._out.restart()
                await self._push()
                continue
            await self._wait()
        return self._in.take()

    async def gather(self, within_s: float) -> None:
        """Let audio come together for so long, or until no more of it comes."""
        if within_s <= 0 or self._in.ended:
            return
        until = min(asyncio.get_running_loop().time() + within_s, self._give_up_at())
        self._in.gathering = True
        self._in.bell.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._in.bell.wait()
        finally:
            self._in.gathering = False

    def leave(self) -> None:
        """Stop listening."""
        socket = self._out.socket
        if socket is not None and socket.leave(self._out.stream_id) and not self._in.over:
            self._voices.cancel(socket, self._out.stream_id)

    # --- what the socket says

    def heard(self, speech: Speech) -> None:
        """Take audio."""
        self._active_at = asyncio.get_running_loop().time()
        if self.first_audio_at is None and self.asked_at is not None and speech.audio:
            self.first_audio_at = self._active_at
            self._voices.metrics.first_audio.observe(self._active_at - self.asked_at)
        self._in.add(speech)
        if self._in.ended or not self._in.gathering:
            self._in.bell.set()

    def ended(self) -> None:
        """Learn that no more audio comes."""
        self._in.over = True
        self._touch()

    def failed(self, error: PeerError, *, retry: bool) -> None:
        """Learn that no more audio comes because of `error`."""
        self._in.fail(error, retry=retry)
        self._touch()

    # --- inside

    def _touch(self) -> None:
        self._active_at = asyncio.get_running_loop().time()
        self._in.bell.set()

    async def _push(self) -> None:
        try:
            async with asyncio.timeout_at(self._give_up_at()), self._pushing:
                if self._out.socket is None:
                    socket, stream_id = self._voices.socket(), self._voices.new_id()
                    self._out.start(socket, stream_id, start_message(stream_id, self._options))
                    socket.add(stream_id, self)
                await self._out.push()
        except TimeoutError:
            raise self._too_late() from None

    async def _wait(self) -> None:
        awaited = self._out.finished or (self._out.started and not self._in.began)
        self._in.bell.clear()
        try:
            async with asyncio.timeout_at(self._give_up_at() if awaited else None):
                await self._in.bell.wait()
        except TimeoutError:
            raise self._too_late() from None

    def _give_up_at(self) -> float:
        return self._active_at + self._voices.settings.tts_first_audio_timeout_s

    def _too_late(self) -> PeerUnavailable:
        return PeerUnavailable(PEER, f"no speech within {self._voices.settings.tts_first_audio_timeout_s:g} s")


class _Outgoing:
    """The text of a stream, kept so that it can be said again on another socket."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, bool]] = []
        self._waiting: list[str] = []
        self.socket: TtsSocket | None = None
        self.stream_id = ""

    @property
    def started(self) -> bool:
        """Whether there was any text."""
        return bool(self._pieces)

    @property
    def finished(self) -> bool:
        """Whether the last piece was given."""
        return self.started and self._pieces[-1][1]

    def add(self, text: str, *, last: bool) -> None:
        if self.finished:
            raise LocalProtocolError("text after the last piece of a speech stream")
        self._pieces.append((text, last))
        if self.socket is not None:
            self._waiting.append(text_message(self.stream_id, text, last=last))

    def start(self, socket: TtsSocket, stream_id: str, message: str) -> None:
        self.socket, self.stream_id = socket, stream_id
        self._waiting.append(message)
        self._waiting.extend(text_message(stream_id, text, last=last) for text, last in self._pieces)

    def restart(self) -> None:
        self.socket = None
        self._waiting.clear()

    async def push(self) -> None:
        while self._waiting and self.socket is not None:
            await self.socket.send(self._waiting.pop(0))


class _Incoming:
    """The audio of a stream that nobody has taken yet, at most what Soniox makes of one stream."""

    def __init__(self) -> None:
        self.bell = Flag()
        self.chunks: list[SpeechChunk] = []
        self.began = False
        self.over = False
        self.lost = False
        self.error: PeerError | None = None
        self.gathering = False
        """Whoever waits is in no hurry."""
        self._restarted = False
        self._bytes = 0

    @property
    def ended(self) -> bool:
        """No more audio comes, of this socket at least."""
        return self.over or self.lost or self.error is not None

    def add(self, speech: Speech) -> None:
        self._bytes += len(speech.audio)
        if self._bytes > MAX_AUDIO_BYTES:
            self.error = PeerProtocolError(PEER, f"audio: more than {MAX_AUDIO_BYTES} bytes in one stream")
            return
        if speech.audio or speech.characters:
            self.began = True
            self.chunks.append(SpeechChunk(speech.audio, speech.characters))
        self.over = self.over or speech.last

    def take(self) -> SpeechChunk:
        chunks, self.chunks = self.chunks, []
        if len(chunks) == 1:
            return chunks[0]
        characters = chain.from_iterable(chunk.characters for chunk in chunks)
        return SpeechChunk(b"".join([chunk.audio for chunk in chunks]), tuple(characters))

    def fail(self, error: PeerError, *, retry: bool) -> None:
        if self.over:
            return
        if retry and not self.began and not self._restarted:
            self.lost = True
        else:
            self.error = error

    def restart(self) -> None:
        self.lost = False
        self._restarted = True
