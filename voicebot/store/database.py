"""Opens the database: driver, pragmas, migrations, and what its errors mean."""

import sqlite3
from contextlib import suppress
from importlib import import_module

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from voicebot.errors import ConfigurationError, LocalProtocolError, PeerUnavailable, VoicebotError
from voicebot.store import shares

PEER = "store"
BUSY_TIMEOUT_S = 2
"""How long SQLite waits for somebody else's lock, unless the URL says otherwise (`?timeout=`)."""
_MIGRATING = 0x766F6963
"""The advisory lock that a process takes while it changes PostgreSQL's schema; any number that nobody else takes."""
MIGRATIONS = "voicebot.store:migrations"
# One thread writes and few read, so the plain drivers do; an asynchronous one would cost several thread hops a write.
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_PARAMETERS = {
    "sqlite": {"timeout": str(BUSY_TIMEOUT_S)},
    # A server that is gone without a word, or behind a network that is, is noticed in seconds and not after libpq's
    # and the system's quarter of an hour (PostgreSQL, 34.1.2 Parameter Key Words; tcp_user_timeout is in ms).
    "postgresql": {
        "connect_timeout": "5",
        "tcp_user_timeout": "5000",
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "application_name": "voicebot",
    },
}
"""What the URL means unless it says otherwise."""
_PRAGMAS = (
    "journal_mode = WAL",
    # With WAL, NORMAL survives a killed process; only a power cut may take the last commits back.
    "synchronous = NORMAL",
    "foreign_keys = ON",
    # What is deleted is overwritten, not just given free.
    "secure_delete = ON",
    # Pages that a connection keeps, in KiB: with SQLite's own 2,000 neither rows are written nor words found faster in a
    # database of 40,000 turns; the system keeps the file in memory anyway.
    "cache_size = -512",
    # In pages of 4 KiB, eight times SQLite's own: `checkpoint` comes first, and this is what bounds the log without it.
    "wal_autocheckpoint = 8000",
)
_PASSING = ("08", "40", "57P")
"""The connection is gone, other transactions were in the way, the server goes down or comes up (PostgreSQL, Appendix A)."""
CHECKPOINTS = 3
"""Passes of one checkpoint: what is committed during one is left for the next, and the log begins anew once all is copied."""


def open_engine(url: str) -> Engine:
    """Return an engine for `url`; raises ConfigurationError for a URL that cannot be used."""
    try:
        parsed = _plain(make_url(url))
        sqlite = parsed.get_backend_name() == "sqlite"
        # Readers ask a server whether it is still there, for it may have been started anew since they came last.
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=not sqlite)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"store.url: {error}; install voicebot[postgresql]") from None
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigurationError(f"store.url: {_first_line(error)}") from None
    event.listen(engine, "connect", _set_pragmas if sqlite else import_module("voicebot.store.postgresql").prepare)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; raises PeerUnavailable when the database cannot be opened or changed."""
    settings = Config()
    settings.set_main_option("script_location", MIGRATIONS)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # The driver begins no transaction for CREATE TABLE, and a migration that is killed must leave nothing.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                # Several workers and machines may begin at once; the others find it done.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
    except SQLAlchemyError as error:
        raise translated(error) from error


def checkpoint(engine: Engine) -> None:
    """Copy what was committed from SQLite's log into the database, beside the writer; does nothing for others.

    Left to SQLite, the commit that makes the log too long would do it, and wait for the disk (SQLite, Write-Ahead Logging,
    3.2). Raises nothing: a database that is out of order shows in the next commit.
    """
    if engine.dialect.name != "sqlite":
        return
    with suppress(SQLAlchemyError), engine.connect() as connection:
        for _ in range(CHECKPOINTS):
            _, logged, copied = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
            if logged == copied:
                return


def translated(error: SQLAlchemyError) -> VoicebotError:
    """Return what a database error means to us: a row that we should not have written, or a database out of order."""
    text = _first_line(error.orig or error) if isinstance(error, DBAPIError) else _first_line(error)
    if isinstance(error, IntegrityError | DataError) or not isinstance(error, DBAPIError):
        return LocalProtocolError(f"{PEER} refused a row: {text}")
    return PeerUnavailable(PEER, text)


def passes(error: SQLAlchemyError) -> bool:
    """Say whether PostgreSQL may take a moment later what it did not take now, if it was not the commit that failed.

    SQLite waits by itself for whoever is in its way.
    """
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", "")
    return isinstance(error, OperationalError) if state is None else state.startswith(_PASSING)  # None: nobody answered


def _plain(url: URL) -> URL:
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise ArgumentError(f"{backend} is not supported; use sqlite or postgresql")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ArgumentError("an SQLite database needs a file, as in sqlite:///voicebot.db")
    return url.set(drivername=_DRIVERS[backend], query={**_PARAMETERS[backend], **url.query})


def _set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    if isinstance(connection, sqlite3.Connection):
        shares.teach(connection)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
