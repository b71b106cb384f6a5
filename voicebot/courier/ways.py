"""Who may send to the application for a call: its lane before anybody else, and never two at a time."""

from collections.abc import Collection
from weakref import WeakValueDictionary

from voicebot.courier.flight import PATIENCE_S, Flight, now
from voicebot.waiting import Flag


class Way:
    """The way of one call: its lane claims it for as long as it has events under way, the background takes what is left.

    A claim ends when the store knows what became of the event, so whoever takes the way sees the truth there.
    """

    def __init__(self) -> None:
        self._claims = 0
        self._background: Flight | None = None
        self._free = Flag()
        self._free.set()

    @property
    def claimed(self) -> bool:
        """The lane has something to send, or to note."""
        return self._claims > 0

    def claim(self) -> None:
        """The lane has one more event; a request of the background has little time left."""
        self._claims += 1
        if self._background is not None:
            self._background.end_by(now() + PATIENCE_S, "superseded")

    def release(self) -> None:
        """The lane is through with one event."""
        self._claims = max(self._claims - 1, 0)

    def withdraw(self, sequence: int) -> None:
        """An event is taken back: a request of the background for it is cut."""
        if self._background is not None and self._background.item.sequence == sequence:
            self._background.end_by(now(), "withdrawn")

    def leave(self) -> None:
        """The lane is gone, whatever it had claimed."""
        self._claims = 0

    async def free(self) -> None:
        """Wait until no request of the background is under way."""
        await self._free.wait()

    def take(self, flight: Flight) -> bool:
        """Let the background send; False when the way is taken. What was taken must be given back."""
        if self._claims or self._background is not None:
            return False
        self._background = flight
        self._free.clear()
        return True

    def give_back(self) -> None:
        """The background's request is over."""
        self._background = None
        self._free.set()


class Ways:
    """The ways of all calls; one is kept for as long as somebody holds it."""

    def __init__(self) -> None:
        self._ways: WeakValueDictionary[str, Way] = WeakValueDictionary()

    def of(self, call_id: str) -> Way:
        """Return the way of a call."""
        way = self._ways.get(call_id)
        if way is None:
            way = self._ways[call_id] = Way()
        return way

    def claimed(self) -> Collection[str]:
        """Return the calls whose lanes have something under way."""
        return [call_id for call_id, way in self._ways.items() if way.claimed]
