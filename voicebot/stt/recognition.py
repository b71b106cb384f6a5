"""Speech-to-text of one track: audio goes in at any time, words come out, sessions come and go inside."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import structlog

from voicebot.config import SonioxSettings
from voicebot.core.batching import Batching
from voicebot.core.events import Finalized, Finished, SttEvent, SttFailed, SttRecovered
from voicebot.core.incidents import Failed, Reconnecting, Replayed
from voicebot.errors import PeerRefused, PeerUnavailable
from voicebot.soniox_accounts import Account, Accounts
from voicebot.soniox_socket import PeerBusy, open_socket, without_key
from voicebot.stt.line import Line
from voicebot.stt.patience import Again, GiveUp, Patience
from voicebot.stt.session import ROLLOVER, Ended, Lost, Session
from voicebot.waiting import Flag
from voicebot.wire.soniox_errors import ADVICE, Retry
from voicebot.wire.soniox_ledger import Ledger
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.soniox_upstream import AudioFormat

TELEPHONE = AudioFormat()

type OnEnd = Callable[[str | None], None]
"""Takes the kind of a loss, None for a session that has ended as it should."""

log = structlog.get_logger()


class Recognition:
    """One track's speech-to-text.

    `deliver` gets every event, one at a time and in order; while it waits, nothing more is read from Soniox. Who can mostly
    take an event without a wait says so with `offer_first`. The methods that feed are synchronous and never wait; they may
    be called before `run` and do nothing after it.

    A session that is lost loses no words: what was not settled is heard again by the next one. With `recovers`,
    `SttFailed` is not the end where what is wrong may pass: it is tried again until `SttRecovered` or the end of audio.
    Batches have the length of `batching`, without it always that of `soniox.batch_ms`.
    """

    def __init__(
        self,
        settings: SonioxSettings,
        options: SttOptions,
        deliver: Callable[[SttEvent], Awaitable[None]],
        audio_format: AudioFormat = TELEPHONE,
        *,
        accounts: Accounts | None = None,
        batching: Batching | None = None,
        recovers: bool = False,
    ) -> None:
        self._settings = settings
        self._accounts = accounts or Accounts(settings)
        self._patience = Patience(settings, self._accounts, recovers=recovers)
        self._options = self._wanted = options
        self._deliver = deliver
        self._take: Callable[[SttEvent], bool] = _not_taken
        self._line = Line(audio_format, settings, batching or Batching.fixed(settings.batch_ms))
        self._ledger = Ledger(audio_format.bytes_per_second)
        self._session: Session | None = None
        self._undelivered: list[SttEvent] = []
        self._delivering = asyncio.Lock()
        self._finishing = Flag()
        self._deaf_since: float | None = None
        self._works = False
        """The present session, or the last one, has done something."""
        self._settled_bytes = 0
        """Audio that no session has to hear again, as of the last loss."""
        self._deadline: asyncio.Timeout | None = None
        self._over = False
        self._within: Callable[[], AbstractContextManager[OnEnd]] = _unwatched
        self.connected_ms = 0
        self.reconnects = 0
        """Further sessions that were sought after a loss."""
        self.complete = True

    # --- what the call does

    def watch(self, forwarded: Callable[[float], None], session: Callable[[], AbstractContextManager[OnEnd]]) -> None:
        """Tell the seconds from each batch's newest audio to its hand-over, and run each session within `session()`.

        What that gives is told how the session ended.
        """
        self._line.forwarded, self._within = forwarded, session

    def offer_first(self, take: Callable[[SttEvent], bool]) -> None:
        """Offer each event to `take`, which says whether it took it; what it did not is delivered."""
        self._take = take

    def feed(self, payload: bytes) -> None:
        """Take audio, 8 kHz µ-law unless another format was given; kept until it is settled, beyond a bound dropped."""
        if not self._over:
            self._line.feed(payload)

    def flush(self) -> None:
        """Send what was fed without waiting for its batch to fill."""
        if not self._over and self._line.upstream.flush():
            self._line.ring()

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
            self._finishing.set()
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
        """Audio that was lost: no session took it in time, or could hear it again."""
        return self._line.upstream.dropped_bytes * 1_000 // self._line.format.bytes_per_second

    @property
    def ready(self) -> bool:
        """Whether the present session has answered."""
        return self._session is not None and self._session.ready

    # --- the life of it

    async def run(self) -> None:
        """Open a session at once and keep one open; return after `Finished`, or `SttFailed` that recovers not."""
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
            await self._emit([*self._ledger.settle(), *self._unasked(), Finished()])
        finally:
            self._over = True
            self._line.close()
            self._session = None  # each knows the other

    def _limit(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._settings.finish_timeout_s)

    async def _keep_session(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._line.upstream.drained:
            account = self._accounts.choose(self._patience.without) or self._accounts.all[0]
            opened_at = clock()
            with self._within() as ended:
                outcome = await self._run_session(account)
                ended(None if isinstance(outcome, Ended) else outcome.kind)
            if isinstance(outcome, Ended):
                self._ended(outcome)
                await self._emit(self._ledger.settle())
                continue
            self._lost(outcome)
            lived_s = clock() - opened_at if self._works else None
            if not await self._go_on(outcome, self._judge(outcome, account, lived_s)):
                return
        await self._emit([*self._ledger.settle(), *self._unasked(), Finished()])

    async def _run_session(self, account: Account) -> Ended | Lost:
        """Run one session from its connection to its end."""
        loop = asyncio.get_running_loop()
        self._options = self._line.upstream.take_options() or self._options
        self._session, self._works = None, False
        started_at = loop.time()
        try:
            async with open_socket(account.stt_url, account.key, self._settings) as socket:
                self.connected_ms = round((loop.time() - started_at) * 1_000)
                log.debug("stt.connected", connected_ms=self.connected_ms, fallback=account.fallback)
                self._options = self._line.upstream.take_options() or self._options
                await self._begin()

                proven = partial(self._proven, account)
                self._session = Session(
                    socket, self._line, self._ledger, self._settings, self._offer, self._emit, proven
                )
                return await self._session.run(self._options)
        except PeerRefused as refusal:
            return Lost(Retry.NEVER, refusal.code, "refused", str(refusal))
        except PeerBusy as busy:
            return Lost(Retry.BACKOFF, busy.code, "unreachable", str(busy), busy.retry_after_s)
        except PeerUnavailable as error:
            return Lost(Retry.BACKOFF, 0, "unreachable", str(error))

    async def _begin(self) -> None:
        if self._deaf_since is not None:
            self._line.upstream.shorten(self._line.bytes_of(self._settings.recover_ms))
        gone = self._ledger.begin(self._line.upstream.begins_at)
        self.complete = self.complete and not gone
        await self._emit(gone)

    def _proven(self, account: Account) -> list[SttEvent]:
        """The session works; had it been given up, it hears again, which must be told."""
        self._works = True
        self._accounts.worked(account)
        if self._deaf_since is None:
            return []
        deaf_ms = round((asyncio.get_running_loop().time() - self._deaf_since) * 1_000)
        self._deaf_since = None
        log.warning("stt.recovered", deaf_ms=deaf_ms, fallback=account.fallback)
        return [SttRecovered(deaf_ms)]

    # --- how sessions end

    def _ended(self, outcome: Ended) -> None:
        self.complete = self.complete and outcome.complete
        self._line.upstream.done()
        self._patience.worked()
        if self._session is not None:
            self._options = self._session.next_options or self._options

    def _lost(self, loss: Lost) -> None:
        """What was not settled, or not answered, is for the next session."""
        rewound = self._line.upstream.rewind()
        self._ledger.lost()
        if self._line.upstream.begins_at > self._settled_bytes:
            self._settled_bytes = self._line.upstream.begins_at
            self._patience.worked()
        self.complete = self.complete and not rewound.lost
        if loss.kind != ROLLOVER:
            self._accounts.observe(Failed("stt", loss.kind))
        if rewound.replayed:
            self._accounts.observe(Replayed(rewound.replayed * 1_000 // self._line.format.bytes_per_second))

    def _judge(self, loss: Lost, account: Account, lived_s: float | None) -> Again | GiveUp:
        if self._session is not None and self._ledger.audio_sent and not self._line.format.resumable:
            return GiveUp(recovering=False)
        return self._patience.judge(loss, account, lived_s, random.random())  # noqa: S311 - spreads calls, hides nothing

    async def _go_on(self, loss: Lost, verdict: Again | GiveUp) -> bool:
        """Wait for the next attempt; return False when there is none."""
        reason = without_key(loss.message, self._settings)
        if isinstance(verdict, GiveUp):
            if self._deaf_since is None or not verdict.recovering:
                await self._fail(loss, reason, recovering=verdict.recovering)
            if not verdict.recovering:
                return False
            verdict = Again(self._settings.recover_s, "recovery")
        wait_s, why = verdict.wait_s, verdict.why
        told = log.info if why == "rollover" else log.warning
        told("stt.lost", code=loss.code, kind=loss.kind, reason=reason, wait_s=round(wait_s, 3), why=why)
        await self._pause(wait_s)
        if not self._line.upstream.drained:
            self.reconnects += 1
            self._accounts.observe(Reconnecting(why))
        return True

    async def _pause(self, wait_s: float) -> None:
        """Wait; once recognition is given up, the end of audio is not waited for either."""
        if self._deaf_since is None:
            await asyncio.sleep(wait_s)
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._finishing.wait()
        except TimeoutError:
            return
        self._line.upstream.shorten(0)

    # --- what is delivered

    async def _fail(self, loss: Lost, reason: str, *, recovering: bool) -> None:
        failures = self._patience.failures
        message = reason + (f" ({failures} attempts)" if failures > 1 else "")
        advice = ADVICE.get(loss.code, "")
        log.error("stt.failed", code=loss.code, kind=loss.kind, reason=message, advice=advice, recovering=recovering)
        self.complete = False
        self._deaf_since = asyncio.get_running_loop().time()
        owed = [*self._ledger.settle(), *self._unasked()]
        self._line.upstream.give_up()
        await self._emit([*owed, SttFailed(loss.code, loss.kind, message, recovering=recovering)])

    def _unasked(self) -> list[SttEvent]:
        """Answers to the requests that no session will ever see."""
        return [Finalized() for _ in range(self._line.upstream.finalizes)]

    def _offer(self, events: Iterable[SttEvent]) -> bool:
        """Deliver in order what is taken without a wait; return whether that was all."""
        self._undelivered.extend(events)
        if not self._delivering.locked():
            while self._undelivered and self._take(self._undelivered[0]):
                self._undelivered.pop(0)
        return not self._undelivered

    async def _emit(self, events: Iterable[SttEvent]) -> None:
        """Deliver in order; what a deadline interrupts is delivered first of all by the next call."""
        if self._offer(events):
            return
        async with self._delivering:
            while self._undelivered:
                await self._deliver(self._undelivered[0])
                self._undelivered.pop(0)


def _not_taken(_event: SttEvent) -> bool:
    return False


@contextmanager
def _unwatched() -> Iterator[OnEnd]:
    yield lambda _: None
