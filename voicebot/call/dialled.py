"""Calls that the service has dialled and that nobody has answered yet."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from voicebot.core.shares import Share
from voicebot.store import CallEnd, CallRow, Store

MOST = 10_000
"""Calls that ring at a time; the oldest is forgotten first."""
FORGOTTEN_AFTER = timedelta(minutes=15)
"""The carrier lets it ring for ten minutes at most (Twilio, calls resource, `Timeout`), and then says so."""
TICKET_BYTES = 18
MAX_INDEX_DIGITS = 4
TICKET = "dial"
"""The parameter in the URL by which a dialled call is known, before the carrier has named it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """A call that rings."""

    to: str
    from_: str
    mode: Literal["bot", "transcribe"]
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    started_at: datetime
    carrier_id: str = ""
    """Twilio's CallSid, once the order is taken."""


class Dialled:
    """Knows dialled calls by their ticket until they are answered, or are over without that."""

    def __init__(self, store: Store, share: Share = Share()) -> None:  # noqa: B008 - frozen
        self._store, self._share = store, share
        self._ringing: OrderedDict[str, Dialling] = OrderedDict()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        """How many calls ring, or are about to: each holds the place that it will take when it is answered."""
        self._forget_old()
        return len(self._ringing)

    async def wait_none(self) -> None:
        """Wait until no call rings."""
        while len(self):
            try:
                async with asyncio.timeout(FORGOTTEN_AFTER.total_seconds()):
                    await self._none.wait()
            except TimeoutError:
                pass  # what is so old is forgotten

    def begin(
        self, to: str, from_: str, mode: Literal["bot", "transcribe"], parameters: Mapping[str, str]
    ) -> tuple[str, Dialling]:
        """Note a call that is about to be dialled; return its ticket, for the URLs that the carrier is told."""
        self._forget_old()
        ticket = f"{self._share.index}.{secrets.token_urlsafe(TICKET_BYTES)}"
        self._ringing[ticket] = Dialling(
            to=to, from_=from_, mode=mode, parameters=dict(parameters), started_at=datetime.now(UTC)
        )
        self._none.clear()
        return ticket, self._ringing[ticket]

    def named(self, ticket: str, carrier_id: str) -> None:
        """Note the carrier's name of a call; it may have been answered before we were told."""
        if ticket in self._ringing:
            self._ringing[ticket] = replace(self._ringing[ticket], carrier_id=carrier_id)

    def refused(self, ticket: str) -> None:
        """The carrier has not taken the order."""
        self._take(ticket)

    def answered(self, ticket: str) -> Dialling | None:
        """The person has answered; return the call, whose place is free now, or None when no such call rings."""
        return self._take(ticket)

    def abroad(self, ticket: str) -> int | None:
        """Return which other worker has dialled the call of this ticket, None when it is known here or nowhere."""
        index, _, _ = ticket.partition(".")
        known = ticket in self._ringing or not (index.isascii() and index.isdigit() and len(index) <= MAX_INDEX_DIGITS)
        return None if known or not self._share.index != int(index) < self._share.of else int(index)

    def give(self, ticket: str) -> Dialling | None:
        """Let another worker have the call of this ticket: the carrier has named it, and by its name it is theirs."""
        return self._take(ticket)

    def take(self, ticket: str, dialling: Dialling) -> None:
        """Take a call from the worker that has dialled it."""
        self._ringing[ticket] = dialling
        self._none.clear()

    async def unanswered(self, ticket: str, carrier_id: str, status: str) -> None:
        """The call is over and nobody has answered: keep that; `status` is the carrier's word.

        Raises PeerUnavailable when the store is out of order.
        """
        dialling = self._take(ticket)
        if dialling is None:
            return
        now = datetime.now(UTC)
        row = CallRow(
            id=carrier_id,
            from_number=dialling.from_,
            to_number=dialling.to,
            direction="outbound",
            mode=dialling.mode,
            started_at=dialling.started_at,
        )
        await self._store.write(row)
        ms = (now - dialling.started_at) // timedelta(milliseconds=1)
        await self._store.write(CallEnd(id=carrier_id, ended_at=now, reason=status, duration_ms=ms))

    def ringing(self) -> tuple[Dialling, ...]:
        """Return the calls that ring, the oldest first."""
        self._forget_old()
        return tuple(dialling for dialling in self._ringing.values() if dialling.carrier_id)

    def by_id(self, carrier_id: str) -> Dialling | None:
        """Return the call of this name that rings."""
        return next((each for each in self.ringing() if each.carrier_id == carrier_id), None)

    def _take(self, ticket: str) -> Dialling | None:
        dialling = self._ringing.pop(ticket, None)
        self._tell()
        return dialling

    def _tell(self) -> None:
        if not self._ringing:
            self._none.set()

    def _forget_old(self) -> None:
        oldest = datetime.now(UTC) - FORGOTTEN_AFTER
        while self._ringing and (len(self._ringing) > MOST or next(iter(self._ringing.values())).started_at < oldest):
            self._ringing.popitem(last=False)
        self._tell()
