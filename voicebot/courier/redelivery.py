"""The room that delivers on a schedule what could not be delivered at once, and everything to the second endpoint."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise

import structlog

from voicebot.config import shown_url
from voicebot.core import delivery
from voicebot.courier.flight import Flight, Item, now
from voicebot.courier.ledger import Ledger
from voicebot.courier.poster import Exchange, Head, Poster
from voicebot.courier.report import After
from voicebot.courier.sender import TOO_LATE
from voicebot.courier.shared import Shared
from voicebot.courier.ways import Ways
from voicebot.errors import VoicebotError
from voicebot.store import AttemptRow, CopyRecord, DueEvent, EndpointStop, EventRecord, EventSummary
from voicebot.wire.webhook_stream import open_stream

POLL_S = 1.0
"""The store is looked at this often at least: what a person replays or resumes is noticed so soon."""
TAKEN = 5
"""So many events are taken from the store for each request that may be under way."""

log = structlog.get_logger("courier")


@dataclass(frozen=True, slots=True)
class _Tries:
    """The attempts of an event at one endpoint so far."""

    number: int
    began_at: Sequence[datetime]

    def gaps_s(self, *further: datetime) -> list[float]:
        return [(later - earlier).total_seconds() for earlier, later in pairwise((*self.began_at, *further))]


class Redeliverer:
    """Delivers the events of many calls side by side, those of one call in order and one at a time; `run` needs an owner.

    Only what the store says counts: it is read again before each request. Replies are recorded, never performed.
    """

    def __init__(self, shared: Shared, poster: Callable[[DueEvent], Poster], *, copies: bool) -> None:
        self._settings, self._outbox = shared.settings, shared.store.outbox
        self._endpoints, self._clock, self._chance = shared.endpoints, shared.now, shared.chance
        # The second endpoint has an order of its own, which no lane has a part in.
        self._ways = Ways() if copies else shared.ways
        self._poster, self._copies, self._metrics = poster, copies, shared.metrics
        self._ledger = Ledger(shared.store)
        self._slots = asyncio.Semaphore(shared.settings.background_requests)
        self._busy: set[str] = set()
        """Calls with an event under way here."""
        self._set_aside: set[str] = set()
        """Calls with an event that broke us: left to the next start, so that it breaks nobody else's delivery."""
        self._flights: set[Flight] = set()
        self._bell = asyncio.Event()
        self._closing = False
        self._blind = False

    def wake(self) -> None:
        """Look at the store now."""
        self._bell.set()

    def close(self) -> None:
        """Begin nothing more and cut what is under way; `run` returns when that is recorded."""
        self._closing = True
        for flight in self._flights:
            flight.end_by(now(), "stopped")
        self._bell.set()

    async def run(self) -> None:
        """Deliver what is due until closed."""
        async with asyncio.TaskGroup() as group:
            while not self._closing:
                self._bell.clear()
                for event in await self._due():
                    if event.call_id not in self._busy:
                        self._busy.add(event.call_id)
                        group.create_task(self._deliver(event))
                await self._pause(await self._until_due())

    async def _due(self) -> Sequence[DueEvent]:
        room = TAKEN * self._settings.background_requests - len(self._busy)
        if room <= 0:
            return ()  # the bell rings when one is done
        passing = [*self._busy, *self._set_aside, *self._ways.claimed()]
        try:
            if not self._copies:
                self._endpoints.refresh([endpoint.url for endpoint in await self._outbox.stopped()])
            due = await self._outbox.due(self._clock(), room, except_calls=passing, copies=self._copies)
        except VoicebotError as error:
            if not self._blind:
                log.warning("webhook.store_unreadable", why=str(error))
            self._blind = True
            return ()
        self._blind = False
        return due

    async def _until_due(self) -> float:
        """Return the seconds until something may be due that nobody announces; never more than POLL_S."""
        try:
            earliest = await self._outbox.next_due(copies=self._copies)
        except VoicebotError:
            return POLL_S
        left_s = (earliest - self._clock()).total_seconds() if earliest else 0
        return min(left_s, POLL_S) if left_s > 0 else POLL_S

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    async def _deliver(self, due: DueEvent) -> None:
        try:
            async with self._slots:
                sent = not self._closing and await self._attempt(due)
        except Exception:
            log.exception("webhook.delivery_broken", call=due.call_id, event_id=due.event_id, event_type=due.type)
            self._set_aside.add(due.call_id)
            sent = False
        finally:
            self._busy.discard(due.call_id)
        if sent:
            self.wake()

    async def _attempt(self, due: DueEvent) -> bool:
        """Send an event once and record it; False when there is no need to, or its call has something to send itself."""
        flight = Flight(_item(due))
        way = self._ways.of(due.call_id)
        if not way.take(flight):
            return False
        self._flights.add(flight)
        try:
            tries = self._still_due(await self._read(due.event_id), due)
            if tries is None or flight.ended:
                return False
            flight.limit(now() + self._settings.background_timeout_s)
            exchange = await self._poster(due).post(flight, _skim, number=tries.number + 1)
        finally:
            self._flights.discard(flight)
            way.give_back()
        await self._settle(due, flight, tries, exchange)
        return True

    async def _read(self, event_id: str) -> EventRecord | None:
        try:
            return await self._outbox.event(event_id)
        except VoicebotError:
            return None

    def _still_due(self, record: EventRecord | None, due: DueEvent) -> _Tries | None:
        """Return what was tried so far, None when it is not to be tried now: nobody else touches it from here on."""
        if record is None:
            return None
        states: list[EventSummary | CopyRecord] = [record.summary]
        if due.is_copy:
            states = [copy for copy in record.copies if copy.url == due.url]
        for state in states:
            if state.state == "pending" and (state.next_attempt_at is None or state.next_attempt_at <= self._clock()):
                to = due.url if due.is_copy else None
                return _Tries(state.attempts, [one.started_at for one in record.attempts if one.copy_url == to])
        return None

    async def _settle(self, due: DueEvent, flight: Flight, tries: _Tries, exchange: Exchange) -> None:
        after = self._after(due, flight, tries, exchange)
        number = tries.number + 1
        if after.state == "dead":
            self._metrics.webhooks_dead.inc()
        log.info(
            "webhook.attempt",
            call=due.call_id,
            event_id=due.event_id,
            sequence=due.sequence,
            event_type=due.type,
            attempt=number,
            status=exchange.answer.status,
            error=after.why or None,
            ms=exchange.ms,
            state=after.state,
            copy=due.is_copy,
        )
        row = AttemptRow(
            event_id=due.event_id,
            attempt=number,
            started_at=exchange.began_at,
            ms=exchange.ms,
            status=exchange.answer.status,
            error=after.why or None,
            state=after.state,
            next_attempt_at=after.next_attempt_at,
            copy_url=due.url if due.is_copy else None,
        )
        if exchange.answer.status == HTTPStatus.GONE:
            await self._stop(due.url, after.why)
        await self._record(row)

    def _after(self, due: DueEvent, flight: Flight, tries: _Tries, exchange: Exchange) -> After:
        # What was cut off for somebody's sake says nothing about the endpoint and uses up no wait.
        gaps_s = tries.gaps_s() if flight.ended else tries.gaps_s(exchange.began_at)
        schedule_s = self._settings.schedule_s
        match delivery.judge_later(exchange.answer, gaps_s, schedule_s, self._chance.random()):
            case delivery.Delivered():
                return After("delivered", TOO_LATE if due.wants_reply and not due.is_copy else "")
            case delivery.Retry(_, why) | delivery.Exhausted(why) if flight.ended == "withdrawn":
                return After("withdrawn", why)
            case delivery.Dead(why, stop=True):
                return After("pending", why)
            case delivery.Dead(why):
                return After("dead", why)
            case delivery.Exhausted(why):
                return After("dead", f"{why}, at the end of the schedule")
            case delivery.Retry(wait_s, why):
                return After("pending", why, self._clock() + timedelta(seconds=wait_s))

    async def _stop(self, url: str, why: str) -> None:
        log.warning("webhook.endpoint_stopped", url=shown_url(url), why=why)
        self._endpoints.stop(url)
        await self._record(EndpointStop(url=url, stopped_at=self._clock(), why=why))

    async def _record(self, row: AttemptRow | EndpointStop) -> None:
        """Record until it is done: what is not recorded would be sent again and again."""
        while not await self._ledger.record(row) and not self._closing:
            await self._pause(POLL_S)


def _item(due: DueEvent) -> Item:
    return Item(
        call_id=due.call_id,
        event_id=due.event_id,
        sequence=due.sequence,
        event_type=due.type,
        body=due.body,
        queued_at=now(),
    )


async def _skim(head: Head, chunk: bytes) -> bool:
    """Nobody performs the answer, so a streamed one need not be heard to its end."""
    return open_stream(head.content_type, max_bytes=len(chunk)) is None
