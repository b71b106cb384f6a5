"""One timer for everything that becomes due on a call; it is not set anew whenever that moves further away."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` when the time that `due` gives (loop time, None for never) has come; `look` after it may have changed."""

    def __init__(self, due: Callable[[], float | None], ring: Callable[[], object]) -> None:
        self._due, self._ring = due, ring
        self._handle: asyncio.TimerHandle | None = None
        # What is due already makes uvloop return a handle that knows no time, so it is kept here.
        self._at = float("inf")

    def look(self) -> None:
        """Be set for what is due first."""
        at = self._due()
        if at is not None and (self._handle is None or at < self._at):
            self._set(at)

    def cancel(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self, at: float) -> None:
        self.cancel()
        self._handle, self._at = asyncio.get_running_loop().call_at(at, self._run_down), at

    def _run_down(self) -> None:
        self._handle = None
        at = self._due()
        if at is not None and at > asyncio.get_running_loop().time():
            self._set(at)
        elif at is not None:
            self._ring()
