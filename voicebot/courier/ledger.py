"""Keeps events before they are sent and attempts after they were made, without ever holding up the call."""

import asyncio

import structlog

from voicebot.errors import VoicebotError
from voicebot.store import AttemptRow, EventRow, Store

STORE_WAIT_S = 1.0
"""How long an event waits for its commit; a store out of order costs durability, never the conversation."""
MAX_UNRECORDED = 1_000
"""Attempts of one call that wait for the store."""

log = structlog.get_logger("courier")


class Ledger:
    """The store as one call's courier uses it; `run` records attempts and needs an owner."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._attempts: asyncio.Queue[AttemptRow] = asyncio.Queue(MAX_UNRECORDED)

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

    def note(self, row: AttemptRow) -> None:
        """Have an attempt recorded soon; if it never is, the event is delivered once more some day."""
        try:
            self._attempts.put_nowait(row)
        except asyncio.QueueFull:
            log.warning(
                "webhook.attempt_not_recorded", event_id=row.event_id, attempt=row.attempt, why="too many are waiting"
            )

    def close(self) -> None:
        """Take no more attempts; `run` ends when those taken are recorded."""
        self._attempts.shutdown()

    async def run(self) -> None:
        """Record attempts one after the other until closed."""
        while True:
            try:
                row = await self._attempts.get()
            except asyncio.QueueShutDown:
                return
            why = ""
            try:
                async with asyncio.timeout(STORE_WAIT_S):
                    await self._store.record_attempt(row)
            except TimeoutError:
                why = f"the store took longer than {STORE_WAIT_S} s"
            except VoicebotError as error:
                why = str(error)
            if why:
                log.warning("webhook.attempt_not_recorded", event_id=row.event_id, attempt=row.attempt, why=why)
