"""Keeps events before they are sent and attempts after they were made, without ever holding up the call."""

import asyncio
from collections.abc import Callable

import structlog

from voicebot.errors import LocalProtocolError, VoicebotError
from voicebot.store import AttemptRow, EndpointStop, EventRow, Store
from voicebot.waiting import Queue

STORE_WAIT_S = 1.0
"""How long an event waits for its commit; a store out of order costs durability, never the conversation."""
MAX_UNRECORDED = 1_000
"""Attempts of one call that wait for the store."""

type _Note = AttemptRow | EndpointStop | Callable[[], None]

log = structlog.get_logger("courier")


class Ledger:
    """The store as one call's courier uses it; `run` records attempts and needs an owner."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes: Queue[_Note] = Queue(MAX_UNRECORDED)

    async def keep(self, row: EventRow) -> bool:
        """Commit an event before its first attempt; False (and logged) when the store did not take it in time."""
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                await self._store.put_event(row)
        except TimeoutError:
            why = f"the store took longer than {STORE_WAIT_S} s"
        except VoicebotError as error:
            why = str(error)
        else:
            return True
        log.warning("webhook.not_stored", call=row.call_id, event_id=row.id, sequence=row.sequence, why=why)
        return False

    def note(self, row: AttemptRow | EndpointStop) -> None:
        """Have something recorded soon; if an attempt never is, the event is delivered once more some day."""
        try:
            self._notes.put_nowait(row)
        except asyncio.QueueFull:
            _not_recorded(row, "too many are waiting")

    def then(self, done: Callable[[], None]) -> None:
        """Call `done` once everything noted so far is recorded."""
        try:
            self._notes.put_nowait(done)
        except asyncio.QueueFull:
            done()

    def close(self) -> None:
        """Take no more notes; `run` ends when those taken are recorded."""
        self._notes.shutdown()

    async def run(self) -> None:
        """Record one note after the other until closed."""
        while True:
            try:
                note = await self._notes.get()
            except asyncio.QueueShutDown:
                return
            if isinstance(note, AttemptRow | EndpointStop):
                await self.record(note)
            else:
                note()

    async def record(self, row: AttemptRow | EndpointStop) -> bool:
        """Record something now; False (and logged) when the store could not take it and may take it later."""
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                if isinstance(row, AttemptRow):
                    await self._store.record_attempt(row)
                else:
                    await self._store.stop_endpoint(row)
        except TimeoutError:
            _not_recorded(row, f"the store took longer than {STORE_WAIT_S} s")
        except LocalProtocolError as error:
            _not_recorded(row, str(error))  # refused for good: the call was deleted meanwhile
            return True
        except VoicebotError as error:
            _not_recorded(row, str(error))
        else:
            return True
        return False


def _not_recorded(row: AttemptRow | EndpointStop, why: str) -> None:
    if isinstance(row, AttemptRow):
        log.warning("webhook.attempt_not_recorded", event_id=row.event_id, attempt=row.attempt, why=why)
    else:
        log.warning("webhook.stop_not_recorded", url=row.url, why=why)
