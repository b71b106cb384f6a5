"""Reads what was said: calls by what they have in common, one call whole, hits of a search."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, String, Table, func, literal, or_, select, tuple_

from voicebot.store import search
from voicebot.store.cursors import from_cursor, to_cursor
from voicebot.store.reader import Reader
from voicebot.store.records import (
    AsideRecord,
    CallFilter,
    CallRecord,
    CallSummary,
    Hit,
    Page,
    TurnRecord,
    UtteranceRecord,
)
from voicebot.store.schema import Instant, asides, calls, turns, utterances

LIMIT = 50
"""Rows on a page, unless somebody wants more or fewer."""

_SUMMARY = ("id", "from_number", "to_number", "direction", "mode", "started_at", "ended_at", "reason", "duration_ms")
_TURN_COUNT = (
    select(func.count()).select_from(turns).where(turns.c.call_id == calls.c.id).scalar_subquery().label("turns")
)
_PLACE = tuple_(calls.c.started_at, calls.c.id)


class History:
    """Every read raises PeerUnavailable when the database is out of order."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def calls(self, wanted: CallFilter, limit: int = LIMIT, after: str | None = None) -> Page[CallSummary]:
        """Return the newest calls that fit, behind the cursor `after`; raises InvalidCursor."""
        conditions = list(_conditions(wanted))
        if wanted.text is not None:
            conditions.append(calls.c.id.in_(search.calls_where(wanted.text, self._reader.dialect)))
        if after is not None:
            started_at, call_id = from_cursor(after, datetime, str)
            here = tuple_(literal(started_at, Instant), literal(call_id, String))
            conditions.append(here > _PLACE)
        query = select(*(calls.c[name] for name in _SUMMARY), _TURN_COUNT).where(*conditions)
        newest = query.order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(limit + 1)
        rows = await self._reader.rows(newest)
        shown = tuple(CallSummary(**row) for row in rows[:limit])
        return Page(shown, to_cursor((shown[-1].started_at, shown[-1].id)) if len(rows) > len(shown) > 0 else None)

    async def call(self, call_id: str) -> CallRecord | None:
        """Return everything kept of a call but its events; None when there is no such call."""
        return await self._reader.together(partial(one_call, call_id))

    async def search(self, query: str, limit: int = LIMIT, after: str | None = None) -> Page[Hit]:
        """Return the newest hits behind the cursor `after`; raises InvalidCursor.

        Words must all be found in one turn or utterance, `"…"` is a phrase, `word*` finds what begins so. Capital
        letters do not count, in SQLite neither do accents. Nothing to look for finds nothing.
        """
        return await self._reader.together(partial(search.find, query=query, limit=limit, after=after))


def _conditions(wanted: CallFilter) -> Iterator[ColumnElement[bool]]:
    for name in ("from_number", "to_number", "direction", "mode", "reason"):
        if (value := getattr(wanted, name)) is not None:
            yield calls.c[name] == value
    if wanted.number is not None:
        yield or_(calls.c.from_number == wanted.number, calls.c.to_number == wanted.number)
    if wanted.since is not None:
        yield calls.c.started_at >= wanted.since
    if wanted.until is not None:
        yield calls.c.started_at < wanted.until
    if wanted.ended is not None:
        yield calls.c.ended_at.is_not(None) if wanted.ended else calls.c.ended_at.is_(None)


def one_call(call_id: str, connection: Connection) -> CallRecord | None:
    """Return everything kept of a call but its events."""
    found = connection.execute(select(calls, _TURN_COUNT).where(calls.c.id == call_id)).mappings().one_or_none()
    if found is None:
        return None

    def of_call(table: Table, place: str) -> Sequence[RowMapping]:
        query = select(table).where(table.c.call_id == call_id).order_by(table.c[place], table.c.id)
        return connection.execute(query).mappings().all()

    return CallRecord(
        summary=CallSummary(**{name: found[name] for name in (*_SUMMARY, "turns")}),
        parameters=found["parameters"],
        state=found["state"],
        # By the order of writing: a turn of keys alone has no time.
        turns=tuple(TurnRecord(**_own(row)) for row in of_call(turns, "id")),
        utterances=tuple(UtteranceRecord(**_own(row)) for row in of_call(utterances, "started_at")),
        asides=tuple(AsideRecord(**_own(row)) for row in of_call(asides, "at")),
    )


def _own(row: RowMapping) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"id", "call_id"}}
