"""Tells what became of an event: to the call, to the store, to the log."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from voicebot.courier.ledger import Ledger
from voicebot.courier.outcomes import (
    Attempted,
    Delivered,
    FailureReason,
    OnOutcome,
    Replied,
    ReplyFailed,
    Undelivered,
)
from voicebot.courier.poster import Exchange
from voicebot.store import AttemptRow, EventState
from voicebot.wire.webhook import WANTS_REPLY
from voicebot.wire.webhook_reply import Reply

log = structlog.get_logger("courier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An event on its way: its bytes, and the loop time at which it was posted."""

    call_id: str
    event_id: str
    sequence: int
    event_type: str
    body: bytes
    queued_at: float

    @property
    def live(self) -> bool:
        """Somebody on the phone waits for the reply."""
        return self.event_type in WANTS_REPLY


class Report:
    """The three readers of one lane's fortunes."""

    def __init__(self, tell: OnOutcome, ledger: Ledger) -> None:
        self._tell = tell
        self._ledger = ledger

    async def replied(self, item: Item, number: int, exchange: Exchange, reply: Reply) -> None:
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
            )
        )

    async def failed(self, item: Item, reason: FailureReason, detail: str) -> None:
        """There will be no reply, or the event that wants none was not taken."""
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

    async def buried(self, item: Item, why: str, now: datetime) -> None:
        """The event is dead without an attempt."""
        self._ledger.note(
            AttemptRow(event_id=item.event_id, attempt=0, started_at=now, ms=0, status=None, error=why, state="dead")
        )
        await self.failed(item, "dead", why)

    async def delivered(self, item: Item) -> None:
        """The application has an event that wants no reply."""
        await self._tell(Delivered(item.event_id, item.sequence, item.event_type))

    async def attempted(self, item: Item, number: int, exchange: Exchange, state: EventState, error: str) -> None:
        """One attempt is over and leaves the event in `state`."""
        status = exchange.answer.status
        log.info(
            "webhook.attempt",
            call=item.call_id,
            event_id=item.event_id,
            sequence=item.sequence,
            event_type=item.event_type,
            attempt=number,
            status=status,
            error=error or None,
            ms=exchange.ms,
            state=state,
        )
        self._ledger.note(
            AttemptRow(
                event_id=item.event_id,
                attempt=number,
                started_at=exchange.began_at,
                ms=exchange.ms,
                status=status,
                error=error or None,
                state=state,
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
