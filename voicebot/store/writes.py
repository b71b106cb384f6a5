"""Turns rows into the statements of one transaction, one executemany for each kind."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import IntEnum, auto
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    LargeBinary,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from voicebot.store import schema
from voicebot.store.prepared import Parameters, Prepared
from voicebot.store.rows import (
    AsideRow,
    AttemptRow,
    CallCourse,
    CallDeletion,
    CallEnd,
    CallRow,
    EndpointResume,
    EndpointStop,
    EventRow,
    LatencyRow,
    TurnRow,
    UtteranceRow,
)

type Row = (
    CallRow
    | CallCourse
    | CallEnd
    | CallDeletion
    | TurnRow
    | LatencyRow
    | UtteranceRow
    | AsideRow
    | EventRow
    | AttemptRow
    | EndpointStop
    | EndpointResume
)


class _Kind(IntEnum):
    """The order inside a transaction: what others refer to comes first, changes come last."""

    CALL = auto()
    TURN = auto()
    TURN_LATENCY = auto()
    UTTERANCE = auto()
    ASIDE = auto()
    EVENT = auto()
    COPY = auto()
    DELIVERY = auto()
    EVENT_AFTER = auto()
    COPY_AFTER = auto()
    EVENT_SPENT = auto()
    CALL_COURSE = auto()
    CALL_END = auto()
    ENDPOINT_RESUME = auto()
    ENDPOINT_STOP = auto()
    CALL_DELETION = auto()


_INSERTED: dict[type[Row], _Kind] = {
    CallRow: _Kind.CALL,
    TurnRow: _Kind.TURN,
    UtteranceRow: _Kind.UTTERANCE,
    AsideRow: _Kind.ASIDE,
}
_CALL_ENDED = ("ended_at", "reason", "duration_ms", "state")
_AFTER_ATTEMPT = ("state", "next_attempt_at")
"""What an attempt says of its event, and not of itself."""
_NOT_SENT_AGAIN = ("delivered", "withdrawn", "dropped")
"""Events in these states need their bytes no more."""


def _is_over(state: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(state == over for over in _NOT_SENT_AGAIN))


def _tried(table: Table) -> dict[str, ColumnElement[Any]]:
    """Return the new values of an event or a copy; without an attempt, what is known of earlier ones stays."""
    is_attempt = bindparam("attempt") > 0

    def if_tried(parameter: str, column: str) -> ColumnElement[Any]:
        return case((is_attempt, bindparam(parameter, type_=table.c[column].type)), else_=table.c[column])

    return {
        "state": bindparam("new_state"),
        "next_attempt_at": bindparam("next_at", type_=table.c.next_attempt_at.type),
        "attempts": if_tried("attempt", "attempts"),
        "first_attempt_at": case(
            (is_attempt, func.coalesce(table.c.first_attempt_at, bindparam("began_at", type_=schema.Instant))),
            else_=table.c.first_attempt_at,
        ),
        "delivered_at": if_tried("done_at", "delivered_at"),
        "last_status": if_tried("status", "last_status"),
        "last_error": case(
            (is_attempt, bindparam("error", type_=table.c.last_error.type)),
            else_=func.coalesce(bindparam("error", type_=table.c.last_error.type), table.c.last_error),
        ),
    }


_STATEMENTS: dict[_Kind, ClauseElement] = {
    _Kind.CALL: insert(schema.calls),
    _Kind.TURN: insert(schema.turns),
    _Kind.TURN_LATENCY: update(schema.turns)
    .where(
        schema.turns.c.call_id == bindparam("of_call"),
        schema.turns.c.track == bindparam("on_track"),
        schema.turns.c.number == bindparam("of_number"),
    )
    .values(latency=bindparam("latency")),
    _Kind.UTTERANCE: insert(schema.utterances),
    _Kind.ASIDE: insert(schema.asides),
    _Kind.EVENT: insert(schema.events),
    _Kind.COPY: insert(schema.copies),
    _Kind.DELIVERY: insert(schema.deliveries),
    _Kind.EVENT_AFTER: update(schema.events)
    .where(schema.events.c.id == bindparam("of_event"))
    .values(_tried(schema.events)),
    _Kind.COPY_AFTER: update(schema.copies)
    .where(schema.copies.c.event_id == bindparam("of_event"), schema.copies.c.url == bindparam("of_url"))
    .values(_tried(schema.copies)),
    _Kind.EVENT_SPENT: update(schema.events)
    .where(
        schema.events.c.id == bindparam("of_event"),
        schema.events.c.ephemeral,
        _is_over(schema.events.c.state),
        ~exists().where(schema.copies.c.event_id == schema.events.c.id, ~_is_over(schema.copies.c.state)),
    )
    .values(body=literal(b"", LargeBinary)),
    _Kind.CALL_COURSE: update(schema.calls)
    .where(schema.calls.c.id == bindparam("of_call"), schema.calls.c.ended_at.is_(None))
    .values(state=bindparam("state"), course=bindparam("course")),
    _Kind.CALL_END: update(schema.calls)
    .where(schema.calls.c.id == bindparam("of_call"))
    .values({name: bindparam(name) for name in _CALL_ENDED} | {"course": null()}),
    _Kind.ENDPOINT_RESUME: delete(schema.endpoints).where(schema.endpoints.c.url == bindparam("of_url")),
    # Several calls may be told at the same time that an endpoint is gone; the first one is kept.
    _Kind.ENDPOINT_STOP: insert(schema.endpoints).from_select(
        ["url", "stopped_at", "why"],
        select(
            bindparam("of_url", type_=schema.endpoints.c.url.type),
            bindparam("at", type_=schema.Instant),
            bindparam("because", type_=schema.endpoints.c.why.type),
        ).where(~exists().where(schema.endpoints.c.url == bindparam("of_url"))),
    ),
    _Kind.CALL_DELETION: delete(schema.calls).where(schema.calls.c.id == bindparam("of_call")),
}


_COLUMNS: dict[_Kind, tuple[str, ...]] = {
    **{kind: row.__slots__ for row, kind in _INSERTED.items()},
    _Kind.EVENT: tuple(name for name in EventRow.__slots__ if name != "copy_url"),
    _Kind.COPY: ("event_id", "url", "state", "attempts"),
    _Kind.DELIVERY: tuple(name for name in AttemptRow.__slots__ if name not in _AFTER_ATTEMPT),
}
"""What the rows bring that are inserted as they are."""


class Statements:
    """What writes rows to one database.

    A statement takes half a millisecond to compile, so `prepare` does it before a call waits for it.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._prepared: dict[_Kind, Prepared] = {}

    def prepare(self) -> None:
        """Compile every statement; the database must have been connected to, for its version counts."""
        for kind in _Kind:
            self._of(kind)

    def execute(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Write `rows`; the caller owns the transaction."""
        parts: dict[_Kind, list[Parameters]] = {}
        for row in rows:
            for kind, parameters in _statements(row):
                parts.setdefault(kind, []).append(parameters)
        for kind in sorted(parts):
            self._of(kind).execute(connection, parts[kind])

    def _of(self, kind: _Kind) -> Prepared:
        if kind not in self._prepared:
            self._prepared[kind] = Prepared(_STATEMENTS[kind], self._dialect, _COLUMNS.get(kind, ()))
        return self._prepared[kind]


def _statements(row: Row) -> Iterable[tuple[_Kind, Parameters]]:
    match row:
        case CallRow() | TurnRow() | UtteranceRow() | AsideRow():
            return [(_INSERTED[type(row)], _values(row))]
        case LatencyRow():
            return [(_Kind.TURN_LATENCY, _latency(row))]
        case EventRow():
            return _event(row)
        case AttemptRow():
            return _attempt(row)
        case CallCourse():
            return [(_Kind.CALL_COURSE, {"of_call": row.id, "state": row.state, "course": row.course})]
        case CallEnd():
            values = _values(row)
            return [(_Kind.CALL_END, {"of_call": values.pop("id"), **values})]
        case EndpointStop() | EndpointResume():
            return [_endpoint(row)]
        case CallDeletion():
            return [(_Kind.CALL_DELETION, {"of_call": row.id})]


def _endpoint(row: EndpointStop | EndpointResume) -> tuple[_Kind, Parameters]:
    if isinstance(row, EndpointResume):
        return _Kind.ENDPOINT_RESUME, {"of_url": row.url}
    return _Kind.ENDPOINT_STOP, {"of_url": row.url, "at": row.stopped_at, "because": row.why}


def _latency(row: LatencyRow) -> Parameters:
    return {"of_call": row.call_id, "on_track": row.track, "of_number": row.number, "latency": row.latency}


def _event(row: EventRow) -> Iterator[tuple[_Kind, Parameters]]:
    values = _values(row)
    url = values.pop("copy_url")
    yield _Kind.EVENT, values
    if url is not None:
        yield _Kind.COPY, {"event_id": row.id, "url": url, "state": "pending", "attempts": 0}


def _attempt(row: AttemptRow) -> Iterator[tuple[_Kind, Parameters]]:
    if row.attempt:
        values = _values(row)
        yield _Kind.DELIVERY, {name: values[name] for name in _COLUMNS[_Kind.DELIVERY]}
    done_at = row.started_at + timedelta(milliseconds=row.ms)
    after = {
        "of_event": row.event_id,
        "attempt": row.attempt,
        "new_state": row.state,
        "next_at": row.next_attempt_at,
        "began_at": row.started_at,
        "done_at": done_at if row.state == "delivered" else None,
        "status": row.status,
        "error": row.error,
    }
    if row.copy_url is None:
        yield _Kind.EVENT_AFTER, after
    else:
        yield _Kind.COPY_AFTER, {**after, "of_url": row.copy_url}
    if row.state in _NOT_SENT_AGAIN:
        yield _Kind.EVENT_SPENT, {"of_event": row.event_id}


def _values(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
