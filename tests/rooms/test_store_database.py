"""The store's database: which URLs and files it takes, and that the migrations build what the code declares."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from voicebot.config import StoreSettings
from voicebot.errors import ConfigurationError, PeerUnavailable
from voicebot.store import Store
from voicebot.store.database import MIGRATIONS, migrate, open_engine
from voicebot.store.schema import metadata


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


# --- the schema ------------------------------------------------------------------------------------


def test_the_migrated_schema_is_the_declared_one(tmp_path):
    engine = open_engine(url(tmp_path))
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 1
        assert connection.exec_driver_sql("pragma foreign_keys").scalar() == 1
    engine.dispose()


def test_the_migrations_can_be_undone(tmp_path):
    engine = open_engine(url(tmp_path))
    migrate(engine)
    chosen = Config()
    chosen.set_main_option("script_location", MIGRATIONS)
    with engine.begin() as connection:
        chosen.attributes["connection"] = connection
        command.downgrade(chosen, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_postgresql_can_have_the_schema(table):
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_any_driver_of_sqlite_means_the_plain_one(tmp_path, driver):
    engine = open_engine(url(tmp_path).replace("sqlite", driver, 1))
    assert engine.url.drivername == "sqlite+pysqlite"
    engine.dispose()
