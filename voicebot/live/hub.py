"""The hub: every event once in, and from there to all who watch, without holding up a call."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Literal, NamedTuple

from voicebot.live.history import Batch, Encode, Entry, History, Shelf
from voicebot.wire.live_events import LiveEvent
from voicebot.wire.live_json import encode as encode_json

WOKEN_AT_ONCE = 25
"""Watchers woken in one step of the loop; between two steps the calls have their turn."""
REST_SHARE = 3
"""After waking everybody the hub rests so many times as long as that took: it never has more than a quarter of the loop."""
MAX_REST_S = 1.0
BOOT_BYTES = 4

type Resume = int | Literal["restart", "history"]
"""After which event to go on; or why that cannot be: the process is another one, or it has forgotten since."""


class SoFar(NamedTuple):
    """What is known of a call."""

    entries: tuple[Entry, ...]
    whole: bool
    """Nothing had to be left out."""
    live: bool


class Watcher:
    """One who watches; a slow one loses its place rather than being waited for."""

    def __init__(self, hub: "Live", shelf: Shelf, after: int) -> None:
        self._hub, self._shelf, self._after = hub, shelf, after
        self._until: int | None = None
        self._news: asyncio.Future[None] | None = None
        self.dropped = False
        """It fell so far behind that what comes next has been forgotten."""

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        while batch := await self.take():
            for entry in batch.entries:
                yield entry.event

    async def take(self) -> Batch | None:
        """Return the next events as soon as there are any; None at the end. Being cancelled loses none."""
        while True:
            upto = self._hub.visible if self._until is None else self._until
            if self._shelf.evicted > self._after:
                self.dropped = True
                return None
            if batch := self._shelf.batch(self._after, upto):
                self._after = batch.last
                return batch
            self._after = max(self._after, upto)
            if self._until is not None:
                return None
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None

    @property
    def waiting(self) -> bool:
        """It has had everything and waits for more."""
        return self._news is not None

    def wake(self) -> None:
        """There may be news."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def end(self) -> None:
        """Let it have what was published until now, and no more."""
        if self._until is None:
            self._until = self._hub.last
        self.wake()


class Live:
    """Where every event is published, numbered and kept for a while.

    `publish` appends to the history and, if somebody watches, asks for a round; it never waits, and what it costs does
    not depend on who watches. A round makes everything published so far visible and wakes the watchers, a few in each
    step of the loop. So many events that come close together are one write per watcher, and the more watchers there are,
    the more they share.
    """

    def __init__(
        self, history: int, *, boot: str = "", now: Callable[[], float] = time.time, encode: Encode = encode_json
    ) -> None:
        """Keep `history` events; `boot` names this run of the process in the ids of events."""
        self._boot = boot or secrets.token_hex(BOOT_BYTES)
        self._now, self._encode = now, encode
        self._history = History(history)
        self._watchers: dict[Watcher, str | None] = {}
        self._of_call: dict[str, dict[Watcher, None]] = {}
        self._of_all: dict[Watcher, None] = {}
        self._dirty: set[str] = set()
        self._round: asyncio.Handle | None = None
        self._rested_at = 0.0
        self.last = 0
        """Number of the newest event."""
        self.visible = 0
        """Number of the newest event that watchers are shown."""

    def watched(self, call: str) -> bool:
        """Somebody watches this call, or all of them: only then is a partial event worth making, and keeping."""
        return bool(self._of_all) or call in self._of_call

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def publish(self, event: LiveEvent) -> None:
        """Tell every watcher, soon and without waiting."""
        self.last += 1
        self._history.put(self.last, self._now(), event)
        if self._watchers:
            self._dirty.add(event.call)
            if self._round is None:
                self._ask_for_round()

    @contextmanager
    def watch(self, call: str | None = None, after: int | None = None) -> Iterator[Watcher]:
        """Watch one call or all; iterate over the watcher until it ends (`dropped` says that it was too slow).

        It is told everything published from now on, or from behind the event with number `after`. Leaving the `with` ends
        it once it has had what was published before. Raises KeyError for a call that is not known.
        """
        shelf: Shelf | None = self._history.all if call is None else self._history.call(call)
        if shelf is None:
            raise KeyError(call)
        if not self._watchers:
            self.visible = self.last
        watcher = Watcher(self, shelf, self.last if after is None else after)
        group = self._of_all if call is None else self._of_call.setdefault(call, {})
        self._watchers[watcher] = call
        group[watcher] = None
        try:
            yield watcher
        finally:
            del self._watchers[watcher], group[watcher]
            if call is not None and not group and self._of_call.get(call) is group:
                del self._of_call[call]
            watcher.end()

    # --- names and memory ---------------------------------------------------------------------------

    def id(self, number: int) -> str:
        """Return the name of an event, as `Last-Event-ID` brings it back."""
        return f"{self._boot}-{number}"

    def resume(self, id_: str, call: str | None = None) -> Resume:
        """Say where a reader goes on that has had everything up to the event `id_`, or why it cannot."""
        boot, _, written = id_.rpartition("-")
        if boot != self._boot or not (written.isascii() and written.isdigit()) or int(written) > self.last:
            return "restart"
        shelf = self._history.all if call is None else self._history.call(call)
        number = int(written)
        return number if shelf is not None and shelf.evicted <= number else "history"

    def json(self, entry: Entry) -> bytes:
        """Return the event as one line of JSON, made once for all."""
        return entry.json(self._encode)

    def so_far(self, call: str) -> SoFar | None:
        """Return what is known of a call that lives or ended not long ago, None for others."""
        shelf = self._history.call(call)
        return None if shelf is None else SoFar(shelf.so_far, not shelf.missing, shelf.live)

    def forget(self, call: str) -> None:
        """Forget what happened on a call that is over; one that lives is not forgotten."""
        self._history.forget(call)

    # --- rounds -------------------------------------------------------------------------------------

    def _ask_for_round(self) -> None:
        loop = asyncio.get_running_loop()
        self._round = (
            loop.call_soon(self._begin)
            if loop.time() >= self._rested_at
            else loop.call_at(self._rested_at, self._begin)
        )

    def _begin(self) -> None:
        self.visible = self.last
        dirty, self._dirty = self._dirty, set()
        groups = [self._of_all, *(self._of_call[call] for call in dirty if call in self._of_call)]
        waiting = iter([watcher for group in groups for watcher in group if watcher.waiting])
        self._wake(waiting, asyncio.get_running_loop().time())

    def _wake(self, waiting: Iterator[Watcher], began: float) -> None:
        """Wake some; whom this finds no one left has everybody written, and the rest begins."""
        loop = asyncio.get_running_loop()
        woken = 0
        for watcher in islice(waiting, WOKEN_AT_ONCE):
            watcher.wake()
            woken += 1
        if woken:
            self._round = loop.call_soon(self._wake, waiting, began)
            return
        self._round = None
        self._rested_at = loop.time() + min((loop.time() - began) * REST_SHARE, MAX_REST_S)
        if self.last > self.visible and self._watchers:
            self._ask_for_round()
