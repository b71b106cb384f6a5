"""One speech-to-text session: the life of one socket from its configuration to `finished`, an error or a broken line."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from websockets.exceptions import ConnectionClosed

from voicebot.config import SonioxSettings
from voicebot.core.events import Finalized, SttEvent
from voicebot.errors import PeerProtocolError
from voicebot.soniox_line import SonioxLine
from voicebot.soniox_socket import describe_close
from voicebot.stt.line import Line
from voicebot.wire.soniox_errors import ErrorFrame, Retry
from voicebot.wire.soniox_ledger import Ledger
from voicebot.wire.soniox_stt import (
    END_OF_AUDIO,
    FINALIZE,
    KEEPALIVE,
    NOTHING,
    Message,
    SttOptions,
    config_message,
    read,
)
from voicebot.wire.soniox_upstream import Audio, Reconfigure

ROLLOVER = "rollover"
"""Kind of a loss that we have brought about ourselves."""
QUIET_S = 1
"""No words for so long, and none under way, is a quiet moment."""
PROVEN_S = 1
"""A session that has answered and stands for so long works."""
BURST_S = 5
"""So much of a backlog is sent at once (Soniox, real-time error handling: short bursts are fine)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """The session ended because we ended its audio; `complete` if the server said that all of it is settled."""

    complete: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The session ended otherwise; `code` is Soniox's or that of the handshake, 0 without one."""

    retry: Retry
    code: int
    kind: str
    message: str
    retry_after_s: float | None = None


class _Backlog:
    """Audio that had to wait for the session is sent faster than it was spoken, but not all at once."""

    def __init__(self, line: Line, settings: SonioxSettings) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._left = line.upstream.waiting_bytes
        self._sent = -BURST_S * line.format.bytes_per_second
        self._bytes_per_second = settings.replay_speed * line.format.bytes_per_second

    @property
    def gone(self) -> bool:
        """Nothing that had to wait is left."""
        return self._left <= 0

    async def pace(self, size: int) -> None:
        """Wait until `size` further bytes may go out."""
        if self.gone:
            return
        self._left -= size
        self._sent += size
        if (wait_s := self._began_at + self._sent / self._bytes_per_second - self._clock()) > 0:
            await asyncio.sleep(wait_s)


type _Work = Callable[[], Coroutine[None, None, None]]


class _Helpers:
    """What goes on beside receiving: a task only while there is something to do, for one that sleeps takes 1.5 KiB."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[_Work, asyncio.TimerHandle] = {}

    def run_in(self, group: asyncio.TaskGroup) -> None:
        """Let the tasks belong to this group, which ends after `stop`."""
        self._group = group

    def begin(self, work: _Work) -> None:
        """Do it now."""
        self._timers.pop(work, None)
        if self._group is not None:
            task = self._group.create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def begin_in(self, seconds: float, work: _Work) -> None:
        """Do it in a while."""
        if self._group is not None:
            self._timers[work] = asyncio.get_running_loop().call_later(seconds, self.begin, work)

    def stop(self) -> None:
        """Do nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._timers.clear()
        self._group = None


class Session:
    """Sends what the line holds, in order, and tells what comes back.

    `offer` takes events without a wait and says whether all that is to be told was taken; `emit` waits for that.
    `next_options` is set when the session ended because the options change; `proven` is called once, when the session
    has done something, or has stood for a while, and gives what is to be told of it.
    """

    def __init__(
        self,
        socket: SonioxLine,
        line: Line,
        ledger: Ledger,
        settings: SonioxSettings,
        offer: Callable[[Iterable[SttEvent]], bool],
        emit: Callable[[Iterable[SttEvent]], Awaitable[None]],
        proven: Callable[[], list[SttEvent]],
    ) -> None:
        self._socket = socket
        self._line = line
        self._ledger = ledger
        self._settings = settings
        self._offer, self._emit = offer, emit
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        self._end_by: float | None = None
        self._timer: asyncio.Timeout | None = None
        self._proven: Callable[[], list[SttEvent]] | None = proven
        self._heard_at = self._sent_at
        self._rolled_over = False
        self._outcome: Ended | Lost | None = None
        self._backlog = _Backlog(line, settings)
        self._helpers = _Helpers()
        self._sending = False
        """A task sends, or nothing more is sent."""
        self.next_options: SttOptions | None = None
        self.ready = False
        """The session has answered."""

    async def run(self, options: SttOptions) -> Ended | Lost:
        """Live until the session is over; never raises for what the peer does."""
        audio = self._line.format
        config = config_message(options, audio.encoding, audio.sample_rate, audio.channels)
        try:
            await self._socket.send(config)
        except ConnectionClosed as closed:
            return self._closed(closed)
        async with asyncio.TaskGroup() as group:
            self._helpers.run_in(group)
            self._line.connect(self._send_on)
            self._helpers.begin_in(self._settings.keepalive_s, self._keep_alive)
            self._helpers.begin_in(self._settings.rollover_s, self._grow_old)
            try:
                return await self._receive()
            finally:
                self._line.disconnect()
                self._helpers.stop()

    # --- up

    def _send_on(self) -> None:
        """Send what waits in this step; what the socket cannot take at once, and commands, by a task."""
        if self._sending:
            return
        upstream = self._line.upstream
        while self._backlog.gone and self._socket.free and (audio := upstream.take_audio()):
            self._ledger.send_audio(audio.position, len(audio.data))
            self._socket.put(audio.data)
            self._went()
        if not upstream.empty:
            self._sending = True
            self._helpers.begin(self._send)

    async def _send(self) -> None:
        """Send in order what waits, until the audio ends; a broken line is the receiver's news, it knows why."""
        try:
            while self._end_by is None:
                match self._line.take():
                    case None:
                        self._sending = False
                        return
                    case Audio() as audio:
                        await self._send_audio(audio)
                    case "finalize":
                        self._ledger.ask(self._loop.time() + self._settings.finish_timeout_s)
                        self._reset_timer()
                        await self._socket.send(FINALIZE)
                    case "finish":
                        await self._end_audio()
                    case Reconfigure(options):
                        self.next_options = options
                        await self._end_audio()
        except ConnectionClosed:
            return

    async def _send_audio(self, audio: Audio) -> None:
        await self._backlog.pace(len(audio.data))
        self._ledger.send_audio(audio.position, len(audio.data))
        await self._socket.send(audio.data)
        self._went()

    def _went(self) -> None:
        self._sent_at = self._loop.time()
        self._line.sent(self._sent_at)

    async def _end_audio(self) -> None:
        """Without audio there is nothing to wait for, and Soniox would answer the end with an error (No audio received)."""
        wait_s = self._settings.finish_timeout_s if self._ledger.audio_sent else 0
        self._end_by = self._loop.time() + wait_s
        self._reset_timer()
        if self._ledger.audio_sent:
            await self._socket.send(END_OF_AUDIO)

    async def _keep_alive(self) -> None:
        """Say that we are still there, unless audio has said it; look again when that may be needed next."""
        if self._end_by is not None:
            return
        idle_s = self._loop.time() - self._sent_at
        if idle_s >= self._settings.keepalive_s:
            with suppress(ConnectionClosed):
                await self._socket.send(KEEPALIVE)
            self._sent_at, idle_s = self._loop.time(), 0
        self._helpers.begin_in(self._settings.keepalive_s - idle_s, self._keep_alive)

    # --- age

    async def _grow_old(self) -> None:
        """Give way to a new session before Soniox ends this one, where nothing is being said if possible (limits)."""
        patience_ends = self._loop.time() + self._settings.rollover_patience_s
        while not self._quiet and self._loop.time() < patience_ends:  # noqa: ASYNC110 - quiet is the absence of events
            await asyncio.sleep(min(QUIET_S, self._settings.rollover_patience_s) / 2)
        if self._end_by is None:
            self._rolled_over = True
            await self._socket.close()

    @property
    def _quiet(self) -> bool:
        return self._ledger.quiet and self._loop.time() - self._heard_at >= QUIET_S

    async def _stand(self) -> None:
        """A session that has stood for a while works, although nothing is said."""
        await self._emit(self._prove())

    def _prove(self) -> list[SttEvent]:
        proven, self._proven = self._proven, None
        return proven() if proven else []

    # --- down

    async def _receive(self) -> Ended | Lost:
        while self._outcome is None:
            try:
                async with asyncio.timeout_at(self._due()) as self._timer:
                    await self._socket.hear(self._hear)
            except TimeoutError:
                if self._end_by is not None and self._loop.time() >= self._end_by:
                    return self._ended_late()
                await self._answer_overdue()
            except ConnectionClosed as closed:
                return self._closed(closed)
            finally:
                self._timer = None
            await self._emit(())
        return self._outcome

    def _hear(self, data: str | bytes) -> bool:
        """Take a message; return False when it is the last, or when somebody must wait before the next."""
        return self._offer(self._take(data)) and self._outcome is None

    def _take(self, data: str | bytes) -> list[SttEvent]:
        """Take one message and return what is to be told of it."""
        try:
            message = self._read(data)
        except PeerProtocolError as error:
            self._outcome = Lost(Retry.BACKOFF, 0, "protocol_error", str(error))
            return []
        if isinstance(message, ErrorFrame):
            log.warning("stt.error", code=message.code, kind=message.kind, request_id=message.request_id)
            self._outcome = Lost(message.retry, message.code, message.kind, message.message)
            return []
        if not self.ready:
            self.ready = True
            self._helpers.begin_in(PROVEN_S, self._stand)
        if message.events != NOTHING:
            self._heard_at = self._loop.time()
        events = self._ledger.take(message)
        self._line.settled(self._ledger.settled_to_ms, answers=events.count(Finalized()))
        if message.finished:
            early = Lost(Retry.BACKOFF, 0, "finished_early", "the server finished although audio goes on")
            self._outcome = early if self._end_by is None else Ended(complete=True)
        return [*self._prove(), *events] if self._ledger.worked and self._proven else events

    def _read(self, data: str | bytes) -> Message | ErrorFrame:
        if isinstance(data, bytes):
            raise PeerProtocolError("soniox", f"a binary message of {len(data)} bytes, expected text")
        return read(data, self._ledger.base_ms)

    async def _answer_overdue(self) -> None:
        if events := self._ledger.give_up(self._loop.time()):
            log.warning("stt.finalize_unanswered", count=len(events), after_s=self._settings.finish_timeout_s)
            self._line.settled(0, answers=len(events))
            await self._emit(events)

    def _ended_late(self) -> Ended:
        if self._ledger.audio_sent:
            log.warning("stt.finish_unanswered", after_s=self._settings.finish_timeout_s)
        return Ended(complete=not self._ledger.audio_sent)

    def _closed(self, closed: ConnectionClosed) -> Lost:
        """Say why; `finished` did not come, so even a polite close is a loss."""
        if self._rolled_over:
            return Lost(Retry.NEW_SESSION, 0, ROLLOVER, "the session has grown old")
        return Lost(Retry.BACKOFF, 0, "connection_lost", describe_close(closed, self._settings))

    # --- deadlines

    def _due(self) -> float | None:
        dues = [due for due in (self._end_by, self._ledger.answer_due()) if due is not None]
        return min(dues, default=None)

    def _reset_timer(self) -> None:
        """The receiver may be waiting already with a later deadline, or with none."""
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(self._due())
