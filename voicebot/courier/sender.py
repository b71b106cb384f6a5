"""Delivers one event: once when it only informs, until there is a reply when it asks."""

import asyncio

from voicebot.config import WebhookSettings
from voicebot.core import delivery
from voicebot.courier.flight import ENDINGS, Ending, Flight, now
from voicebot.courier.intake import Intake
from voicebot.courier.outcomes import FailureReason
from voicebot.courier.poster import PLAIN, Exchange, Poster
from voicebot.courier.report import Report
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.store import EventState
from voicebot.wire.webhook_reply import Reply, parse_reply

ONCE = delivery.RetryPolicy(waits_s=(), deadline_s=0)
"""Events that want no reply are tried once; a slower schedule follows."""


class Sender:
    """Brings the events of one call to its endpoint; `gone` says that the endpoint wants no more of them (410)."""

    def __init__(self, settings: WebhookSettings, poster: Poster, report: Report) -> None:
        self.gone = False
        self._settings = settings
        self._poster = poster
        self._report = report

    async def inform(self, flight: Flight) -> None:
        """Try an event that wants no reply once."""
        flight.limit(now() + self._settings.inform_timeout_s)
        exchange = await self._poster.post(flight)
        state, why = self._after(delivery.judge(exchange.answer, 1, 0, ONCE, 0))
        await self._report.attempted(flight.item, 1, exchange, state, why)
        if state == "delivered":
            await self._report.delivered(flight.item)
        else:
            await self._report.failed(flight.item, "dead" if state == "dead" else "deadline", why)

    async def ask(self, flight: Flight, group: asyncio.TaskGroup) -> None:
        """Try an event that wants a reply until there is one, it is refused, its deadline is over or somebody ends it."""
        began = now()
        policy = delivery.RetryPolicy(self._settings.retry_waits_s, self._settings.reply_deadline_s)
        number = 0
        while not flight.ended:
            number += 1
            flight.limit(now() + self._settings.attempt_timeout_s)
            intake = Intake(flight, self._report, self._settings)
            attempt = group.create_task(self._poster.post(flight, intake.hear))
            waited: set[asyncio.Future[Exchange] | asyncio.Future[None]] = {attempt, flight.begun}
            left = began + policy.deadline_s - now()
            await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done() and not flight.begun.done():
                await self._too_late(flight, number, attempt)
                return
            exchange = await attempt
            if await self._settled(flight, number, intake, exchange):
                return
            wait_s = await self._judged(flight, number, exchange, now() - began, policy)
            if wait_s is None:
                return
            await flight.wait(wait_s)
        await self._ended_between(flight, flight.ended)

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
        state, why = self._after(verdict)
        if not isinstance(verdict, delivery.Retry):
            await self._report.failed(flight.item, "dead" if state == "dead" else "deadline", why)
        await self._report.attempted(flight.item, number, exchange, state, why)
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
        await self._report.attempted(flight.item, number, exchange, "delivered", error)

    async def _streamed(self, flight: Flight, number: int, intake: Intake, exchange: Exchange) -> None:
        """A stream that had begun is over; whatever it ends with, the application has the event."""
        if not exchange.answer.error and intake.refusal is None:
            await intake.end()
        error = exchange.answer.error or str(intake.refusal or "")
        if error:
            await self._report.failed(flight.item, "broken", error)
        else:
            await self._report.replied(flight.item, number, exchange, Reply(), streamed=True)
        await self._report.attempted(flight.item, number, exchange, "delivered", error)

    async def _cut_off(self, flight: Flight, number: int, exchange: Exchange, ending: Ending) -> None:
        state: EventState = "delivered" if flight.begun.done() else "pending"
        if ending == "withdrawn":
            state = ending
        await self._report.failed(flight.item, _reason(ending), exchange.answer.error)
        await self._report.attempted(flight.item, number, exchange, state, exchange.answer.error)

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
        state, why = self._after(delivery.judge(exchange.answer, number, 0, ONCE, 0))
        if flight.ended == "withdrawn":
            state = "withdrawn"
        await self._report.attempted(flight.item, number, exchange, state, why or "too late: not performed")

    def _after(self, verdict: delivery.Verdict) -> tuple[EventState, str]:
        """Return the state of the event after an attempt, and what was wrong with it."""
        match verdict:
            case delivery.Delivered():
                return "delivered", ""
            case delivery.Dead(why, stop):
                self.gone = self.gone or stop
                return "dead", why
            case delivery.Exhausted(why):
                return "pending", why
            case delivery.Retry(_, why):
                return "pending", why

    def _parse(self, exchange: Exchange) -> Reply:
        head = exchange.head
        if head is None:
            raise LocalProtocolError("an answer without a head was judged as delivered")
        if head.content_encoding != PLAIN and exchange.body:
            raise ReplyRefused("$", f"is encoded ({head.content_encoding}) although none was asked for")
        return parse_reply(head.status, head.content_type, exchange.body, max_bytes=self._settings.max_reply_bytes)


def _reason(ending: Ending) -> FailureReason:
    return "superseded" if ending == "superseded" else "cancelled"
