"""The actions of one reply on their way to be performed: they may still be arriving, and they may still be held back."""

from collections.abc import Iterable

from voicebot.core.actions import Action, Say
from voicebot.waiting import Flag


class Script:
    """Actions in order; who writes calls `add` and `end`, who performs awaits `next` and, before anything is heard, `released`."""

    def __init__(
        self, sequence: int, actions: Iterable[Action] = (), *, held: bool = False, ended: bool = True
    ) -> None:
        self.sequence = sequence
        """The event that was answered with it."""
        self._actions = list(actions)
        self._ended = ended
        self._bell = Flag()
        self.released = Flag()
        """Set once the caller may hear it: the reply to a provisional turn waits for the turn's end."""
        if not held:
            self.released.set()

    def add(self, actions: Iterable[Action]) -> None:
        """Append actions that have arrived."""
        self._actions.extend(actions)
        self._bell.set()

    def end(self) -> None:
        """Say that no more actions come."""
        self._ended = True
        self._bell.set()

    def clear(self) -> None:
        """Perform nothing more of it."""
        self._actions.clear()
        self.end()

    async def next(self) -> Action | None:
        """Wait for the next action; None when there are no more."""
        while not self._actions:
            if self._ended:
                return None
            self._bell.clear()
            await self._bell.wait()
        return self._actions.pop(0)

    def next_say(self) -> Say | None:
        """Take the next action if it is there and is speech."""
        first = self._actions[0] if self._actions else None
        if not isinstance(first, Say):
            return None
        del self._actions[0]
        return first

    def put_back(self, actions: Iterable[Action]) -> None:
        """Put actions that were not performed, or not to their end, in front of the others."""
        self._actions[:0] = actions
