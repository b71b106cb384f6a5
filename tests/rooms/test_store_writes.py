"""How rows become statements: prepared once, for each database in its own words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import StatementError

from voicebot.store import writes
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
from voicebot.store.schema import metadata
from voicebot.store.writes import Statements

POSTGRESQL = PGDialect(paramstyle="pyformat")
"""As psycopg has it, which need not be installed here."""
NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
CALL = CallRow(
    id="CA1", from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=NOW, parameters={"a": "ü"}
)
TURN = TurnRow(
    call_id="CA1",
    track="caller",
    number=1,
    text="Grüezi",
    translation="",
    digits="",
    reason="endpoint",
    started_at=NOW.astimezone(timezone(timedelta(hours=5))),
    ended_at=None,
    words=[{"text": "Grüezi"}],
)
EVENT = EventRow(
    id="evt_1",
    call_id="CA1",
    sequence=1,
    type="turn.completed",
    wants_reply=True,
    url="https://app.example/",
    body=b"{}",
    created_at=NOW,
    copy_url="https://second.example/",
)
ATTEMPT = AttemptRow(event_id="evt_1", attempt=1, started_at=NOW, ms=5, status=200, error=None, state="delivered")
COPIED = AttemptRow(
    event_id="evt_1", attempt=0, started_at=NOW, ms=0, status=None, error=None, state="dropped", copy_url="https://a/"
)
ROWS = (
    CALL,
    TURN,
    EVENT,
    ATTEMPT,
    COPIED,
    CallCourse(id="CA1", state=None, course={"a": 1}),
    CallEnd(id="CA1", ended_at=NOW, reason="caller", duration_ms=1),
    LatencyRow(call_id="CA1", number=1, latency={"decided_ms": 600}),
    UtteranceRow(call_id="CA1", text="a", heard="a", unheard="", ms=1, interrupted=False, started_at=NOW),
    AsideRow(call_id="CA1", kind="echo", text="a", at=NOW),
    EndpointStop(url="https://app.example/%", stopped_at=NOW, why="410"),
    EndpointResume("https://app.example/%"),
    CallDeletion("CA1"),
)


class Spy:
    """A connection that keeps what it is told."""

    def __init__(self):
        self.told = []

    def exec_driver_sql(self, sql, rows):
        self.told.append((sql, rows))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row).__name__}-{getattr(row, 'state', '')}")
def test_postgresql_gets_every_parameter_by_name(row):
    connection = Spy()
    Statements(POSTGRESQL).execute(connection, [row])
    assert connection.told
    for sql, (parameters,) in connection.told:
        assert sql % dict.fromkeys(parameters, ""), "no percent sign of ours is taken for a parameter"
        for name in parameters:
            assert f"%({name})s" in sql


@pytest.mark.parametrize("dialect", [POSTGRESQL, SQLiteDialect()], ids=lambda dialect: dialect.name)
def test_what_is_prepared_is_compiled_no_more(dialect, monkeypatch):
    unprepared, prepared, statements = Spy(), Spy(), Statements(dialect)
    Statements(dialect).execute(unprepared, ROWS)
    statements.prepare()
    monkeypatch.setattr(writes, "Prepared", None)
    statements.execute(prepared, ROWS)
    assert prepared.told == unprepared.told


def test_rows_of_a_kind_share_a_statement():
    connection = Spy()
    Statements(POSTGRESQL).execute(connection, [TURN, CALL, TURN, TURN])
    assert [len(rows) for _, rows in connection.told] == [1, 3], "the call comes first, its turns refer to it"


def test_values_are_kept_as_the_schema_says(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/calls.db")
    metadata.create_all(engine)
    with engine.connect() as connection:
        Statements(engine.dialect).execute(connection, ROWS[:6])
        for table, row in (("calls", CALL), ("turns", TURN), ("events", EVENT)):
            (kept,) = connection.execute(metadata.tables[table].select()).mappings()
            written = {name: getattr(row, name) for name in row.__slots__ if name in kept and name != "state"}
            assert {name: kept[name] for name in written} == written | ({"attempts": 1} if row is EVENT else {})
            assert kept.get("state") == {"calls": None, "events": "delivered"}.get(table)
    engine.dispose()


@pytest.mark.parametrize("wrong", [datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), NOW.replace(tzinfo=None)])
def test_a_value_that_cannot_be_kept_is_an_error_of_the_statement(wrong):
    row = AsideRow(call_id="CA1", kind="echo", text="a", at=wrong)
    with pytest.raises(StatementError):
        Statements(POSTGRESQL).execute(Spy(), [row])
