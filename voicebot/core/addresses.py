"""Which internet addresses are public, and which names of hosts are addresses in disguise."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_INSIDE: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("168.63.129.16/32"),  # answers only inside a cloud (Azure's wire server)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, withdrawn (RFC 7526)
    IPv6Network("::/96"),  # IPv4-compatible, withdrawn (RFC 4291, section 2.5.5.1)
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765, section 2.1)
    IPv6Network("fec0::/10"),  # site-local, withdrawn (RFC 3879)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
    IPv6Network("5f00::/16"),  # segment routing (RFC 9602)
)
"""Not public, although Python's registry of addresses says nothing against them."""
_NAT64 = IPv6Network("64:ff9b::/96")
# WHATWG URL, "ends in a number": such a host is an address or nothing; the C library reads 0177.1 and 0x7f.1 as 127.0.0.1.
_NUMERIC = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?")


def is_public(address: str) -> bool:
    """Say whether `address` is one of the open internet, also when it hides an IPv4 address inside an IPv6 one.

    Raises ValueError for what is no address.
    """
    ip = ip_address(address.partition("%")[0])
    inner = _inner(ip) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _INSIDE)


def literal_fault(host: str) -> str:
    """Say what is wrong with a host that is itself an address; empty for public ones, and for names."""
    try:
        return "" if is_public(host) else f"{host} is not a public address"
    except ValueError:
        disguised = ":" in host or _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2])
        return f"{host} is an address in disguise" if disguised else ""


def is_local_name(host: str) -> bool:
    """Say whether a name belongs to one machine or one network (RFC 6761, 6762, 8375; `internal` is ICANN's for this)."""
    last = host.rstrip(".").lower().rpartition(".")[2]
    return last in {"localhost", "local", "internal", "localdomain"} or host.rstrip(".").lower().endswith("home.arpa")


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
