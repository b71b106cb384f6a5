"""One call's events on their way to the application: in order, one at a time, the newest that wants a reply never waiting."""

import asyncio
from bisect import insort
from contextlib import ExitStack
from datetime import datetime

import structlog
from opentelemetry.trace import Span

from voicebot.courier.flight import PATIENCE_S, Flight, Item, now
from voicebot.courier.ledger import Ledger
from voicebot.courier.outcomes import OnOutcome
from voicebot.courier.poster import Poster
from voicebot.courier.report import Report
from voicebot.courier.sender import Sender
from voicebot.courier.shared import Shared
from voicebot.errors import LocalProtocolError
from voicebot.store import EventRow
from voicebot.waiting import Flag
from voicebot.wire.webhook import Event, encode

MAX_WAITING = 500
"""Events of one call that wait here; more of those that want no reply are left to the store."""

log = structlog.get_logger("courier")


class Lane:
    """Delivers the events of one call; `run` needs an owner and ends after `close`, when everything was tried.

    An event is committed to the store before its first attempt, and its request leaves in the step that hears of the commit.
    Events leave in the order of `sequence`, one request at a time. What becomes of each is told to `on_outcome`.
    """

    def __init__(
        self, call_id: str, shared: Shared, poster: Poster, on_outcome: OnOutcome, *, forgets: bool = False
    ) -> None:
        self._call_id = call_id
        self._forgets = forgets
        self._shared = shared
        self._poster = poster
        self._ledger = Ledger(shared.store)
        self._way = shared.ways.of(call_id)
        self._report = Report(on_outcome, self._ledger, shared.metrics)
        self._sender = Sender(shared.settings, poster, self._report, shared.endpoints)
        self._waiting: list[Item] = []
        self._withdrawn: list[int] = []
        self._changed = Flag()
        self._closed = False
        self._runs = False
        self._delivery: asyncio.Task[None] | None = None
        self._flight: Flight | None = None

    async def post(self, event: Event, parent: Span | None = None) -> None:
        """Commit `event` to the store and queue it; a store out of order is logged and does not hold it up.

        Its requests belong to the span `parent`, or to the call's.
        """
        if self._closed:
            raise LocalProtocolError(f"{event.type} after the end of the call's events")
        item = self._item(event, parent)
        with ExitStack() as undo:
            self._way.claim()
            undo.callback(self._way.release)
            await self._ledger.keep(self._row(item, event.created_at))
            self._shared.kept()
            if self._enqueue(item):
                undo.pop_all()

    def cancel(self, sequence: int) -> None:
        """The reply to this event is not wanted any more: a stream that has begun is closed at once.

        The event itself must be delivered, so one that waits or is not answered yet goes its way.
        """
        flight = self._flight
        if flight is not None and flight.item.sequence == sequence and flight.begun.done():
            flight.end_by(now(), "cancelled")

    def withdraw(self, sequence: int) -> None:
        """Take an event back: it is not sent, its request is cut, it is not tried again; one that is answered stays so."""
        if self._flight is not None and self._flight.item.sequence == sequence:
            self._flight.end_by(now(), "withdrawn")
        elif any(item.sequence == sequence for item in self._waiting):
            self._withdrawn.append(sequence)
        else:
            self._way.withdraw(sequence)
            self._report.withdrawn_late(sequence, self._poster.now())

    def close(self) -> None:
        """No more events will be posted; `run` returns when those posted were tried, and a streamed reply is cut off."""
        self._closed = True
        self._changed.set()
        if self._flight is not None:
            self._flight.close()

    async def run(self) -> None:
        """Deliver until closed and drained; when cancelled, what is left stays pending in the store."""
        self._runs = True
        self._begin()
        try:
            while delivery := await self._next():
                await delivery
                del delivery  # between two events nothing holds on to the bytes of the one before
                self._delivery = None
                self._ledger.then(self._way.release)
                self._begin()
            await self._ledger.recorded()
        finally:
            self._runs = False
            if self._delivery is not None and not self._delivery.done():
                self._delivery.cancel()
                await asyncio.wait([self._delivery])
            self._way.leave()

    async def leave(self, event: Event) -> None:
        """Commit an event for the background to deliver, on a lane that does not run; raises what the store raises."""
        await self._shared.store.write(self._row(self._item(event), event.created_at))
        self._shared.kept()

    def _item(self, event: Event, parent: Span | None = None) -> Item:
        return Item(
            call_id=self._call_id,
            event_id=event.id,
            sequence=event.sequence,
            event_type=event.type,
            body=encode(event),
            queued_at=now(),
            parent=parent,
        )

    def _row(self, item: Item, created_at: datetime) -> EventRow:
        return EventRow(
            id=item.event_id,
            call_id=self._call_id,
            sequence=item.sequence,
            type=item.event_type,
            wants_reply=item.live,
            url=self._poster.url or None,
            body=item.body,
            created_at=created_at,
            state="pending" if self._poster.url else "no_endpoint",
            copy_url=self._shared.settings.copy_url or None,
            ephemeral=self._forgets,
        )

    def _enqueue(self, item: Item) -> bool:
        """Queue an event; False when it is left to the background."""
        if len(self._waiting) >= MAX_WAITING and not item.live:
            log.warning(
                "webhook.left_for_later", call=self._call_id, event_id=item.event_id, why="too many are waiting"
            )
            return False
        insort(self._waiting, item, key=lambda waiting: waiting.sequence)
        if item.live and self._flight is not None:
            self._flight.end_by(now() + PATIENCE_S, "superseded")
        self._begin()
        return True

    def _begin(self) -> None:
        """Begin with the next event, unless one is under way: in this step, before anything else has its turn."""
        if self._runs and self._delivery is None and self._waiting:
            delivery = self._deliver(self._waiting.pop(0))
            self._delivery = asyncio.Task(delivery, loop=asyncio.get_running_loop(), eager_start=True)
            self._changed.set()

    async def _next(self) -> asyncio.Task[None] | None:
        """Return the delivery under way, as soon as there is one; None at the end."""
        while self._delivery is None and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return self._delivery

    async def _deliver(self, item: Item) -> None:
        if item.sequence in self._withdrawn:
            self._withdrawn.remove(item.sequence)
            await self._report.withdrawn(item, self._poster.now())
        elif not self._poster.url:
            await self._report.failed(item, "no_endpoint", "no webhook URL is configured")
        elif self._shared.endpoints.is_stopped(self._poster.url):
            await self._report.failed(item, "dead", "the endpoint has answered 410 before")
        elif item.live and now() - item.queued_at > self._shared.settings.reply_deadline_s:
            await self._report.failed(item, "deadline", "it waited too long behind another one")
        else:
            await self._send(item)

    async def _send(self, item: Item) -> None:
        """Send an event, with little time for it when one that wants a reply is waiting behind it."""
        await self._way.free()
        flight = Flight(item, closing=self._closed)
        waiting = (other for other in self._waiting if other.live and other.sequence not in self._withdrawn)
        if live := next(waiting, None):
            # Older information has one short time in all; an older question is put in any case, were it for the record.
            end = max(live.queued_at, now()) if item.live else live.queued_at
            if end + PATIENCE_S <= now():
                await self._report.failed(item, "deadline", "left for later: an event that wants a reply was waiting")
                return
            flight.end_by(end + PATIENCE_S, "superseded")
        self._flight = flight
        if item.live:
            await self._sender.ask(flight)
        else:
            await self._sender.inform(flight)
        self._flight = None
