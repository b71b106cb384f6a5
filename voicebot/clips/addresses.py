"""Which addresses a URL that somebody else names may lead to, and a resolver that keeps to it."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import override

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# Addresses that look public but answer only inside a cloud (Azure's wire server).
INSIDE_CLOUDS = {IPv4Address("168.63.129.16")}
NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(ValueError):  # noqa: N818 - it is an answer, not a fault
    """Its text says which host leads to which address."""


def is_public(address: str) -> bool:
    """Say whether `address` is one of the open internet, also when it hides an IPv4 address inside an IPv6 one."""
    ip = ip_address(address.partition("%")[0])
    inner = _inner(ip) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and ip not in INSIDE_CLOUDS


def check_literal(host: str) -> None:
    """Raise AddressRefused if `host` is itself an address and not a public one; names are the resolver's business."""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise AddressRefused(f"{host} is not a public address")


class PublicResolver(AbstractResolver):
    """Leaves out what is not public; the connection goes to what is left and is not resolved again."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            addresses = ", ".join(result["host"] for result in found) or "no address"
            raise AddressRefused(f"{host} leads to {addresses}, which is not public")
        return public

    @override
    async def close(self) -> None:
        await self._resolver.close()


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
