"""Connections to addresses that somebody else names: only to the open internet, and only where the check has looked."""

import socket
from collections.abc import Collection
from typing import override

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from voicebot.core.addresses import is_public, literal_fault

type AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str | int, ...]]
"""As `socket.getaddrinfo` returns them."""


class AddressRefused(ValueError):  # noqa: N818 - it is an answer, not a fault
    """Its text says which host leads to which address."""


def check_url(url: URL, ports: Collection[int]) -> None:
    """Raise AddressRefused for what is no http(s) URL, an address that is not public, or none of `ports`.

    Without `ports` any will do. Names are the resolver's business. To be called for each redirect anew.
    """
    host = url.raw_host
    if url.scheme not in {"http", "https"} or not host:
        raise AddressRefused("only http:// and https:// URLs are fetched")
    if fault := literal_fault(host):
        raise AddressRefused(fault)
    if ports and url.port not in ports:
        raise AddressRefused(f"port {url.port} is none of those that are fetched from")


def guarded_connector(limit: int) -> aiohttp.TCPConnector:
    """Return a connector that reaches public addresses only, with at most `limit` connections.

    What a name leads to is looked up once for each connection, which goes to that very address: a name that leads
    elsewhere a moment later (DNS rebinding) changes nothing. The address is checked again as the socket is made.
    """
    return aiohttp.TCPConnector(
        resolver=PublicResolver(), use_dns_cache=False, limit=limit, socket_factory=_public_socket
    )


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


def _public_socket(info: AddressInfo) -> socket.socket:
    """The last look, whatever has happened on the way here."""
    family, kind, protocol, _, address = info
    try:
        public = is_public(str(address[0]))
    except ValueError:
        public = False
    if not public:
        raise AddressRefused(f"{address[0]} is not a public address")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)  # noqa: FBT003 - as the standard library has it
    return made
