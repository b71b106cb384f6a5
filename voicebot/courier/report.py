"""Tells what became of an event: to the call, to the store, to the log."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from pydantic import JsonValue

from voicebot.config import shown_url
from voicebot.core.actions import Action
from voicebot.courier.flight import ENDINGS, Item, now
from voicebot.courier.ledger import Ledger
from voicebot.courier.outcomes import (
    Attempted,
    Delivered,
    FailureReason,
    OnOutcome,
    Replied,
    ReplyFailed,
    Streamed,
    Undelivered,
)
from voicebot.courier.poster import Exchange, Head
from voicebot.metrics import Metrics
from voicebot.store import AttemptRow, EndpointStop, EventState
from voicebot.wire.webhook_reply import Reply, Unset

OFFER = "turn.provisional"
"""Only these may be taken back."""

log = structlog.get_logger("courier")


@dataclass(frozen=True, slots=True)
class After:
    """How an event stands after an attempt: what was wrong, and when a pending one is due again (None: at once)."""

    state: EventState
    why: str = ""
    next_attempt_at: datetime | None = None


MAX_LEFT = 100
"""Provisional turns given up that may still be taken back; only the newest ones are."""


class Report:
    """The three readers of one lane's fortunes."""

    def __init__(self, tell: OnOutcome, ledger: Ledger, metrics: Metrics) -> None:
        self._tell = tell
        self._metrics = metrics
        self._ledger = ledger
        self._left: dict[int, Item] = {}
        """Provisional turns that are still to be delivered, although the call waits for them no more."""

    async def streamed(self, item: Item, head: Head, actions: tuple[Action, ...], state: JsonValue | Unset) -> None:
        """The call can go on with a part of the reply."""
        await self._tell(
            Streamed(
                event_id=item.event_id,
                sequence=item.sequence,
                event_type=item.event_type,
                actions=actions,
                state=state,
                sent_at=head.sent_at,
                first_byte_at=head.first_byte_at,
                at=now(),
            )
        )

    async def replied(
        self, item: Item, number: int, exchange: Exchange, reply: Reply, *, streamed: bool = False
    ) -> None:
        """The call can go on."""
        await self._tell(
            Replied(
                event_id=item.event_id,
                sequence=item.sequence,
                event_type=item.event_type,
                reply=reply,
                attempts=number,
                queued_at=item.queued_at,
                sent_at=exchange.sent_at,
                first_byte_at=exchange.first_byte_at,
                done_at=exchange.done_at,
                streamed=streamed,
            )
        )

    async def failed(self, item: Item, reason: FailureReason, detail: str) -> None:
        """There will be no reply, or the event that wants none was not taken."""
        if item.event_type == OFFER:
            self._left[item.sequence] = replace(item, body=b"")
            if len(self._left) > MAX_LEFT:
                del self._left[next(iter(self._left))]
        log.warning(
            "webhook.failed",
            call=item.call_id,
            event_id=item.event_id,
            sequence=item.sequence,
            event_type=item.event_type,
            reason=reason,
            why=detail,
        )
        about = (item.event_id, item.sequence, item.event_type)
        await self._tell(ReplyFailed(*about, reason, detail) if item.live else Undelivered(*about, detail))

    async def withdrawn(self, item: Item, at: datetime) -> None:
        """The event was taken back while no attempt was under way."""
        self._note_withdrawn(item, at)
        await self.failed(item, "cancelled", ENDINGS["withdrawn"])

    def withdrawn_late(self, sequence: int, at: datetime) -> None:
        """A provisional turn is taken back after its reply was given up; it is not delivered later."""
        if item := self._left.get(sequence):
            self._note_withdrawn(item, at)

    def _note_withdrawn(self, item: Item, at: datetime) -> None:
        why = ENDINGS["withdrawn"]
        self._ledger.note(
            AttemptRow(
                event_id=item.event_id, attempt=0, started_at=at, ms=0, status=None, error=why, state="withdrawn"
            )
        )

    def stopped(self, url: str, at: datetime, why: str) -> None:
        """The endpoint wants no events any more."""
        log.warning("webhook.endpoint_stopped", url=shown_url(url), why=why)
        self._ledger.note(EndpointStop(url=url, stopped_at=at, why=why))

    async def delivered(self, item: Item) -> None:
        """The application has an event that wants no reply."""
        await self._tell(Delivered(item.event_id, item.sequence, item.event_type))

    async def attempted(self, item: Item, number: int, exchange: Exchange, after: After) -> None:
        """One attempt is over and leaves the event as `after` says."""
        status, error = exchange.answer.status, after.why
        if after.state != "pending":
            self._left.pop(item.sequence, None)
        if after.state == "dead":
            self._metrics.webhooks_dead.inc()
        (log.info if error else log.debug)(
            "webhook.attempt",
            call=item.call_id,
            event_id=item.event_id,
            sequence=item.sequence,
            event_type=item.event_type,
            attempt=number,
            status=status,
            error=error or None,
            ms=exchange.ms,
            state=after.state,
        )
        self._ledger.note(
            AttemptRow(
                event_id=item.event_id,
                attempt=number,
                started_at=exchange.began_at,
                ms=exchange.ms,
                status=status,
                error=error or None,
                state=after.state,
                next_attempt_at=after.next_attempt_at,
            )
        )
        await self._tell(
            Attempted(
                event_id=item.event_id,
                sequence=item.sequence,
                event_type=item.event_type,
                attempt=number,
                status=status,
                error=error or None,
                ms=exchange.ms,
            )
        )
