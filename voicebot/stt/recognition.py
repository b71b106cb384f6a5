"""Speech-to-text of one track: audio goes in at any time, words come out, sessions come and go inside."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import structlog

from voicebot.config import SonioxSettings
from voicebot.core.events import Finalized, Finished, SttEvent, SttFailed
from voicebot.errors import PeerRefused, PeerUnavailable
from voicebot.soniox_socket import open_socket, without_key
from voicebot.stt.session import Ended, Line, Lost, Session
from voicebot.wire.soniox_errors import ADVICE, Retry
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.soniox_upstream import AudioFormat

MAX_RETRY_WAIT_S = 10
"""Waits between attempts double up to this."""
TELEPHONE = AudioFormat()

type OnEnd = Callable[[str | None], None]
"""Takes the kind of a loss, None for a session that has ended as it should."""

log = structlog.get_logger()


class Recognition:
    """One track's speech-to-text.

    `deliver` gets every event, one at a time and in order; while it waits, nothing more is read from Soniox. The methods
    that feed are synchronous and never wait; they may be called before `run` and do nothing after it.
    """

    def __init__(
        self,
        settings: SonioxSettings,
        options: SttOptions,
        deliver: Callable[[SttEvent], Awaitable[None]],
        audio_format: AudioFormat = TELEPHONE,
    ) -> None:
        self._settings = settings
        self._options = self._wanted = options
        self._deliver = deliver
        self._line = Line(audio_format, settings)
        self._session: Session | None = None
        self._undelivered: deque[SttEvent] = deque()
        self._deadline: asyncio.Timeout | None = None
        self._over = False
        self._within: Callable[[], AbstractContextManager[OnEnd]] = _unwatched
        self.connected_ms = 0
        self.complete = True

    # --- what the call does

    def watch(self, forwarded: Callable[[float], None], session: Callable[[], AbstractContextManager[OnEnd]]) -> None:
        """Tell the seconds from each batch's newest audio to its hand-over, and run each session within `session()`.

        What that gives is told how the session ended.
        """
        self._line.forwarded, self._within = forwarded, session

    def feed(self, payload: bytes) -> None:
        """Take audio, 8 kHz µ-law unless another format was given; kept while no socket is open, the oldest dropped."""
        if not self._over:
            self._line.feed(payload)

    def finalize(self) -> None:
        """Ask to settle everything fed so far; answered by exactly one `Finalized`, be it by Soniox or in its place.

        While no socket takes them, requests beyond `MAX_FINALIZES` are left out: those that wait settle the same audio.
        """
        if not self._over:
            self._line.upstream.finalize()
            self._line.ring()

    def finish(self) -> None:
        """End the audio; `Finished` follows once all of it is settled, at the latest after `finish_timeout_s`."""
        if not self._over:
            self._line.upstream.finish()
            self._line.ring()
            self._limit()

    def reconfigure(self, options: SttOptions) -> None:
        """Recognise with `options` from here on: in a new session, after the last words of the old one."""
        if not self._over and options != self._wanted:
            self._wanted = options
            self._line.upstream.reconfigure(options)
            self._line.ring()

    async def room(self) -> None:
        """Wait until audio may be fed without pushing older audio out, for sources that can wait: files, not phones."""
        await self._line.room.wait()

    # --- what the call can see

    @property
    def dropped_ms(self) -> int:
        """Audio lost because no socket took it in time."""
        return self._line.upstream.dropped_bytes * 1_000 // self._line.format.bytes_per_second

    @property
    def ready(self) -> bool:
        """Whether the present session has answered."""
        return self._session is not None and self._session.ready

    # --- the life of it

    async def run(self) -> None:
        """Open a session at once and keep one open; return after `Finished` or `SttFailed` was delivered."""
        try:
            async with asyncio.timeout(None) as self._deadline:
                if self._line.upstream.finished:
                    self._limit()
                await self._keep_session()
        except TimeoutError:
            if self._deadline is None or not self._deadline.expired():
                raise
            log.warning("stt.finish_unanswered", after_s=self._settings.finish_timeout_s)
            self.complete = False
            owed = self._session.ledger.settle() if self._session is not None else []
            await self._emit([*owed, *self._unasked(), Finished()])
        finally:
            self._over = True
            self._line.close()

    def _limit(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._settings.finish_timeout_s)

    async def _keep_session(self) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while not self._line.upstream.drained:
            opened_at = clock()
            with self._within() as ended:
                outcome = await self._run_session()
                ended(None if isinstance(outcome, Ended) else outcome.kind)
            if isinstance(outcome, Ended):
                self.complete = self.complete and outcome.complete
                failures = 0
                continue
            worked = self._session is not None and self._session.ledger.worked
            failures = 1 if worked else failures + 1
            if self._hopeless(outcome, failures):
                await self._fail(outcome, failures)
                return
            lived_s = clock() - opened_at if worked else None
            wait_s = self._wait_s(outcome, failures, lived_s)
            log.warning(
                "stt.lost",
                code=outcome.code,
                kind=outcome.kind,
                reason=without_key(outcome.message, self._settings),
                wait_s=wait_s,
            )
            await asyncio.sleep(wait_s)
        await self._emit([*self._unasked(), Finished()])

    async def _run_session(self) -> Ended | Lost:
        """Run one session from its connection to its settled books."""
        loop = asyncio.get_running_loop()
        self._options = self._line.upstream.take_options() or self._options
        self._session = None
        started_at = loop.time()
        try:
            async with open_socket(self._settings.stt_url, self._settings) as socket:
                self.connected_ms = round((loop.time() - started_at) * 1_000)
                log.debug("stt.connected", connected_ms=self.connected_ms)
                self._options = self._line.upstream.take_options() or self._options
                self._session = Session(socket, self._line, self._settings, self._emit)
                outcome = await self._session.run(self._options)
                await self._emit(self._session.ledger.settle())
        except PeerRefused as refusal:
            return Lost(Retry.NEVER, refusal.code, "refused", str(refusal))
        except PeerUnavailable as error:
            return Lost(Retry.BACKOFF, 0, "unreachable", str(error))
        self._options = self._session.next_options or self._options
        if isinstance(outcome, Lost):
            self.complete = self.complete and not self._session.ledger.audio_sent
        return outcome

    def _hopeless(self, loss: Lost, failures: int) -> bool:
        audio_sent = self._session is not None and self._session.ledger.audio_sent
        return (
            loss.retry is Retry.NEVER
            or failures >= self._settings.connect_attempts
            or (audio_sent and not self._line.format.resumable)
        )

    def _wait_s(self, loss: Lost, failures: int, lived_s: float | None) -> float:
        """Return how long to wait; `lived_s` is None for a session that never worked.

        Where Soniox expects a new request at once it gets one, but not again and again.
        """
        first_s = self._settings.retry_wait_s
        at_once = loss.retry in {Retry.NOW, Retry.NEW_SESSION} and failures == 1
        if at_once and (lived_s is None or lived_s > first_s):
            return 0
        return min(math.ldexp(first_s, failures - 1), MAX_RETRY_WAIT_S)

    # --- what is delivered

    async def _fail(self, loss: Lost, failures: int) -> None:
        message = without_key(loss.message, self._settings) + (f" ({failures} attempts)" if failures > 1 else "")
        log.error("stt.failed", code=loss.code, kind=loss.kind, reason=message, advice=ADVICE.get(loss.code, ""))
        self.complete = False
        await self._emit([*self._unasked(), SttFailed(loss.code, loss.kind, message)])

    def _unasked(self) -> list[SttEvent]:
        """Answers to the requests that no session will ever see."""
        return [Finalized() for _ in range(self._line.upstream.finalizes)]

    async def _emit(self, events: Iterable[SttEvent]) -> None:
        """Deliver in order; what a deadline interrupts is delivered first of all by the next call."""
        self._undelivered.extend(events)
        while self._undelivered:
            await self._deliver(self._undelivered[0])
            self._undelivered.popleft()


@contextmanager
def _unwatched() -> Iterator[OnEnd]:
    yield lambda _: None
