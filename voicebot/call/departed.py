"""Carrier calls of which the carrier has said that they are over: whatever still asks for them is no call."""

from collections import OrderedDict

REMEMBERED = 10_000
"""Calls remembered; the one that ended longest ago is forgotten first."""


class Departed:
    """A call that only left for elsewhere may come back under the same name, so that it is not enough to have known it."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, carrier_id: str) -> bool:
        return carrier_id in self._calls

    def add(self, carrier_id: str) -> None:
        """Note that this call is over."""
        self._calls[carrier_id] = None
        self._calls.move_to_end(carrier_id)
        if len(self._calls) > REMEMBERED:
            self._calls.popitem(last=False)
