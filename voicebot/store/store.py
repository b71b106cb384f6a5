"""The room that writes calls, turns and events, many at a time in one commit, and reads them back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import structlog
from sqlalchemy import Connection, Engine, RowMapping, Select, Table, select, update
from sqlalchemy.exc import SQLAlchemyError

from voicebot.config import StoreSettings
from voicebot.core.shares import Share
from voicebot.errors import PeerUnavailable, VoicebotError
from voicebot.metrics import Metrics
from voicebot.store import schema
from voicebot.store.database import PEER, checkpoint, migrate, open_engine, passes, translated
from voicebot.store.group_commit import Faults, GroupCommit, Told
from voicebot.store.history import History
from voicebot.store.outbox import Outbox
from voicebot.store.reader import Reader
from voicebot.store.rows import AsideRow, AttemptRow, CallDeletion, CallEnd, LatencyRow, UtteranceRow
from voicebot.store.search_index import tidy
from voicebot.store.writes import Row, Statements

HANGS_S = 3.0
"""A commit that takes longer is trouble; SQLite itself waits two seconds for somebody else's lock."""
LAZY = (UtteranceRow, LatencyRow, AsideRow, AttemptRow, CallEnd)
"""Nothing depends on them at once."""
CHECKPOINT_ROWS = 200
"""After so many rows what was committed is copied from SQLite's log: some thousand pages."""
WAY_S = 0.005
"""The loop gives way to a commit for so long at most; another database than SQLite does its work elsewhere."""
PATIENCE_S = 20.0
"""How long a commit waits for a PostgreSQL server that is started anew, or for another to take its place."""
AGAIN_S = 0.2
"""Time between two tries of it."""
RETRY_S = 1.0
"""Time between two tries whether a store that was out of order is in order again."""


class Store:
    """One writer, which gathers what is waiting into one commit; every write returns when it is committed.

    `run` is the writer and needs an owner. A write raises PeerUnavailable when the database is out of order, and
    LocalProtocolError when the database refuses this very row; other rows of the same commit are not touched by that.
    """

    def __init__(
        self,
        engine: Engine,
        settings: StoreSettings,
        metrics: Metrics | None = None,
        share: Share = Share(),  # noqa: B008 - frozen
    ) -> None:
        self._engine, self.share = engine, share
        self._metrics = metrics or Metrics()
        self._fault = ""
        # Before the process was started there may have been some; one worker looks.
        self._deletions = share.index == 0
        self._connection: Connection | None = None
        self._statements = Statements(engine.dialect)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="store-checkpoint")
        self._copying: Future[None] | None = None
        self._uncopied = 0
        self._group = GroupCommit(
            self._writer,
            self._commit,
            self._committed,
            most_rows=settings.group_commit_rows,
            max_pending=settings.max_pending,
            way_s=WAY_S if engine.dialect.name == "sqlite" else 0,
        )
        self._reader = Reader(engine)
        self.history = History(self._reader)
        self.outbox = Outbox(self._reader, share)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: StoreSettings,
        metrics: Metrics | None = None,
        share: Share = Share(),  # noqa: B008 - frozen
    ) -> AsyncIterator[Self]:
        """Open the database, bring its schema up to date, and close it at the end.

        `share` says which of the calls in it are looked after here, where several workers share the database.
        Raises ConfigurationError for a URL that cannot be used, PeerUnavailable for a database that cannot.
        """
        store = cls(open_engine(settings.url), settings, metrics, share)
        try:
            await _in_thread(store._writer, partial(migrate, store._engine))
            await _in_thread(store._writer, store._statements.prepare)
            yield store
        finally:
            store._writer.submit(store._disconnect)
            store._writer.shutdown()
            store._copier.shutdown()
            store._reader.close()
            store._engine.dispose()

    async def run(self) -> None:
        """Write until `close` was called and nothing is waiting."""
        await self._group.run()

    @property
    def trouble(self) -> str:
        """Why what is written now would not be kept: the last commit failed, or one hangs; empty when all is well."""
        since = self._group.committing_since
        if since is not None and asyncio.get_running_loop().time() - since > HANGS_S:
            return f"a commit takes longer than {HANGS_S:g} s"
        return self._fault

    async def watch(self) -> None:
        """While the store is in trouble, try again and again whether it still is; until cancelled."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self._fault:
                self._note([await _in_thread(self._writer, self._probe)])

    async def close(self) -> None:
        """Take no more writes, and return when those taken are committed."""
        await self._group.close()

    @property
    def waiting(self) -> int:
        """How many writes wait for their commit."""
        return self._group.waiting

    async def write(self, row: Row) -> None:
        """Keep something, and return when it is committed; LAZY rows wait up to LINGER_S for company."""
        await self._group.write(row, lazy=isinstance(row, LAZY))

    async def try_write(self, row: Row, within_s: float) -> VoicebotError | None:
        """Keep something; return what is wrong, after `within_s` that it takes so long: it may then be kept all the same."""
        try:
            async with asyncio.timeout(within_s):
                await self.write(row)
        except TimeoutError:
            return PeerUnavailable(PEER, f"took longer than {within_s:g} s")
        except VoicebotError as error:
            return error
        return None

    def leave(self, row: Row, told: Told) -> None:
        """Keep something that nobody waits for; `told` hears when it is committed, or why it is not.

        Takes any number: whoever leaves rows here bounds how many he has here.
        """
        self._group.leave(row, told, lazy=isinstance(row, LAZY))

    async def delete_call(self, call_id: str) -> None:
        """Delete a call with its turns, speech, events and deliveries; one that is not there is no error."""
        await self._group.write(CallDeletion(call_id))
        self._deletions = True

    def take_deletions(self) -> bool:
        """Say whether calls may have been deleted since this was asked for last."""
        deletions, self._deletions = self._deletions, False
        return deletions

    async def tidy_index(self) -> None:
        """Take the words of deleted rows out of the search index, in short steps; others write between two.

        Raises PeerUnavailable when the database is out of order.
        """
        begin = True
        while await _in_thread(self._writer, partial(self._tidy, begin=begin)):
            begin = False

    async def read(self, query: Select[Any]) -> Sequence[RowMapping]:
        """Return the rows of a query."""
        return await self._reader.rows(query)

    async def together[T](self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads over one connection."""
        return await self._reader.together(work)

    async def call(self, call_id: str) -> RowMapping | None:
        """Return the row of a call."""
        rows = await self.read(select(schema.calls).where(schema.calls.c.id == call_id))
        return rows[0] if rows else None

    async def turns(self, call_id: str) -> Sequence[RowMapping]:
        """Return the turns of a call in the order of writing."""
        return await self.read(_of_call(schema.turns, call_id).order_by(schema.turns.c.id))

    async def utterances(self, call_id: str) -> Sequence[RowMapping]:
        """Return what the bot said in a call, in the order of writing."""
        return await self.read(_of_call(schema.utterances, call_id).order_by(schema.utterances.c.id))

    async def events(self, call_id: str) -> Sequence[RowMapping]:
        """Return the events of a call by `sequence`."""
        return await self.read(_of_call(schema.events, call_id).order_by(schema.events.c.sequence))

    async def pending(self, call_id: str) -> Sequence[RowMapping]:
        """Return the events of a call that may still be delivered, by `sequence`."""
        query = _of_call(schema.events, call_id).where(schema.events.c.state == "pending")
        return await self.read(query.order_by(schema.events.c.sequence))

    async def deliveries(self, event_id: str) -> Sequence[RowMapping]:
        """Return the attempts to deliver an event, oldest first."""
        query = select(schema.deliveries).where(schema.deliveries.c.event_id == event_id)
        return await self.read(query.order_by(schema.deliveries.c.id))

    def _committed(self, faults: Faults) -> None:
        self._note(faults)
        self._metrics.store_failed.inc(len(faults) - faults.count(None))
        self._uncopied += len(faults)
        if self._uncopied >= CHECKPOINT_ROWS and (self._copying is None or self._copying.done()):
            self._uncopied, self._copying = 0, self._copier.submit(checkpoint, self._engine)

    def _note(self, faults: Faults) -> None:
        """Remember whether the database is in order; a row that it refuses says nothing about that."""
        lost = [fault for fault in faults if isinstance(fault, PeerUnavailable)]
        if bool(lost) != bool(self._fault):
            log = structlog.get_logger()
            if lost:
                log.error("store.out_of_order", error=str(lost[0]))
            else:
                log.info("store.in_order")
        self._fault = str(lost[0]) if lost else ""

    def _commit(self, rows: Sequence[Row]) -> Faults:
        """Write all rows in one transaction; when one is refused, each in its own, so that it fails alone."""
        began = time.perf_counter()
        fault = self._transaction(rows)
        self._metrics.store_commit.observe(time.perf_counter() - began)
        if fault is None or isinstance(fault, PeerUnavailable) or len(rows) == 1:
            return [fault] * len(rows)
        return [self._transaction([row]) for row in rows]

    def _probe(self) -> VoicebotError | None:
        """Write what is there already, where anything is: a database that only reads, or has no room, refuses it."""
        some = select(schema.calls.c.id).limit(1).scalar_subquery()
        try:
            with self._connected().begin():
                self._connected().execute(
                    update(schema.calls).where(schema.calls.c.id == some).values(mode=schema.calls.c.mode)
                )
        except SQLAlchemyError as error:
            return translated(error)
        return None

    def _tidy(self, *, begin: bool) -> bool:
        try:
            with self._connected().begin():
                return tidy(self._connected(), begin=begin)
        except SQLAlchemyError as error:
            raise translated(error) from error

    def _connected(self) -> Connection:
        """One connection for good: SQLAlchemy renews it by itself after it was lost."""
        self._connection = self._connection or self._engine.connect()
        return self._connection

    def _transaction(self, rows: Sequence[Row]) -> VoicebotError | None:
        """Write all rows or none. A server that was in order and is started anew is waited for, with what is to be written."""
        until = time.monotonic() + (0 if self._fault else PATIENCE_S)
        while True:
            committing = False
            try:
                with self._connected().begin():
                    self._statements.execute(self._connected(), rows)
                    committing = True  # if the connection is lost now, nobody knows whether they are kept
            except SQLAlchemyError as error:
                if committing or not passes(error) or time.monotonic() > until:
                    return translated(error)
                time.sleep(AGAIN_S)
            else:
                return None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


async def _in_thread[T](thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def _of_call(table: Table, call_id: str) -> Select[Any]:
    return select(table).where(table.c.call_id == call_id)
