"""The store's database: which URLs and files it takes, and that the migrations build what the code declares."""

import re
import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from voicebot.config import StoreSettings
from voicebot.errors import ConfigurationError, LocalProtocolError, PeerUnavailable
from voicebot.store import Store
from voicebot.store.database import MIGRATIONS, checkpoint, migrate, open_engine, translated
from voicebot.store.schema import metadata
from voicebot.store.search_index import is_of_index


def url(folder: object) -> str:
    return f"sqlite:///{folder}/calls.db"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param("nonsense", "Could not parse", id="no-url"),
        pytest.param("mysql+aiomysql://u:sesame@h/d", "mysql is not supported", id="another-database"),
        pytest.param("sqlite+aiosqlite://", "needs a file", id="memory"),
        pytest.param("sqlite:///:memory:", "needs a file", id="memory-by-name"),
    ],
)
async def test_a_bad_url_is_a_configuration_error(wrong, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        async with Store.open(StoreSettings(url=wrong)):
            pass
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"no database at all, but long enough to be looked at" * 100])
async def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "calls.db"
    path.write_bytes(content) if content else path.mkdir()
    with pytest.raises(PeerUnavailable, match="store: "):
        async with Store.open(StoreSettings(url=url(tmp_path))):
            pass


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(IntegrityError, LocalProtocolError, id="a-row-that-is-there"),
        pytest.param(DataError, LocalProtocolError, id="a-value-that-no-column-takes"),
        pytest.param(OperationalError, PeerUnavailable, id="no-disk"),
    ],
)
def test_what_an_error_of_the_database_means(fault, kind):
    assert type(translated(fault("insert", None, sqlite3.Error("why")))) is kind


# --- the schema ------------------------------------------------------------------------------------


def test_the_migrated_schema_is_the_declared_one(empty):
    engine = open_engine(empty.url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind not in {"table", "index"} or not is_of_index(name)},
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_how_sqlite_is_used(tmp_path):
    engine = open_engine(url(tmp_path))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 1
        assert connection.exec_driver_sql("pragma foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("pragma cache_size").scalar() == -512  # KiB: it counts for every process
        assert connection.exec_driver_sql("pragma wal_autocheckpoint").scalar() == 8_000
    engine.dispose()


# --- the log --------------------------------------------------------------------------------------


def note(engine, marker):
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into endpoints values (?, '2026-01-01', '')", (marker,))


def in_database(tmp_path, marker):
    return marker.encode() in (tmp_path / "calls.db").read_bytes()


def test_a_checkpoint_copies_the_log_and_lets_it_begin_anew(tmp_path):
    engine = open_engine(url(tmp_path))
    migrate(engine)
    checkpoint(engine)
    size = (tmp_path / "calls.db-wal").stat().st_size
    note(engine, "https://first.example")
    assert not in_database(tmp_path, "https://first.example")
    checkpoint(engine)
    assert in_database(tmp_path, "https://first.example")
    note(engine, "https://second.example")
    assert (tmp_path / "calls.db-wal").stat().st_size == size
    engine.dispose()


def test_a_checkpoint_waits_for_no_reader_and_no_writer(tmp_path):
    engine = open_engine(url(tmp_path))
    migrate(engine)
    with engine.connect() as reading:
        reading.exec_driver_sql("begin")
        assert reading.exec_driver_sql("select count(*) from calls").scalar() == 0
        note(engine, "https://first.example")
        with engine.connect() as writing:
            writing.exec_driver_sql("begin immediate")
            checkpoint(engine)
            writing.rollback()
        assert not in_database(tmp_path, "https://first.example"), "somebody still reads what was before"
        reading.rollback()
    checkpoint(engine)
    assert in_database(tmp_path, "https://first.example")
    engine.dispose()


def test_a_checkpoint_of_a_database_out_of_order_does_nothing(tmp_path):
    engine = open_engine(url(tmp_path))
    (tmp_path / "calls.db").write_bytes(b"no database" * 1_000)
    checkpoint(engine)
    engine.dispose()


# --- undoing ----------------------------------------------------------------------------------------


def go(engine, step, revision):
    chosen = Config()
    chosen.set_main_option("script_location", MIGRATIONS)
    with engine.begin() as connection:
        chosen.attributes["connection"] = connection
        step(chosen, revision)


def test_the_migrations_can_be_undone(empty):
    engine = open_engine(empty.url)
    migrate(engine)
    go(engine, command.downgrade, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


BODY = {"sqlite": "x'7b7d'", "postgresql": r"'\x7b7d'"}
FIRST = """
insert into calls (id, from_number, to_number, direction, mode, started_at, parameters)
    values ('CA1', '+15550101', '+15550100', 'inbound', 'bot', '2026-11-22 12:00:00', '{}');
insert into turns (call_id, track, number, text, translation, digits, reason, words)
    values ('CA1', 'caller', 1, 'words of old', '', '', 'endpoint', '[]');
insert into utterances (call_id, text, heard, unheard, ms, interrupted, started_at)
    values ('CA1', 'and so on', 'and so', ' on', 1, true, '2026-11-22 12:00:01');
insert into events (id, call_id, sequence, type, wants_reply, url, body, created_at, state, attempts)
    values ('evt_1', 'CA1', 1, 'turn.completed', true, 'https://app.example/', BODY, '2026-11-22 12:00:00', 'pending', 1);
insert into deliveries (event_id, attempt, started_at, ms) values ('evt_1', 1, '2026-11-22 12:00:00', 5);
"""


async def test_a_store_of_the_first_schema_is_taken_over(empty):
    engine = open_engine(empty.url)
    go(engine, command.upgrade, "0001")
    with engine.begin() as connection:
        for statement in FIRST.replace("BODY", BODY[empty.kind]).split(";")[:-1]:
            connection.exec_driver_sql(statement)
    engine.dispose()
    async with Store.open(StoreSettings(url=empty.url)) as store:
        kept = await store.history.call("CA1")
        assert (kept.turns[0].text, kept.turns[0].revision, kept.turns[0].entry) == ("words of old", 1, None)
        event = await store.outbox.event("evt_1")
        assert (event.body, event.copies, len(event.attempts)) == (b"{}", (), 1)
        for query, kind in (("old", "turn"), ("and", "utterance")):
            assert [hit.kind for hit in (await store.history.search(query)).items] == [kind]
    engine = open_engine(empty.url)
    go(engine, command.downgrade, "0001")
    with engine.connect() as connection:
        tables = ("calls", "turns", "utterances", "events", "deliveries")
        assert [connection.exec_driver_sql(f"select count(*) from {name}").scalar() for name in tables] == [1] * 5
    engine.dispose()


@pytest.mark.parametrize("table", ["turns", "endpoints", "utterances_words"])
def test_a_migration_that_is_cut_off_leaves_nothing_and_is_made_again(tmp_path, table):
    def cut(_connection, _cursor, statement, *_):
        if re.search(rf"CREATE (VIRTUAL )?TABLE {table}\b", statement):
            raise KeyboardInterrupt

    engine = open_engine(url(tmp_path))
    event.listen(engine, "before_cursor_execute", cut)
    with pytest.raises(KeyboardInterrupt):
        migrate(engine)
    assert inspect(engine).get_table_names() == []
    event.remove(engine, "before_cursor_execute", cut)
    migrate(engine)
    assert "endpoints" in inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_any_driver_of_sqlite_means_the_plain_one(tmp_path, driver):
    engine = open_engine(url(tmp_path).replace("sqlite", driver, 1))
    assert engine.url.drivername == "sqlite+pysqlite"
    engine.dispose()
