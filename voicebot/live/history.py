"""The live events of the last while, in the order of all and call by call."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import Struct

from voicebot.core.events import Track
from voicebot.live.packing import Kind, pack, unpack
from voicebot.wire.live_events import CallClosed, CallOpened, LiveEvent, Partial, TurnEnded

type Encode = Callable[[LiveEvent, datetime], bytes]

BATCH_EVENTS = 1_000
"""Most events handed over at once."""
KNOWN_EVENTS = 4_000
"""Events of a living call kept for those who come later; a call of two hours has fewer."""


class Entry(Struct, gc=False):
    """One published event; its JSON is made when somebody first wants it, and only once.

    That of partial words is not kept: they are most of what happens on a call, and nobody comes for old ones.
    `number` is its place in the order of all events of this process, from 1.
    """

    number: int
    call: str
    kind: Kind
    packed: bytes
    _json: bytes | None = None

    @property
    def event(self) -> LiveEvent:
        """What was published."""
        return unpack(self.kind, self.call, self.packed)[0]

    def json(self, encode: Encode) -> bytes:
        """Return it as one line of JSON."""
        if self._json is not None:
            return self._json
        event, at = unpack(self.kind, self.call, self.packed)
        line = encode(event, datetime.fromtimestamp(at, UTC))
        if self.kind is not Partial:
            self._json = line
        return line


@dataclass(slots=True)
class Batch:
    """Events that follow each other; watchers at the same place share one, and with it what it looks like on the wire."""

    after: int
    upto: int
    """Where it was asked to end."""
    last: int
    """Where it ends: before `upto` when there was too much for one batch."""
    entries: tuple[Entry, ...]
    text: bytes | None = None
    """What the doors make of it, once for all."""

    @property
    def closes(self) -> bool:
        """It holds the end of a call."""
        return any(entry.kind is CallClosed for entry in reversed(self.entries))


@dataclass(slots=True)
class Shelf:
    """Events in the order of all: those of one call, or all of them."""

    evicted: int = 0
    """The newest event that was here and is no more."""
    entries: deque[Entry] | list[Entry] = field(default_factory=deque[Entry])
    _last: Batch | None = None

    def evict(self) -> Entry:
        """Let the oldest event go."""
        entry = self.entries[0]
        del self.entries[0]
        self.evicted = entry.number
        return entry

    def leave_out(self, call: str) -> None:
        """Let the events of one call go."""
        self.entries = deque(entry for entry in self.entries if entry.call != call)
        self._last = None

    def batch(self, after: int, upto: int) -> Batch | None:
        """Return the next events after number `after` up to number `upto`, None when there are none."""
        if self._last and (self._last.after, self._last.upto) == (after, upto):
            return self._last
        found: list[Entry] = []
        for entry in reversed(self.entries):
            if entry.number <= after:
                break
            if entry.number <= upto:
                found.append(entry)
        if not found:
            return None
        chosen = tuple(found[: -BATCH_EVENTS - 1 : -1])
        last = upto if len(chosen) == len(found) else chosen[-1].number
        self._last = Batch(after, upto, last, chosen)
        return self._last


@dataclass(slots=True)
class CallShelf(Shelf):
    """The events of one call, and what is known of it as long as it lives and is remembered."""

    # Most calls have few events, and an empty deque takes as much as 80 of them in a list.
    entries: deque[Entry] | list[Entry] = field(default_factory=list[Entry])
    live: bool = False
    known: list[Entry] = field(default_factory=list[Entry])
    """All but partial words."""
    partials: dict[Track, Entry] = field(default_factory=dict[Track, Entry])
    """The open utterances."""
    missing: int = 0
    """Known events that had to make room."""

    def put(self, entry: Entry, event: LiveEvent) -> None:
        """Take the newest event."""
        self.entries.append(entry)
        match event:
            case Partial(track=track):
                self.partials[track] = entry
                return
            case TurnEnded(track=track):
                self.partials.pop(track, None)
            case CallOpened():
                self.live = True
            case CallClosed():
                self.live = False
                self.partials.clear()
            case _:
                pass
        self.known.append(entry)
        if len(self.known) > KNOWN_EVENTS:
            del self.known[0]
            self.missing += 1

    @property
    def so_far(self) -> tuple[Entry, ...]:
        """What is known, in order, with the words of the open utterances last."""
        return (*self.known, *self.partials.values())


class History:
    """Holds a bounded number of events; the oldest make room for the newest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.all = Shelf()
        self._calls: dict[str, CallShelf] = {}

    def put(self, number: int, at: float, event: LiveEvent) -> None:
        """Take the newest event; `at` is its time in seconds since 1970."""
        entry = Entry(number, event.call, type(event), pack(event, at))
        shelf = self._calls.get(event.call)
        if shelf is None:
            shelf = self._calls[event.call] = CallShelf(self.all.evicted)
        shelf.put(entry, event)
        self.all.entries.append(entry)
        if len(self.all.entries) > self._most:
            self._evict()

    def call(self, call: str) -> CallShelf | None:
        """Return the events of a call that lives or has not been forgotten yet."""
        return self._calls.get(call)

    def forget(self, call: str) -> None:
        """Let the events of a call go that is over; those of the others keep their numbers."""
        shelf = self._calls.get(call)
        if shelf is not None and not shelf.live:
            del self._calls[call]
            self.all.leave_out(call)

    def _evict(self) -> None:
        call = self.all.evict().call
        shelf = self._calls[call]
        shelf.evict()
        if not shelf.entries and not shelf.live:
            del self._calls[call]
