"""Counts what one token, or one address, does in a minute, so that nobody does too much of it."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

WINDOW_S = 60.0
MAX_KEYS = 10_000
"""Addresses, or tokens, remembered; the one that was counted longest ago is forgotten first."""
IPV6_PREFIX = 64
"""One customer has so many addresses that only their network counts."""


class PerMinute:
    """What was counted in the last minute, by key; `clock` counts seconds and never goes back."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = per_minute, clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """Return how long this key must wait before its next one, in seconds; 0 is not at all."""
        began, count = self._counts.get(key, (0.0, 0))
        left = began + WINDOW_S - self._clock()
        return max(1, round(left)) if count >= self._most and left > 0 else 0

    def note(self, key: str) -> None:
        """Count one."""
        began, count = self._counts.pop(key, (self._clock(), 0))
        if self._clock() - began >= WINDOW_S:
            began, count = self._clock(), 0
        self._counts[key] = (began, count + 1)
        if len(self._counts) > MAX_KEYS:
            self._counts.popitem(last=False)


class Peers:
    """Says who asks, behind which proxies ever."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(network) for network in trusted]

    def address(self, peer: str, forwarded: str) -> str:
        """Return the address nearest to us that is no proxy of ours; `forwarded` is `X-Forwarded-For`."""
        hops = [*(hop.strip() for hop in forwarded.split(",")), peer]
        while len(hops) > 1 and self._is_proxy(hops[-1]) and _parsed(hops[-2]):
            hops.pop()
        found = _parsed(hops[-1])
        if isinstance(found, IPv6Address):
            return str(IPv6Network((found, IPV6_PREFIX), strict=False))
        return str(found) if found else ""

    def _is_proxy(self, hop: str) -> bool:
        address = _parsed(hop)
        return address is not None and any(address in network for network in self._trusted)


def _parsed(hop: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(hop)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
