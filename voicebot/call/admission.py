"""Whether a further call is taken, and if not, why."""

from collections.abc import Callable
from typing import Literal

from voicebot.config import LimitSettings
from voicebot.errors import VoicebotError
from voicebot.pressure import Pressure
from voicebot.store import Store

type Why = Literal["busy", "draining", "overloaded", "memory", "rate", "store"]
"""The label of `voicebot_refused`, and the kind of the API's problem."""


class Busy(VoicebotError):  # noqa: N818 - a state, not a fault
    """No further call is taken now; the text says why to the operator."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why: Why = why


class Admission:
    """Protects the calls that run from those that come; `now` is a clock in seconds."""

    def __init__(self, limits: LimitSettings, pressure: Pressure, store: Store, now: Callable[[], float]) -> None:
        self._limits, self._pressure, self._store, self._now = limits, pressure, store, now
        self._left = float(limits.calls_burst)
        """How many calls may come at once."""
        self._left_at = float("-inf")
        self.draining = False

    def state(self, calls: int) -> Busy | None:
        """Say why no call is taken beside `calls` others, or None."""
        limits, pressure = self._limits, self._pressure
        if self.draining:
            return Busy("draining", "draining")
        if calls >= limits.max_calls:
            return Busy("busy", f"full: {calls} calls")
        if limits.require_store and (trouble := self._store.trouble):
            return Busy("store", f"store: {trouble}")
        if pressure.memory and calls:
            # Without a call there is nothing to protect, and what is held then may never be given back.
            return Busy("memory", f"memory: {pressure.memory}")
        if pressure.lag:
            return Busy("overloaded", f"overloaded: {pressure.lag}")
        return None

    def admit(self, calls: int) -> None:
        """Take one more call beside `calls` others; raises Busy when it may not come."""
        if refusal := self.state(calls):
            raise refusal
        rate = self._limits.calls_per_second
        if not rate:
            return
        now = self._now()
        self._left = min(self._limits.calls_burst, self._left + rate * max(0.0, now - self._left_at))
        self._left_at = now
        if self._left < 1:
            raise Busy("rate", f"more than {rate:g} new calls a second")
        self._left -= 1
