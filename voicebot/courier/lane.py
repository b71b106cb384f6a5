"""One call's events on their way to the application: in order, one at a time, those that wait for a reply first served."""

import asyncio
from bisect import insort
from contextlib import suppress

import structlog

from voicebot.config import WebhookSettings
from voicebot.core import delivery
from voicebot.courier.ledger import Ledger
from voicebot.courier.outcomes import OnOutcome
from voicebot.courier.poster import PLAIN, Exchange, Poster
from voicebot.courier.report import Item, Report
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.store import EventRow, EventState
from voicebot.wire.webhook import Event, encode, parse_reply
from voicebot.wire.webhook_reply import Reply

PATIENCE_S = 0.25
"""How long an event that wants a reply waits for older ones that want none; then they are left for later."""
MAX_WAITING = 500
"""Events of one call that wait here; more of those that want no reply are left to the store."""
ONCE = delivery.RetryPolicy(waits_s=(), deadline_s=0)
"""Events that want no reply are tried once; a slower schedule follows."""

log = structlog.get_logger("courier")


class Lane:
    """Delivers the events of one call; `run` needs an owner and ends after `close`, when everything was tried.

    An event is committed to the store before its first attempt. Events leave in the order of `sequence`, one request
    at a time. What becomes of each is told to `on_outcome`, always from `run`.
    """

    def __init__(
        self, call_id: str, settings: WebhookSettings, poster: Poster, ledger: Ledger, on_outcome: OnOutcome
    ) -> None:
        self._call_id = call_id
        self._settings = settings
        self._poster = poster
        self._ledger = ledger
        self._report = Report(on_outcome, ledger)
        self._waiting: list[Item] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._stopped = False
        self._cut: asyncio.Timeout | None = None

    async def post(self, event: Event) -> None:
        """Commit `event` to the store and queue it; a store out of order is logged and does not hold it up."""
        if self._closed:
            raise LocalProtocolError(f"{event.type} after the end of the call's events")
        item = Item(
            call_id=self._call_id,
            event_id=event.id,
            sequence=event.sequence,
            event_type=event.type,
            body=encode(event),
            queued_at=_now(),
        )
        await self._ledger.keep(
            EventRow(
                id=item.event_id,
                call_id=self._call_id,
                sequence=item.sequence,
                type=item.event_type,
                wants_reply=item.live,
                url=self._poster.url or None,
                body=item.body,
                created_at=event.created_at,
                state="pending" if self._poster.url else "no_endpoint",
            )
        )
        self._enqueue(item)

    def close(self) -> None:
        """No more events will be posted; `run` returns when those posted were tried."""
        self._closed = True
        self._changed.set()

    async def run(self) -> None:
        """Deliver until closed and drained; when cancelled, what is left stays pending in the store."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run())
            while item := await self._next():
                await self._deliver(item, group)
            self._ledger.close()

    def _enqueue(self, item: Item) -> None:
        if len(self._waiting) >= MAX_WAITING and not item.live:
            log.warning(
                "webhook.left_for_later", call=self._call_id, event_id=item.event_id, why="too many are waiting"
            )
            return
        insort(self._waiting, item, key=lambda waiting: waiting.sequence)
        self._changed.set()
        if item.live:
            self._hurry()

    async def _next(self) -> Item | None:
        while not self._waiting:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.pop(0)

    def _hurry(self) -> None:
        """Give a request that nobody waits for only a little longer."""
        soon = _now() + PATIENCE_S
        if self._cut is not None and (self._cut.when() or soon) >= soon:
            with suppress(RuntimeError):  # it has ended by itself just now
                self._cut.reschedule(soon)

    async def _deliver(self, item: Item, group: asyncio.TaskGroup) -> None:
        if not self._poster.url:
            await self._report.failed(item, "no_endpoint", "no webhook URL is configured")
        elif self._stopped:
            await self._report.buried(item, "the endpoint has answered 410 before", self._poster.now())
        elif item.live:
            await self._ask(item, group)
        else:
            await self._inform(item)

    async def _inform(self, item: Item) -> None:
        """Try an event that wants no reply once, and make way when one that does is waiting."""
        limit = _now() + self._settings.inform_timeout_s
        live = next((waiting for waiting in self._waiting if waiting.live), None)
        if live is not None:
            limit = min(limit, live.queued_at + PATIENCE_S)
        if limit <= _now():
            await self._report.failed(item, "deadline", "left for later: an event that wants a reply was waiting")
            return
        self._cut = asyncio.timeout_at(limit)
        exchange = await self._poster.post(item.event_id, item.body, self._cut)
        self._cut = None
        state, why = self._after(delivery.judge(exchange.answer, 1, 0, ONCE, 0))
        await self._report.attempted(item, 1, exchange, state, why)
        if state == "delivered":
            await self._report.delivered(item)
        else:
            await self._report.failed(item, "dead" if state == "dead" else "deadline", why)

    async def _ask(self, item: Item, group: asyncio.TaskGroup) -> None:
        """Try an event that wants a reply until there is one, it is refused, or the reply deadline is over."""
        began = _now()
        if began - item.queued_at > self._settings.reply_deadline_s:
            await self._report.failed(item, "deadline", "it waited too long behind another one")
            return
        policy = delivery.RetryPolicy(self._settings.retry_waits_s, self._settings.reply_deadline_s)
        number = 0
        while True:
            number += 1
            cut = asyncio.timeout(self._settings.attempt_timeout_s)
            attempt = group.create_task(self._poster.post(item.event_id, item.body, cut))
            await asyncio.wait({attempt}, timeout=began + policy.deadline_s - _now())
            if not attempt.done():
                await self._too_late(item, number, attempt, cut)
                return
            wait_s = await self._judge(item, number, attempt.result(), _now() - began, policy)
            if wait_s is None:
                return
            await asyncio.sleep(wait_s)

    async def _judge(
        self, item: Item, number: int, exchange: Exchange, elapsed_s: float, policy: delivery.RetryPolicy
    ) -> float | None:
        """Act on one answer in time; return the seconds until the next attempt, None when there is none."""
        verdict = delivery.judge(exchange.answer, number, elapsed_s, policy, self._poster.chance.random())
        if isinstance(verdict, delivery.Delivered):
            await self._answered(item, number, exchange)
            return None
        state, why = self._after(verdict)
        if not isinstance(verdict, delivery.Retry):
            await self._report.failed(item, "dead" if state == "dead" else "deadline", why)
        await self._report.attempted(item, number, exchange, state, why)
        return verdict.wait_s if isinstance(verdict, delivery.Retry) else None

    async def _answered(self, item: Item, number: int, exchange: Exchange) -> None:
        error = ""
        try:
            reply = self._parse(exchange)
        except ReplyRefused as refusal:
            error = str(refusal)
            await self._report.failed(item, "refused", error)
        else:
            await self._report.replied(item, number, exchange, reply)
        await self._report.attempted(item, number, exchange, "delivered", error)

    async def _too_late(self, item: Item, number: int, attempt: asyncio.Task[Exchange], cut: asyncio.Timeout) -> None:
        """The caller has waited long enough; what the request still brings is recorded and not performed."""
        await self._report.failed(item, "deadline", f"no reply within {self._settings.reply_deadline_s:g} s")
        self._cut = cut
        if any(waiting.live for waiting in self._waiting):
            self._hurry()
        exchange = await attempt
        self._cut = None
        state, why = self._after(delivery.judge(exchange.answer, number, 0, ONCE, 0))
        await self._report.attempted(item, number, exchange, state, why or "too late: not performed")

    def _after(self, verdict: delivery.Verdict) -> tuple[EventState, str]:
        """Return the state of the event after an attempt, and what was wrong with it."""
        match verdict:
            case delivery.Delivered():
                return "delivered", ""
            case delivery.Dead(why, stop):
                self._stopped = self._stopped or stop
                return "dead", why
            case delivery.Exhausted(why):
                return "pending", why
            case delivery.Retry(_, why):
                return "pending", why

    def _parse(self, exchange: Exchange) -> Reply:
        if exchange.content_encoding != PLAIN and exchange.body:
            raise ReplyRefused("$", f"is encoded ({exchange.content_encoding}) although none was asked for")
        status = exchange.answer.status or 0
        return parse_reply(status, exchange.content_type, exchange.body, max_bytes=self._settings.max_reply_bytes)


def _now() -> float:
    return asyncio.get_running_loop().time()
