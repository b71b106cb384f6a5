"""Delivers one event: once when it only informs, until there is a reply when it asks."""

import asyncio
from datetime import timedelta

from voicebot.config import WebhookSettings
from voicebot.core import delivery
from voicebot.courier.endpoints import Endpoints
from voicebot.courier.flight import ENDINGS, Ending, Flight, now
from voicebot.courier.intake import Intake
from voicebot.courier.outcomes import FailureReason
from voicebot.courier.poster import PLAIN, Exchange, Poster
from voicebot.courier.report import After, Report
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.wire.webhook_reply import Reply, parse_reply

ONCE = delivery.RetryPolicy(waits_s=(), deadline_s=0)
"""Events that want no reply are tried once; the schedule follows."""
TOO_LATE = "too late: not performed"


class Sender:
    """Brings the events of one call to its endpoint; what it could not bring is due again on the schedule."""

    def __init__(self, settings: WebhookSettings, poster: Poster, report: Report, endpoints: Endpoints) -> None:
        self._settings = settings
        self._poster = poster
        self._report = report
        self._endpoints = endpoints

    async def inform(self, flight: Flight) -> None:
        """Try an event that wants no reply once."""
        flight.limit(now() + self._settings.inform_timeout_s)
        exchange = await self._poster.post(flight)
        verdict = delivery.judge(exchange.answer, 1, 0, ONCE, 0)
        after = self._after(verdict, exchange)
        await self._report.attempted(flight.item, 1, exchange, after)
        if isinstance(verdict, delivery.Delivered):
            await self._report.delivered(flight.item)
        else:
            await self._report.failed(flight.item, _failure(verdict), after.why)

    async def ask(self, flight: Flight) -> None:
        """Try an event that wants a reply until there is one, it is refused, its deadline is over or somebody ends it."""
        began = now()
        policy = delivery.RetryPolicy(self._settings.retry_waits_s, self._settings.reply_deadline_s)
        number = 0
        while not flight.ended:
            number += 1
            flight.limit(now() + self._settings.attempt_timeout_s)
            intake = Intake(flight, self._report, self._settings)
            exchange = await self._attempt(flight, number, intake, began + policy.deadline_s - now())
            if exchange is None:
                return
            if await self._settled(flight, number, intake, exchange):
                return
            wait_s = await self._judged(flight, number, exchange, now() - began, policy)
            if wait_s is None:
                return
            await flight.wait(wait_s)
        await self._ended_between(flight, flight.ended)

    async def _attempt(self, flight: Flight, number: int, intake: Intake, left_s: float) -> Exchange | None:
        """Make one attempt; None when its answer did not even begin in time, which is told and recorded then."""
        # Begun in this step, so that the request leaves before anything else has its turn.
        posting = self._poster.post(flight, intake.hear, number=number)
        attempt = asyncio.Task(posting, loop=asyncio.get_running_loop(), eager_start=True)
        try:
            waited: set[asyncio.Future[Exchange] | asyncio.Future[None]] = {attempt, flight.begun}
            await asyncio.wait(waited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if attempt.done() or flight.begun.done():
                return await attempt
            await self._too_late(flight, number, attempt)
            return None
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait([attempt])

    async def _settled(self, flight: Flight, number: int, intake: Intake, exchange: Exchange) -> bool:
        """Act on an attempt that somebody ended or whose stream had begun; False for any other."""
        if (ending := flight.ended) and exchange.answer.error:
            await self._cut_off(flight, number, exchange, ending)
            return True
        if flight.begun.done():
            await self._streamed(flight, number, intake, exchange)
            return True
        return False

    async def _judged(
        self, flight: Flight, number: int, exchange: Exchange, elapsed_s: float, policy: delivery.RetryPolicy
    ) -> float | None:
        """Act on one answer in time; return the seconds until the next attempt, None when there is none."""
        verdict = delivery.judge(exchange.answer, number, elapsed_s, policy, self._poster.chance.random())
        if isinstance(verdict, delivery.Delivered):
            await self._answered(flight, number, exchange)
            return None
        after = self._after(verdict, exchange)
        if not isinstance(verdict, delivery.Retry):
            await self._report.failed(flight.item, _failure(verdict), after.why)
        await self._report.attempted(flight.item, number, exchange, after)
        return verdict.wait_s if isinstance(verdict, delivery.Retry) else None

    async def _answered(self, flight: Flight, number: int, exchange: Exchange) -> None:
        error = ""
        try:
            reply = self._parse(exchange)
        except ReplyRefused as refusal:
            error = str(refusal)
            await self._report.failed(flight.item, "refused", error)
        else:
            await self._report.replied(flight.item, number, exchange, reply)
        await self._report.attempted(flight.item, number, exchange, After("delivered", error))

    async def _streamed(self, flight: Flight, number: int, intake: Intake, exchange: Exchange) -> None:
        """A stream that had begun is over; whatever it ends with, the application has the event."""
        if not exchange.answer.error and intake.refusal is None:
            await intake.end()
        error = exchange.answer.error or str(intake.refusal or "")
        if error:
            await self._report.failed(flight.item, "broken", error)
        else:
            await self._report.replied(flight.item, number, exchange, Reply(), streamed=True)
        await self._report.attempted(flight.item, number, exchange, After("delivered", error))

    async def _cut_off(self, flight: Flight, number: int, exchange: Exchange, ending: Ending) -> None:
        why = exchange.answer.error
        if ending == "withdrawn":
            after = After(ending, why)
        elif flight.begun.done():
            after = After("delivered", why)
        else:
            after = self._pending(why, exchange)
        await self._report.failed(flight.item, _reason(ending), why)
        await self._report.attempted(flight.item, number, exchange, after)

    async def _ended_between(self, flight: Flight, ending: Ending | None) -> None:
        """Somebody ended it before the next attempt."""
        if ending == "withdrawn":
            await self._report.withdrawn(flight.item, self._poster.now())
        elif ending is not None:
            await self._report.failed(flight.item, _reason(ending), ENDINGS[ending])

    async def _too_late(self, flight: Flight, number: int, attempt: asyncio.Task[Exchange]) -> None:
        """The caller has waited long enough; what the request still brings is recorded and not performed."""
        flight.late = True
        await self._report.failed(flight.item, "deadline", f"no reply within {self._settings.reply_deadline_s:g} s")
        exchange = await attempt
        after = self._after(delivery.judge(exchange.answer, number, 0, ONCE, 0), exchange)
        if flight.ended == "withdrawn":
            after = After("withdrawn", after.why or TOO_LATE)
        elif after.state == "delivered":
            after = After("delivered", TOO_LATE)
        await self._report.attempted(flight.item, number, exchange, after)

    def _after(self, verdict: delivery.Verdict, exchange: Exchange) -> After:
        """Return how the event stands after an attempt."""
        match verdict:
            case delivery.Delivered():
                return After("delivered")
            case delivery.Dead(why, stop=True):
                self._endpoints.stop(self._poster.url)
                self._report.stopped(self._poster.url, self._poster.now(), why)
                return After("pending", why)
            case delivery.Dead(why):
                return After("dead", why)
            case delivery.Exhausted(why):
                return self._pending(why, exchange)
            case delivery.Retry(wait_s, why):
                return After("pending", why, self._poster.now() + timedelta(seconds=wait_s))

    def _pending(self, why: str, exchange: Exchange) -> After:
        """The call waits for it no more; it is due again at the beginning of the schedule."""
        later = delivery.judge_later(exchange.answer, (), self._settings.schedule_s, self._poster.chance.random())
        wait_s = later.wait_s if isinstance(later, delivery.Retry) else 0
        return After("pending", why, self._poster.now() + timedelta(seconds=wait_s))

    def _parse(self, exchange: Exchange) -> Reply:
        head = exchange.head
        if head is None:
            raise LocalProtocolError("an answer without a head was judged as delivered")
        if head.content_encoding != PLAIN and exchange.body:
            raise ReplyRefused("$", f"is encoded ({head.content_encoding}) although none was asked for")
        return parse_reply(
            head.status,
            head.content_type,
            exchange.body,
            max_bytes=self._settings.max_reply_bytes,
            handover=self._settings.handover,
        )


def _failure(verdict: delivery.Verdict) -> FailureReason:
    return "dead" if isinstance(verdict, delivery.Dead) else "deadline"


def _reason(ending: Ending) -> FailureReason:
    return "superseded" if ending == "superseded" else "cancelled"
