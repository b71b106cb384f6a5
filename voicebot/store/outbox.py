"""Reads the outbox: events and how far their delivery is, and which of them can be sent now."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from voicebot.core.shares import Share
from voicebot.store import schema
from voicebot.store.cursors import from_cursor, to_cursor
from voicebot.store.history import LIMIT
from voicebot.store.reader import Reader
from voicebot.store.records import (
    AttemptRecord,
    Backlog,
    CopyRecord,
    DeliveryFilter,
    DueEvent,
    EventRecord,
    EventSummary,
    Page,
    StoppedEndpoint,
)
from voicebot.store.schema import Instant, deliveries, endpoints, events
from voicebot.store.shares import theirs

DUE = 100
"""Events that are handed out at a time, unless somebody wants more or fewer."""

MOST_COUNTED = 10_000
"""Events of a state that are counted for the metrics."""

_SUMMARY = tuple(events.c[field.name] for field in fields(EventSummary))
_PLACE = (events.c.created_at, events.c.sequence, events.c.id)
_SENT = tuple(
    events.c[name].label(label)
    for name, label in (
        ("id", "event_id"),
        *((name, name) for name in ("call_id", "sequence", "type", "wants_reply", "body", "created_at")),
    )
)


class Outbox:
    """Every read raises PeerUnavailable when the database is out of order."""

    def __init__(self, reader: Reader, share: Share) -> None:
        self._reader, self._share = reader, share
        # Made once: these are asked for every second, and a statement is a heap of cycles that only the collector frees.
        self._due = {copies: self._due_of(copies=copies) for copies in (False, True)}
        self._next_due = {copies: self._next_due_of(copies=copies) for copies in (False, True)}
        self._backlog = self._backlog_of()

    async def deliveries(
        self, wanted: DeliveryFilter, limit: int = LIMIT, after: str | None = None
    ) -> Page[EventSummary]:
        """Return the newest events that fit, behind the cursor `after`; raises InvalidCursor."""
        conditions = list(_conditions(wanted))
        if after is not None:
            created_at, sequence, event_id = from_cursor(after, datetime, int, str)
            here = (literal(created_at, Instant), literal(sequence, BigInteger), literal(event_id, String))
            conditions.append(tuple_(*_PLACE) < tuple_(*here))
        newest = select(*_SUMMARY).where(*conditions).order_by(*(column.desc() for column in _PLACE))
        rows = await self._reader.rows(newest.limit(limit + 1))
        shown = tuple(EventSummary(**row) for row in rows[:limit])
        if not len(rows) > len(shown) > 0:
            return Page(shown, None)
        return Page(shown, to_cursor((shown[-1].created_at, shown[-1].sequence, shown[-1].id)))

    async def event(self, event_id: str) -> EventRecord | None:
        """Return everything kept of an event; None when there is no such event."""
        return await self._reader.together(partial(_event, event_id))

    async def due(
        self, now: datetime, limit: int = DUE, *, except_calls: Collection[str] = (), copies: bool = False
    ) -> Sequence[DueEvent]:
        """Return the pending events whose time has come, those that have waited longest first.

        Of each call only its first pending one, because the events of a call arrive in order; and none whose endpoint
        was stopped. With `copies`, what is to be sent to the second endpoint, of each call and endpoint the first. Where
        several workers share the database, each gets the events of its own calls.
        """
        rows = await self._reader.rows(self._due[copies], now=now, most=limit, except_calls=list(except_calls))
        return tuple(DueEvent(**row, is_copy=copies) for row in rows)

    async def next_due(self, *, copies: bool = False) -> datetime | None:
        """Return the earliest instant at which a pending event is to be tried again; None when none waits."""
        query = self._next_due[copies]
        return await self._reader.together(lambda connection: connection.execute(query).scalar_one())

    async def backlog(self) -> Backlog:
        """Return how much waits and how much is dead, by the index over states; from MOST_COUNTED on it is not counted."""
        return Backlog(**(await self._reader.rows(self._backlog))[0])

    async def stopped(self) -> Sequence[StoppedEndpoint]:
        """Return the endpoints that want no events any more, by URL."""
        rows = await self._reader.rows(select(endpoints).order_by(endpoints.c.url))
        return tuple(StoppedEndpoint(**row) for row in rows)

    # --- statements ---------------------------------------------------------------------------------

    def _due_of(self, *, copies: bool) -> Select[Any]:
        state = _state(copies=copies)
        waited = func.coalesce(state.c.next_attempt_at, events.c.created_at)
        return (
            (_due_copies() if copies else _due_events())
            .where(
                or_(state.c.next_attempt_at.is_(None), state.c.next_attempt_at <= bindparam("now", type_=Instant)),
                events.c.call_id.not_in(bindparam("except_calls", expanding=True)),
                theirs(self._share, events.c.call_id),
            )
            .order_by(waited, events.c.sequence)
            .limit(bindparam("most", type_=Integer))
        )

    def _next_due_of(self, *, copies: bool) -> Select[Any]:
        state = _state(copies=copies)
        return select(func.min(state.c.next_attempt_at)).where(state.c.state == "pending", self._ours(state))

    def _ours(self, state: Table) -> ColumnElement[bool]:
        if state is events or self._share.of == 1:
            return theirs(self._share, events.c.call_id)
        return exists().where(events.c.id == state.c.event_id, theirs(self._share, events.c.call_id))

    def _backlog_of(self) -> Select[Any]:
        ours = theirs(self._share, events.c.call_id)
        waiting = select(events.c.created_at).where(events.c.state == "pending", ours).limit(MOST_COUNTED).subquery()
        dead = select(events.c.id).where(events.c.state == "dead", ours).limit(MOST_COUNTED).subquery()
        return select(
            select(func.count()).select_from(waiting).scalar_subquery().label("pending"),
            select(func.min(waiting.c.created_at)).scalar_subquery().label("oldest"),
            select(func.count()).select_from(dead).scalar_subquery().label("dead"),
            select(func.count()).select_from(endpoints).scalar_subquery().label("stopped"),
        )


def _conditions(wanted: DeliveryFilter) -> Iterator[ColumnElement[bool]]:
    for name in ("call_id", "type", "url"):
        if (value := getattr(wanted, name)) is not None:
            yield events.c[name] == value
    if wanted.states:
        yield events.c.state.in_(wanted.states)
    if wanted.since is not None:
        yield events.c.created_at >= wanted.since
    if wanted.until is not None:
        yield events.c.created_at < wanted.until


def _event(event_id: str, connection: Connection) -> EventRecord | None:
    query = select(*_SUMMARY, events.c.body).where(events.c.id == event_id)
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        return None
    summary = dict(found)
    body = summary.pop("body")

    def of_event(table: Table, record: type[Any]) -> Iterator[dict[str, Any]]:
        columns = (table.c[field.name] for field in fields(record))
        rows = connection.execute(select(*columns).where(table.c.event_id == event_id).order_by(table.c.id))
        return map(dict, rows.mappings())

    return EventRecord(
        summary=EventSummary(**summary),
        body=body,
        attempts=tuple(AttemptRecord(**row) for row in of_event(deliveries, AttemptRecord)),
        copies=tuple(CopyRecord(**row) for row in of_event(schema.copies, CopyRecord)),
    )


def _state(*, copies: bool) -> Table:
    return schema.copies if copies else events


def _due_events() -> Select[Any]:
    earlier = events.alias("earlier")
    return select(*_SENT, events.c.url, events.c.attempts, events.c.first_attempt_at).where(
        events.c.state == "pending",
        events.c.url.is_not(None),
        ~exists().where(
            earlier.c.call_id == events.c.call_id,
            earlier.c.state == "pending",
            earlier.c.sequence < events.c.sequence,
        ),
        ~exists().where(endpoints.c.url == events.c.url),
    )


def _due_copies() -> Select[Any]:
    copies = schema.copies
    earlier, its_copy = events.alias("earlier"), copies.alias("its_copy")
    return (
        select(*_SENT, copies.c.url, copies.c.attempts, copies.c.first_attempt_at)
        .join_from(copies, events, copies.c.event_id == events.c.id)
        .where(
            copies.c.state == "pending",
            ~exists().where(
                earlier.c.call_id == events.c.call_id,
                earlier.c.sequence < events.c.sequence,
                its_copy.c.event_id == earlier.c.id,
                its_copy.c.url == copies.c.url,
                its_copy.c.state == "pending",
            ),
            ~exists().where(endpoints.c.url == copies.c.url),
        )
    )
