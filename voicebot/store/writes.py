"""Turns rows into the statements of one transaction, one executemany for each kind."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import IntEnum, auto
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, insert, update

from voicebot.store import schema
from voicebot.store.rows import AttemptRow, CallEnd, CallRow, EventRow, TurnRow, UtteranceRow

type Row = CallRow | CallEnd | TurnRow | UtteranceRow | EventRow | AttemptRow
type Parameters = Mapping[str, Any]


class _Kind(IntEnum):
    """The order inside a transaction: what others refer to comes first, changes come last."""

    CALL = auto()
    TURN = auto()
    UTTERANCE = auto()
    EVENT = auto()
    DELIVERY = auto()
    EVENT_AFTER = auto()
    CALL_END = auto()


_CALL_ENDED = ("ended_at", "reason", "duration_ms", "state")
_EVENT_TRIED = ("state", "attempts", "delivered_at", "last_status", "last_error")

_STATEMENTS: dict[_Kind, Executable] = {
    _Kind.CALL: insert(schema.calls),
    _Kind.TURN: insert(schema.turns),
    _Kind.UTTERANCE: insert(schema.utterances),
    _Kind.EVENT: insert(schema.events),
    _Kind.DELIVERY: insert(schema.deliveries),
    _Kind.EVENT_AFTER: update(schema.events)
    .where(schema.events.c.id == bindparam("of_event"))
    .values({name: bindparam(name) for name in _EVENT_TRIED}),
    _Kind.CALL_END: update(schema.calls)
    .where(schema.calls.c.id == bindparam("of_call"))
    .values({name: bindparam(name) for name in _CALL_ENDED}),
}


def execute(connection: Connection, rows: Iterable[Row]) -> None:
    """Write `rows`; the caller owns the transaction."""
    parts: dict[_Kind, list[Parameters]] = {}
    for row in rows:
        for kind, parameters in _statements(row):
            parts.setdefault(kind, []).append(parameters)
    for kind in sorted(parts):
        connection.execute(_STATEMENTS[kind], parts[kind])


def _statements(row: Row) -> Iterable[tuple[_Kind, Parameters]]:
    match row:
        case CallRow():
            return [(_Kind.CALL, _values(row))]
        case TurnRow():
            return [(_Kind.TURN, _values(row))]
        case UtteranceRow():
            return [(_Kind.UTTERANCE, _values(row))]
        case EventRow():
            return [(_Kind.EVENT, _values(row))]
        case CallEnd():
            values = _values(row)
            return [(_Kind.CALL_END, {"of_call": values.pop("id"), **values})]
        case AttemptRow():
            return _attempt(row)


def _attempt(row: AttemptRow) -> Iterable[tuple[_Kind, Parameters]]:
    values = _values(row)
    state = values.pop("state")
    if row.attempt:
        yield _Kind.DELIVERY, values
    done_at = row.started_at + timedelta(milliseconds=row.ms)
    yield (
        _Kind.EVENT_AFTER,
        {
            "of_event": row.event_id,
            "state": state,
            "attempts": row.attempt,
            "delivered_at": done_at if state == "delivered" else None,
            "last_status": row.status,
            "last_error": row.error,
        },
    )


def _values(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
