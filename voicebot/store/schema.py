"""The tables: calls, what was said in them, the outbox of events and every attempt to deliver them."""

from datetime import UTC, datetime
from typing import override

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

ID_LENGTH = 64
"""Longest identifier of a call or an event."""

# Names for every constraint, so that a later migration can drop one by name on any database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept in UTC; SQLite has no zones, so they are put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant has a time zone")
        return None if value is None else value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


NULLABLE_JSON = JSON(none_as_null=True)
"""None is NULL, not the JSON value `null`."""


def _line(length: int) -> String:
    """A short text of usually no more than `length` characters. PostgreSQL would refuse a longer one with all its row."""
    return String(length).with_variant(Text(), "postgresql")


def _call_id() -> Column[str]:
    return Column("call_id", _line(ID_LENGTH), ForeignKey("calls.id", ondelete="CASCADE"), nullable=False)


def _event_id() -> Column[str]:
    return Column("event_id", _line(ID_LENGTH), ForeignKey("events.id", ondelete="CASCADE"), nullable=False)


calls = Table(
    "calls",
    metadata,
    Column("id", _line(ID_LENGTH), primary_key=True),
    Column("from_number", _line(100), nullable=False),
    Column("to_number", _line(100), nullable=False),
    Column("direction", _line(10), nullable=False),
    Column("mode", _line(10), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("state", JSON, nullable=True),
    Column("ended_at", Instant, nullable=True),
    Column("reason", _line(200), nullable=True),
    Column("duration_ms", Integer, nullable=True),
    Column("carrier_id", _line(ID_LENGTH), nullable=True),
    Column("course", NULLABLE_JSON, nullable=True),
    Index(None, "started_at"),
    Index(None, "ended_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    _call_id(),
    Column("track", _line(10), nullable=False),
    Column("number", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("translation", Text, nullable=False),
    Column("digits", _line(100), nullable=False),
    Column("reason", _line(20), nullable=False),
    Column("started_at", Instant, nullable=True),
    Column("ended_at", Instant, nullable=True),
    Column("words", JSON, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("entry", NULLABLE_JSON, nullable=True),
    Column("latency", NULLABLE_JSON, nullable=True),
    UniqueConstraint("call_id", "track", "number"),
)

utterances = Table(
    "utterances",
    metadata,
    Column("id", Integer, primary_key=True),
    _call_id(),
    Column("text", Text, nullable=False),
    Column("heard", Text, nullable=False),
    Column("unheard", Text, nullable=False),
    Column("ms", Integer, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("started_at", Instant, nullable=False),
    Index(None, "call_id"),
)

asides = Table(
    "asides",
    metadata,
    Column("id", Integer, primary_key=True),
    _call_id(),
    Column("kind", _line(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "call_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", _line(ID_LENGTH), primary_key=True),
    _call_id(),
    Column("sequence", Integer, nullable=False),
    Column("type", _line(40), nullable=False),
    Column("wants_reply", Boolean, nullable=False),
    Column("url", Text, nullable=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", _line(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant, nullable=True),
    Column("delivered_at", Instant, nullable=True),
    Column("last_status", Integer, nullable=True),
    Column("last_error", Text, nullable=True),
    Column("first_attempt_at", Instant, nullable=True),
    Column("ephemeral", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("call_id", "sequence"),
    Index(None, "state", "next_attempt_at"),
    Index(None, "created_at"),
)

copies = Table(
    "copies",
    metadata,
    Column("id", Integer, primary_key=True),
    _event_id(),
    Column("url", Text, nullable=False),
    Column("state", _line(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", Instant, nullable=True),
    Column("next_attempt_at", Instant, nullable=True),
    Column("delivered_at", Instant, nullable=True),
    Column("last_status", Integer, nullable=True),
    Column("last_error", Text, nullable=True),
    UniqueConstraint("event_id", "url"),
    Index(None, "state", "next_attempt_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    _event_id(),
    Column("copy_url", Text, nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ms", Integer, nullable=False),
    Column("status", Integer, nullable=True),
    Column("error", Text, nullable=True),
    Index(None, "event_id"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("url", Text, primary_key=True),
    Column("stopped_at", Instant, nullable=False),
    Column("why", Text, nullable=False),
)
