"""Keeps events before they are sent and attempts after they were made, without ever holding up the call."""

from collections.abc import Callable

import structlog

from voicebot.errors import LocalProtocolError
from voicebot.store import AttemptRow, EndpointStop, EventRow, Row, Store, Tray

STORE_WAIT_S = 1.0
"""How long an event waits for its commit; a store out of order costs durability, never the conversation."""
MAX_UNRECORDED = 1_000
"""Attempts of one call that wait for the store."""

log = structlog.get_logger("courier")


class Ledger:
    """The store as one call's courier uses it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes = Tray(store, most=MAX_UNRECORDED)

    async def keep(self, row: EventRow) -> bool:
        """Commit an event before its first attempt; False (and logged) when the store did not take it in time."""
        fault = await self._store.try_write(row, STORE_WAIT_S)
        if fault is None:
            return True
        log.warning("webhook.not_stored", call=row.call_id, event_id=row.id, sequence=row.sequence, why=str(fault))
        return False

    def note(self, row: AttemptRow | EndpointStop) -> None:
        """Have something recorded soon; if an attempt never is, the event is delivered once more some day."""
        self._notes.leave(row, _not_recorded)

    def then(self, done: Callable[[], None]) -> None:
        """Call `done` once everything noted so far is recorded."""
        self._notes.then(done)

    async def recorded(self) -> None:
        """Return when everything noted is recorded; a store that hangs may still record it later."""
        await self._notes.emptied(STORE_WAIT_S)

    async def record(self, row: AttemptRow | EndpointStop) -> bool:
        """Record something now; False (and logged) when the store could not take it and may take it later."""
        fault = await self._store.try_write(row, STORE_WAIT_S)
        if fault is None:
            return True
        _not_recorded(row, str(fault))
        return isinstance(fault, LocalProtocolError)  # refused for good: the call was deleted meanwhile


def _not_recorded(row: Row, why: str) -> None:
    if isinstance(row, AttemptRow):
        log.warning("webhook.attempt_not_recorded", event_id=row.event_id, attempt=row.attempt, why=why)
    elif isinstance(row, EndpointStop):
        log.warning("webhook.stop_not_recorded", url=row.url, why=why)
