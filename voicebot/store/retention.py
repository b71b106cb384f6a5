"""The room that deletes the calls which are older than they may be."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, RowMapping, String, and_, case, false, func, literal, or_, select, tuple_

from voicebot.config import Settings
from voicebot.errors import VoicebotError
from voicebot.store.schema import Instant, calls, events
from voicebot.store.shares import theirs
from voicebot.store.store import Store

type Clock = Callable[[], datetime]
type IsLive = Callable[[str], bool]
type Forget = Callable[[str], Awaitable[None]]

_NUMBER = case((calls.c.direction == "outbound", calls.c.from_number), else_=calls.c.to_number)
"""The number whose settings hold for a call: ours."""

log = structlog.get_logger("store")


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


class Retention:
    """Sweeps at the start and every `store.sweep_every_s`; `run` needs an owner and ends after `close`.

    A call goes with its turns, its speech, its events, even those that were not delivered, and with whatever `forget`
    deletes (its recording). The settings of today hold for the calls of yesterday. Calls that `is_live` names stay, and
    where several workers share the store each deletes its own.
    """

    def __init__(
        self, store: Store, settings: Settings, is_live: IsLive, forget: Forget, *, now: Clock = utc_now
    ) -> None:
        self._store = store
        self._settings = settings
        self._is_live = is_live
        self._forget = forget
        self._now = now
        self._ours = theirs(store.share, calls.c.id)
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Sweep until closed; a store out of order is tried again the next time."""
        while not self._closing.is_set():
            try:
                await self.sweep()
            except VoicebotError as error:
                log.warning("store.not_swept", why=str(error))
            try:
                async with asyncio.timeout(self._settings.store.sweep_every_s):
                    await self._closing.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """End soon."""
        self._closing.set()

    async def sweep(self) -> int:
        """Delete what is too old, batch by batch, and return how many calls that were.

        Words of calls that were deleted one by one since the last sweep leave the search index as well.
        """
        deleted = undelivered = 0
        condition, after = _too_old(self._settings, self._now()), None
        while not self._closing.is_set() and (batch := await self._batch(condition, after)):
            after = batch[-1]
            for row in batch:
                if await self._delete(row["id"]):
                    deleted, undelivered = deleted + 1, undelivered + row["undelivered"]
        if self._store.take_deletions():
            await self._store.tidy_index()
        if deleted:
            log.info("store.swept", calls=deleted, undelivered_events=undelivered)
        return deleted

    async def _delete(self, call_id: str) -> bool:
        """Delete a call that is over, first what lies beside the store: should that fail, the call is found again."""
        if self._is_live(call_id):
            return False
        try:
            await self._forget(call_id)
        except OSError as error:
            log.warning("store.not_deleted", call=call_id, why=str(error))
            return False
        await self._store.delete_call(call_id)
        return True

    async def _batch(self, condition: ColumnElement[bool], after: RowMapping | None) -> list[RowMapping]:
        """Return the oldest calls behind `after`, each with the number of its events that nobody has."""
        undelivered = (
            select(func.count()).where(events.c.call_id == calls.c.id, events.c.state == "pending").scalar_subquery()
        )
        query = select(calls.c.id, calls.c.started_at, undelivered.label("undelivered")).where(condition, self._ours)
        if after is not None:
            here = tuple_(literal(after["started_at"], Instant), literal(after["id"], String))
            query = query.where(tuple_(calls.c.started_at, calls.c.id) > here)
        oldest = query.order_by(calls.c.started_at, calls.c.id).limit(self._settings.store.sweep_calls)
        return list(await self._store.read(oldest))


def _too_old(settings: Settings, now: datetime) -> ColumnElement[bool]:
    """Say which calls are; a number may keep its calls longer, shorter or for ever."""
    days = {number: settings.number(number).retention_days for number in settings.numbers}
    default = _expired(_NUMBER.not_in(days), settings.default.retention_days, now)
    return or_(default, *(_expired(_NUMBER.in_([number]), kept, now) for number, kept in days.items()))


def _expired(whose: ColumnElement[bool], days: float, now: datetime) -> ColumnElement[bool]:
    return and_(whose, calls.c.started_at < now - timedelta(days=days)) if days else false()
