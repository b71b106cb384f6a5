"""An event that is being delivered, and the instants that end its attempts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import Literal

from opentelemetry.trace import Span

from voicebot.wire.webhook import WANTS_REPLY

type Ending = Literal["cancelled", "withdrawn", "superseded", "stopped"]
"""Why somebody else ended it.

Its reply is not wanted, the event itself was taken back, a newer one cannot wait, the service stops.
"""

PATIENCE_S = 0.25
"""How long an event that wants a reply waits for an older one; then that one is left for later."""
ENDINGS: dict[Ending, str] = {
    "cancelled": "the reply is no longer wanted",
    "withdrawn": "the event was taken back",
    "superseded": "an event that wants a reply was waiting",
    "stopped": "the service was stopping",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An event on its way: its bytes, and the loop time at which it was posted."""

    call_id: str
    event_id: str
    sequence: int
    event_type: str
    body: bytes
    queued_at: float
    parent: Span | None = None
    """The span that its requests belong to, where it is not the call's own."""

    @property
    def live(self) -> bool:
        """Somebody on the phone waits for the reply."""
        return self.event_type in WANTS_REPLY


class Flight:
    """One event over all its attempts; instants are loop times in seconds.

    Whoever delivers it sets a limit for each phase; whoever needs the way sets an end that holds for all of them, from
    another task and even before the phase begins.
    """

    def __init__(self, item: Item, *, closing: bool = False) -> None:
        self.item = item
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the first action of a streamed reply was handed over: from then on the event counts as answered."""
        self.late = False
        """The reply deadline is over: nothing of a reply is performed any more."""
        self._closing = closing
        self._limit = inf
        self._why = ""
        self._last = inf
        self._over = False
        self._ending: Ending = "superseded"
        self._timeout: asyncio.Timeout | None = None

    @property
    def ended(self) -> Ending | None:
        """Why somebody else has ended it, None as long as nobody has."""
        return self._ending if self._over or now() >= self._last else None

    @property
    def why(self) -> str:
        """What the limit that ended a phase stands for; may be empty."""
        return ENDINGS[self._ending] if self._last <= self._limit else self._why

    def limit(self, until: float, why: str = "") -> None:
        """Let the present phase last until then."""
        self._limit, self._why = until, why
        self._apply()

    def end_by(self, at: float, ending: Ending) -> None:
        """End it then at the latest; only an earlier end changes an end that was set before."""
        if at < self._last:
            self._last, self._ending = at, ending
            self._apply()

    def begin(self) -> None:
        """The first action of a streamed reply is being handed over."""
        self.begun.set_result(None)
        if self._closing:
            self.end_by(now(), "cancelled")

    def close(self) -> None:
        """The call is over: a streamed reply ends at once, now or when it begins."""
        self._closing = True
        if self.begun.done():
            self.end_by(now(), "cancelled")

    async def wait(self, seconds: float) -> None:
        """Wait between two attempts, or until somebody ends it."""
        self.limit(now() + seconds)
        with suppress(TimeoutError):
            async with self.bounded():
                await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Raise TimeoutError out of the block at the limit or the end, wherever they are moved meanwhile."""
        timeout = self._timeout = asyncio.timeout_at(min(self._limit, self._last))
        try:
            async with timeout:
                yield
        finally:
            self._timeout = None
            # A timer may fire a hair before its instant.
            self._over = self._over or (timeout.expired() and self._last <= self._limit)

    def _apply(self) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(min(self._limit, self._last))


def now() -> float:
    """Return the loop time in seconds."""
    return asyncio.get_running_loop().time()
