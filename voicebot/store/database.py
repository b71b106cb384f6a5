"""Opens the database: driver, pragmas, migrations, and what its errors mean."""

import sqlite3
from contextlib import suppress

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from voicebot.errors import ConfigurationError, LocalProtocolError, PeerUnavailable, VoicebotError
from voicebot.store import shares

PEER = "store"
BUSY_TIMEOUT_S = 2
"""How long SQLite waits for somebody else's lock, unless the URL says otherwise (`?timeout=`)."""
MIGRATIONS = "voicebot.store:migrations"
# One thread writes and few read, so the plain drivers do; an asynchronous one would cost several thread hops a write.
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
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
CHECKPOINTS = 3
"""Passes of one checkpoint: what is committed during one is left for the next, and the log begins anew once all is copied."""


def open_engine(url: str) -> Engine:
    """Return an engine for `url`; raises ConfigurationError for a URL that cannot be used."""
    try:
        parsed = _plain(make_url(url))
        engine = create_engine(parsed, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(f"store.url: {_first_line(error)}") from None
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
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


def _plain(url: URL) -> URL:
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise ArgumentError(f"{backend} is not supported; use sqlite or postgresql")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ArgumentError("an SQLite database needs a file, as in sqlite:///voicebot.db")
    plain = url.set(drivername=_DRIVERS[backend])
    if backend == "sqlite" and "timeout" not in plain.query:
        return plain.update_query_dict({"timeout": str(BUSY_TIMEOUT_S)})
    return plain


def _set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    if isinstance(connection, sqlite3.Connection):
        shares.teach(connection)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
