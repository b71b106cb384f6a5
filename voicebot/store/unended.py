"""Reads calls that have no end: an earlier process has left them behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pydantic import JsonValue
from sqlalchemy import Connection, func, select

from voicebot.store.history import one_call
from voicebot.store.records import CallRecord
from voicebot.store.schema import calls, events
from voicebot.store.store import Store

NEWEST = 5
"""So many of a call's newest events are read: a turn is told before it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvent:
    """An event; the body is empty where it may not be kept."""

    type: str
    sequence: int
    body: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnendedCall:
    """Everything kept of a call that has no end."""

    carrier_id: str
    record: CallRecord
    course: dict[str, JsonValue]
    counts: dict[str, int]
    """How many events of each type there were."""
    newest: tuple[KeptEvent, ...]
    """Its newest events, the oldest of them first."""

    @property
    def sequence(self) -> int:
        """The number of its last event, 0 before the first."""
        return self.newest[-1].sequence if self.newest else 0


async def unended_ids(store: Store) -> Sequence[tuple[str, str]]:
    """Return (id, carrier id) of all calls without an end, the oldest first; raises PeerUnavailable.

    Calls from before carrier ids were kept are left out: nobody knows what became of them.
    """
    query = select(calls.c.id, calls.c.carrier_id).where(calls.c.ended_at.is_(None), calls.c.carrier_id.is_not(None))
    return [(row["id"], row["carrier_id"]) for row in await store.read(query.order_by(calls.c.started_at, calls.c.id))]


async def unended_call(store: Store, call_id: str) -> UnendedCall | None:
    """Return what is kept of a call, None when it has an end or is not there; raises PeerUnavailable."""
    return await store.together(partial(_call, call_id))


def _call(call_id: str, connection: Connection) -> UnendedCall | None:
    query = select(calls.c.carrier_id, calls.c.course, calls.c.ended_at).where(calls.c.id == call_id)
    found = connection.execute(query).mappings().one_or_none()
    record = one_call(call_id, connection)
    if found is None or record is None or found["ended_at"] is not None:
        return None
    of_call = events.c.call_id == call_id
    counted = select(events.c.type, func.count()).where(of_call).group_by(events.c.type)
    newest = (
        select(events.c.type, events.c.sequence, events.c.body, events.c.created_at)
        .where(of_call)
        .order_by(events.c.sequence.desc())
        .limit(NEWEST)
    )
    return UnendedCall(
        carrier_id=found["carrier_id"] or call_id,
        record=record,
        course=found["course"] or {},
        counts={row[0]: row[1] for row in connection.execute(counted)},
        newest=tuple(KeptEvent(**row) for row in reversed(connection.execute(newest).mappings().all())),
    )
