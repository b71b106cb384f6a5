"""One media stream of a call: audio in to its recognisers, messages out to its socket."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from voicebot.call.inputs import CallInput, FromTrack
from voicebot.call.trace import CallTrace
from voicebot.config import NumberSettings, Settings
from voicebot.core.audio import BYTES_PER_MS, SAMPLE_RATE, SpeechDetector, Timeline, duration_ms
from voicebot.core.batching import Batching
from voicebot.core.echo import EchoGuard
from voicebot.core.events import Media, SpeechStarted, SpeechStopped, StreamStarted, SttEvent, Track
from voicebot.recorder import CallRecording
from voicebot.soniox_accounts import Accounts
from voicebot.stt import Recognition
from voicebot.waiting import Flag
from voicebot.wire import twilio

ECHO_EVERY_MS = 60
"""Sound that may be an echo is compared again after so much of it."""
MISSED_MS = 300
"""Words that end so much later than the last sound were too soft for the detector."""
MESSAGE_BYTES = 5_000 * BYTES_PER_MS
"""Most audio of one message to the carrier, 53 kB of JSON: Twilio takes any length, but something on the way may not."""
STALL_S = 0.4
"""Without a media message for so long, speech counts as over: the carrier may leave out silence."""


class MediaSocket(Protocol):
    """The carrier's side of a stream."""

    async def send(self, message: bytes) -> None:
        """Send one text message, given in UTF-8; a closed socket swallows it."""

    async def close(self) -> None:
        """Close normally: the carrier goes on with what follows the stream."""


class _Listener:
    """One track: its timeline, its audio clock, its speech detector and its recogniser."""

    def __init__(self, track: Track, max_gap_ms: int, recognition: Recognition) -> None:
        self.track = track
        self.timeline = Timeline(max_gap_ms)
        self.detector = SpeechDetector()
        self.recognition = recognition
        self.last_media_at = float("inf")
        self.zero_at = float("inf")
        """Where the audio clock begins in loop time, as far as the earliest frame tells."""
        self.heard_ms = 0
        self.sound_ended_ms: int | None = None
        self.suspect: SpeechStarted | None = None
        """Sound that may be the bot's own voice; the call does not know of it yet."""
        self.compared_ms = 0
        """How much was heard when the suspect was last compared with what the bot says."""

    def take(self, audio: bytes, now: float) -> tuple[SpeechStarted | SpeechStopped, ...]:
        """Pass audio on to the recogniser; return the changes of speech activity."""
        self.last_media_at = now
        self.heard_ms += len(audio) // BYTES_PER_MS
        self.zero_at = min(self.zero_at, now - self.heard_ms / 1_000)
        self.recognition.feed(audio)
        return self.detector.feed_all(audio)


class Leg:
    """A media stream, from its token to its end; a call may have several, one after another."""

    def __init__(
        self,
        number: int,
        token: str,
        settings: Settings,
        accounts: Accounts,
        batching: Batching,
        options: NumberSettings,
        deliver: Callable[[CallInput], Awaitable[None]],
    ) -> None:
        self.number = number
        self.token = token
        self.stream_id = ""
        self.socket: MediaSocket | None = None
        self.attached = Flag()
        self.origin = datetime.now(UTC)
        self.closed = False
        self.echo = EchoGuard()
        self.recording: CallRecording | None = None
        self._listeners = {
            track: _Listener(
                track,
                settings.twilio.max_gap_ms,
                Recognition(
                    settings.soniox,
                    options.stt,
                    _labelled(number, track, deliver),
                    accounts=accounts,
                    batching=batching,
                    recovers=True,
                ),
            )
            for track in options.tracks
        }

    def watch(self, forwarded: Callable[[float], None], trace: CallTrace) -> None:
        """Have somebody see how its recognisers do."""
        for track, listener in self._listeners.items():
            listener.recognition.watch(forwarded, partial(trace.session, track))

    def offer_first(self, take: Callable[[CallInput], bool]) -> None:
        """Offer what is recognised to `take` before it is delivered."""
        for track, listener in self._listeners.items():
            listener.recognition.offer_first(_offered(self.number, track, take))

    def recognise(self, over: Callable[[int], None]) -> Iterator[Coroutine[None, None, None]]:
        """Yield the work of each recogniser; `over` is told at its end how many further sessions it had to seek."""
        return (_recognise(listener.recognition, over) for listener in self._listeners.values())

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Whom this leg listens to."""
        return tuple(self._listeners)

    def attach(self, started: StreamStarted, socket: MediaSocket) -> None:
        """Take the carrier's stream; audio and messages flow from now on."""
        self.stream_id, self.socket = started.stream_id, socket
        self.origin = datetime.now(UTC)
        self.attached.set()

    def hear(self, run: Sequence[Media], now: float) -> list[FromTrack]:
        """Pass audio that came together on to its recogniser, holes filled; return the changes of speech activity."""
        told: list[FromTrack] = []
        if self.closed:
            return told
        for track, listener in self._listeners.items():
            place = listener.timeline.place
            audio = b"".join([place(media.timestamp_ms, media.payload) for media in run if media.track == track])
            if audio:
                told += [FromTrack(self.number, track, change) for change in self._heard(listener, audio, now)]
        return told

    def _heard(self, listener: _Listener, audio: bytes, now: float) -> Sequence[SpeechStarted | SpeechStopped]:
        if listener.last_media_at == float("inf"):
            self._begin(listener, duration_ms(audio), now)
        changes: Sequence[SpeechStarted | SpeechStopped] = listener.take(audio, now)
        if self.recording:
            self.recording.audio(listener.track, listener.heard_ms - duration_ms(audio), audio, now)
        if listener.track == "caller":
            self.echo.heard(listener.detector.levels, now)
            if changes or listener.suspect:
                changes = self._without_echo(listener, changes, now)
        for change in changes:
            if isinstance(change, SpeechStopped):
                listener.sound_ended_ms = change.at_ms
        return changes

    def _without_echo(
        self, listener: _Listener, changes: Sequence[SpeechStarted | SpeechStopped], now: float
    ) -> list[SpeechStarted | SpeechStopped]:
        """Keep back sound that is the bot's own voice, for as long as it is nothing else."""
        told: list[SpeechStarted | SpeechStopped] = []
        for change in changes:
            if isinstance(change, SpeechStarted) and self.echo.is_echo(now):
                listener.suspect, listener.compared_ms = change, listener.heard_ms
            elif listener.suspect is None:
                told.append(change)
            else:
                suspect, listener.suspect = listener.suspect, None
                if isinstance(change, SpeechStarted):
                    told.append(suspect)
        if listener.suspect and listener.heard_ms - listener.compared_ms >= ECHO_EVERY_MS:
            listener.compared_ms = listener.heard_ms
            if not self.echo.is_echo(now):
                told.append(listener.suspect)
                listener.suspect = None
        return told

    def _begin(self, listener: _Listener, ms: int, now: float) -> None:
        """The stream's clock starts with its first audio."""
        self.origin = datetime.now(UTC) - timedelta(milliseconds=ms)
        if self.recording:
            self.recording.leg(self.number, listener.track, now - ms / 1_000, self.stream_id, now)

    def speech_ended(self, track: Track, words_ended_ms: int | None) -> float | None:
        """Return when the last speech of a track really ended (loop time), None where nothing tells.

        The detector knows it best; where it hears noise, or has missed a soft voice, the end of the last word counts.
        """
        listener = self._listeners[track]
        ms = None if listener.detector.speaking else listener.sound_ended_ms
        if ms is None or (words_ended_ms is not None and ms < words_ended_ms - MISSED_MS):
            ms = words_ended_ms
        return None if ms is None or listener.zero_at == float("inf") else listener.zero_at + ms / 1_000

    def stalled(self, now: float) -> list[tuple[Track, SpeechStopped]]:
        """Return the ends of speech that no frame will tell, because none come."""
        changes = []
        for listener in self._listeners.values():
            if listener.detector.speaking and now - listener.last_media_at >= STALL_S:
                stopped = listener.detector.stall(round(STALL_S * 1_000))
                suspect, listener.suspect = listener.suspect, None
                if suspect is None:
                    listener.sound_ended_ms = stopped.at_ms
                    changes.append((listener.track, stopped))
        return changes

    def stall_at(self) -> float | None:
        """Return when `stalled` must be asked, or None."""
        return min(
            [each.last_media_at + STALL_S for each in self._listeners.values() if each.detector.speaking], default=None
        )

    def flush(self) -> None:
        """Let the recognisers have what was heard, without waiting for a batch to fill."""
        for listener in self._listeners.values():
            listener.recognition.flush()

    def finalize(self, track: Track) -> None:
        """Ask the recogniser of one track to settle what it has."""
        self._listeners[track].recognition.finalize()

    def finish(self) -> None:
        """End of audio on every track."""
        self.closed = True
        for listener in self._listeners.values():
            listener.recognition.finish()

    def let_go(self) -> None:
        """The call is gone: nobody listens any more."""
        self.closed = True
        self._listeners.clear()

    def reconfigure(self, options: NumberSettings) -> None:
        """Recognise with other options from here on."""
        for listener in self._listeners.values():
            listener.recognition.reconfigure(options.stt)

    async def speak(self, audio: bytes, heard_at: float) -> None:
        """Send audio to the caller, who begins to hear it at `heard_at` (loop time)."""
        if self.recording and not self.closed:
            self.recording.bot_audio(audio, heard_at, asyncio.get_running_loop().time())
        for at in range(0, len(audio), MESSAGE_BYTES):
            piece = audio[at : at + MESSAGE_BYTES]
            self.echo.sent(piece, heard_at + at / SAMPLE_RATE)
            await self._send(twilio.media(self.stream_id, piece))

    async def mark(self, name: str) -> None:
        """Send a mark."""
        await self._send(twilio.mark(self.stream_id, name))

    async def clear(self) -> None:
        """Silence the carrier."""
        now = asyncio.get_running_loop().time()
        self.echo.cleared(now)
        if self.recording:
            self.recording.bot_cleared(now)
        await self._send(twilio.clear(self.stream_id))

    async def close(self) -> None:
        """Close the socket, if there is one."""
        if self.socket:
            await self.socket.close()

    def losses(self) -> tuple[int, int]:
        """Return (milliseconds of audio dropped, messages out of order) over the whole stream."""
        return (
            sum(each.recognition.dropped_ms for each in self._listeners.values()),
            sum(each.timeline.dropped for each in self._listeners.values()),
        )

    async def _send(self, message: bytes) -> None:
        if self.socket and not self.closed:
            await self.socket.send(message)


def _offered(leg: int, track: Track, take: Callable[[CallInput], bool]) -> Callable[[SttEvent], bool]:
    return lambda event: take(FromTrack(leg, track, event))


def _labelled(
    leg: int, track: Track, deliver: Callable[[CallInput], Awaitable[None]]
) -> Callable[[SttEvent], Awaitable[None]]:
    async def pass_on(event: SttEvent) -> None:
        await deliver(FromTrack(leg, track, event))

    return pass_on


async def _recognise(recognition: Recognition, over: Callable[[int], None]) -> None:
    try:
        await recognition.run()
    finally:
        over(recognition.reconnects)
