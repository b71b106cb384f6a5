"""Reads from the database on threads of its own, so that reading never holds up the writer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine, Executable, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from voicebot.store.database import translated

READERS = 2
"""Threads that read; SQLite's readers do not hinder the writer (WAL)."""


class Reader:
    """Owns the reading threads; every read raises PeerUnavailable for a database out of order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    async def rows(self, query: Executable, **parameters: object) -> Sequence[RowMapping]:
        """Return all rows of one query."""
        return await self.together(lambda connection: connection.execute(query, parameters).mappings().all())

    async def together[T](self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads over one connection."""

        def read() -> T:
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                raise translated(error) from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    def close(self) -> None:
        """Wait for the reads under way."""
        self._threads.shutdown()
