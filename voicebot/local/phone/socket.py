"""One media stream: what goes over its WebSocket in both directions, and how it ends."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voicebot.local.phone import messages, twiml
from voicebot.local.phone.callbacks import Callbacks, StreamEvent
from voicebot.local.phone.clock import race
from voicebot.local.phone.codes import (
    BINARY_MESSAGE,
    BROKEN_PIPE,
    BUFFER_FULL,
    CLOSED_BY_SERVER,
    CONGESTED,
    PROTOCOL_ERROR,
)
from voicebot.local.phone.events import Digit, StreamClosed, StreamOpened
from voicebot.local.phone.faults import Spoiler
from voicebot.local.phone.handshake import StreamFailure, open_socket
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.line import Line, Source
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.playout import Playout
from voicebot.local.phone.report import MarkSeen, StreamReport
from voicebot.local.phone.routes import Routes
from voicebot.local.phone.signing import Signer
from voicebot.local.phone.sound import BYTES_PER_MS

#: Timestamp of the first frame and mean step between frames, in milliseconds, as captured from live calls.
FIRST_TIMESTAMP_MS: Final = 155.0
TIMESTAMP_STEP_MS: Final = 19.97
#: Room for messages other than audio while the service does not read.
CONTROL_RESERVE: Final = 1000
_NORMAL_CLOSE: Final = 1000
_OPENED: Final = 101

_TRACKS: Final[dict[twiml.Track, tuple[messages.MediaTrack, ...]]] = {
    "inbound_track": ("inbound",),
    "outbound_track": ("outbound",),
    "both_tracks": ("inbound", "outbound"),
}


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What one stream is: the TwiML behind it, its kind and its identifiers."""

    verb: twiml.Stream
    kind: Literal["connect", "start", "duplicate"]
    identity: messages.StreamIdentity

    @property
    def sid(self) -> str:
        """The stream's identifier, `MZ...`."""
        return self.identity.stream_sid

    @property
    def name(self) -> str:
        """The stream's name, which defaults to its SID."""
        return self.verb.name or self.sid

    @property
    def tracks(self) -> tuple[messages.MediaTrack, ...]:
        """The tracks in the spelling of the WebSocket messages; a bidirectional stream carries inbound only."""
        return _TRACKS[self.verb.track] if self.kind == "start" else ("inbound",)


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What every stream of a call shares."""

    options: CallOptions
    line: Line
    journal: Journal
    callbacks: Callbacks
    signer: Signer
    routes: Routes


class MediaStream:
    """Runs one stream from the handshake to its end; `run` is its life, the other methods are called beside it."""

    def __init__(self, plan: StreamPlan, context: StreamContext) -> None:
        self.plan = plan
        self.finished = asyncio.Event()
        self._context = context
        self._faults = context.options.faults
        self._journal = context.journal
        self._writer = messages.MessageWriter(plan.identity)
        self._spoiler = Spoiler(self._faults)
        self._playout = Playout()
        self._source = Source(self._playout, self._reached)
        limit = context.options.limits.uplink_messages + CONTROL_RESERVE
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue(limit)
        self._waiting: list[MarkSeen] = []
        self._stopping = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._complained: set[int] = set()
        self._ticks = 0
        self.report = StreamReport(
            stream_sid=plan.sid,
            name=plan.name,
            url=plan.verb.url,
            kind=plan.kind,
            tracks=list(plan.tracks),
            parameters=dict(plan.verb.parameters) | dict(self._faults.parameters),
        )

    async def run(self) -> None:
        """Open the socket, serve it until either side ends it, and report the end."""
        self._journal.streams.append(self.report)
        context = self._context
        try:
            self._socket = await open_socket(self.plan.verb.url, context.options, context.signer, context.routes)
            await self._serve(self._socket)
        except StreamFailure as failure:
            self.report.handshake_status = failure.status
            self._journal.trouble(failure.code, str(failure))
            self._callback("stream-error", str(failure))
        finally:
            self.finished.set()
            context.line.poke()

    @property
    def stopped(self) -> bool:
        """Whether the stream has ended, or was told to."""
        return self._stopping.is_set() or self.finished.is_set()

    def request_stop(self) -> None:
        """End the stream from Twilio's side: `stop`, then close (or, as a fault, just die)."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._socket is None:
            return
        if self._faults.no_stop:
            self._socket.transport.abort()
            return
        self._finish_outbox()

    def digit(self, digit: str) -> bool:
        """Tell the service about a key; False when this stream cannot: only open bidirectional ones carry keys."""
        if self.plan.kind != "connect" or self._socket is None or self._stopping.is_set() or self.finished.is_set():
            return False
        self.report.digits += digit
        self._put(self._spoiler.message(self._writer.dtmf(digit)))
        self._journal.add(Digit(self._journal.clock.now(), digit))
        return True

    def frame(self, inbound: bytes | None, outbound: bytes) -> None:
        """Send one frame of each track this stream carries; both share the timestamp."""
        timestamp = round(FIRST_TIMESTAMP_MS + self._ticks * TIMESTAMP_STEP_MS)
        self._ticks += 1
        if "outbound" in self.plan.tracks:
            self._send_frame("outbound", timestamp, outbound)
        if "inbound" in self.plan.tracks and inbound is not None:
            self._send_frame("inbound", timestamp, inbound)

    def _send_frame(self, track: messages.MediaTrack, timestamp: int, audio: bytes) -> None:
        if self._stopping.is_set() or self._faults.never_start:
            return
        number = self.report.frames_sent
        dies = self._journal.streams.index(self.report) < self._faults.die_streams
        if self._socket is not None and number == self._faults.die_after_frames and dies:
            self._socket.transport.abort()
            return
        if self._outbox.qsize() >= self._context.options.limits.uplink_messages:
            self.report.frames_dropped += 1
            self._once(CONGESTED, "the service does not read; audio is discarded")
            return
        self.report.frames_sent += 1
        for message in self._spoiler.frame(number, self._writer.media(track, timestamp, audio)):
            self._put(message)

    async def _serve(self, socket: ClientConnection) -> None:
        journal, line = self._journal, self._context.line
        now = journal.clock.now()
        self.report.opened_ms, self.report.handshake_status = round(now), _OPENED
        journal.add(StreamOpened(now, self.plan.sid, self.plan.verb.url))
        self._callback("stream-started")
        self._begin()
        line.listeners.append(self)
        if self.plan.kind == "connect":
            line.source = self._source
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(socket))
                group.create_task(self._write(socket))
                group.create_task(self._see_it_closed(socket))
        finally:
            line.listeners.remove(self)
            if line.source is self._source:
                line.source = None
        self._report_end(socket)

    def _begin(self) -> None:
        self._put(self._spoiler.message(messages.connected()))
        if self._faults.never_start:
            return
        identity = self.plan.identity
        if self._faults.start_call_sid is not None:
            identity = messages.StreamIdentity(identity.account_sid, self._faults.start_call_sid, identity.stream_sid)
            self._writer = messages.MessageWriter(identity)
        for _ in range(2 if self._faults.start_twice else 1):
            self._put(self._spoiler.message(self._writer.start(self.plan.tracks, self.report.parameters)))
        if self._stopping.is_set():
            self._finish_outbox()

    def _finish_outbox(self) -> None:
        self._put(self._spoiler.message(self._writer.stop()))
        self._outbox.shutdown()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while not self._faults.stop_reading:
                self._receive(await socket.recv())
            await socket.wait_closed()
        except ConnectionClosed:
            pass
        self._outbox.shutdown(immediate=True)

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await socket.send(await self._outbox.get())
        except asyncio.QueueShutDown:
            await socket.close(_NORMAL_CLOSE)
        except ConnectionClosed:
            return

    async def _see_it_closed(self, socket: ClientConnection) -> None:
        if await race(socket.wait_closed(), self._stopping):
            return
        try:
            async with asyncio.timeout(self._context.options.limits.close_s):
                await socket.wait_closed()
        except TimeoutError:
            socket.transport.abort()

    def _receive(self, message: str | bytes) -> None:
        if self.plan.kind == "start":
            self._once(PROTOCOL_ERROR, "a <Start><Stream> takes no messages; it only listens")
            return
        if isinstance(message, bytes):
            self._once(BINARY_MESSAGE, f"binary message of {len(message)} bytes; JSON goes in text messages")
            return
        match messages.read(message, self.plan.sid):
            case messages.PlayAudio(audio=audio):
                self._play(audio)
            case messages.PlaceMark(name=name):
                self._mark(name)
            case messages.ClearBuffer():
                self._clear()
            case messages.Invalid(code=code, message=why):
                self._once(code, why)

    def _play(self, audio: bytes) -> None:
        report = self.report
        if report.first_media_ms is None:
            report.first_media_ms = round(self._journal.clock.now())
        report.media_received += 1
        report.media_received_ms += len(audio) // BYTES_PER_MS
        if not self._playout.feed(audio):
            self._once(BUFFER_FULL, "more than ten minutes of audio are waiting to be played; this audio is discarded")

    def _mark(self, name: str) -> None:
        mark = MarkSeen(name=name, received_ms=round(self._journal.clock.now()))
        self.report.marks.append(mark)
        if self._playout.mark(name):
            self._echo(mark, cleared=False)
        else:
            self._waiting.append(mark)

    def _clear(self) -> None:
        dropped = self._playout.buffered / BYTES_PER_MS
        self._journal.cleared(self.report, dropped)
        for _ in self._playout.clear():
            self._echo(self._waiting.pop(0), cleared=True)
        if self._context.line.source is self._source:
            self._context.line.bot.cut()
        self._context.line.poke()

    def _reached(self, _name: str) -> None:
        self._echo(self._waiting.pop(0), cleared=False)

    def _echo(self, mark: MarkSeen, *, cleared: bool) -> None:
        if self._stopping.is_set() or self._faults.no_marks:
            return
        self._put(self._spoiler.message(self._writer.mark(mark.name)))
        self._journal.mark_echoed(mark, cleared=cleared)

    def _put(self, message: str | bytes) -> None:
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self._once(CONGESTED, "the service does not read; messages are discarded")
        except asyncio.QueueShutDown:
            return

    def _once(self, code: int, message: str) -> None:
        if code not in self._complained:
            self._complained.add(code)
            self._journal.trouble(code, f"stream {self.plan.name}: {message}")

    def _report_end(self, socket: ClientConnection) -> None:
        now = self._journal.clock.now()
        report, rules = self.report, socket.protocol
        report.closed_ms = round(now)
        report.close_code = None if socket.close_code is None else int(socket.close_code)
        report.close_reason = socket.close_reason or ""
        self._journal.add(StreamClosed(now, self.plan.sid, report.close_code, report.close_reason))
        if self._stopping.is_set():
            self._callback("stream-stopped")
        elif rules.close_rcvd is not None:
            if report.close_code != _NORMAL_CLOSE:
                self._once(CLOSED_BY_SERVER, f"the service closed with {report.close_code} {report.close_reason!r}")
            self._callback("stream-stopped")
        elif rules.close_sent is not None:
            self._fail(PROTOCOL_ERROR, f"WebSocket protocol error: {rules.close_sent}")
        else:
            self._fail(BROKEN_PIPE, "the connection died without a close frame")

    def _fail(self, code: int, message: str) -> None:
        self._once(code, message)
        self._callback("stream-error", message)

    def _callback(self, event: StreamEvent, error: str = "") -> None:
        url = self.plan.verb.status_callback
        if url is not None and self.plan.kind != "duplicate":
            target = (url, self.plan.verb.status_callback_method)
            self._context.callbacks.stream(target, self.plan.sid, self.plan.name, event, error)
