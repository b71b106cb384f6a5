"""Where public addresses really are, and the connection overrides Twilio takes from a URL's fragment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

_PORTS: Final[Mapping[str, int]] = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SECURE: Final = frozenset({"https", "wss"})
_MS: Final = 1000.0
#: Most retries Twilio makes of one webhook.
MAX_RETRIES: Final = 5


class RouteError(ValueError):
    """An address that cannot be used as one."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where to connect for a URL: host, port, whether through TLS, and the name to ask for."""

    host: str
    port: int
    secure: bool
    authority: str

    def http_url(self, path_and_query: str) -> str:
        """The URL that reaches this place over HTTP."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{path_and_query}"


class Routes:
    """Maps public origins (`https://voice.example.com`) to local ones (`http://127.0.0.1:8080`)."""

    def __init__(self, connect_to: Mapping[str, str]) -> None:
        self._routes = {_origin(public): _origin(local) for public, local in connect_to.items()}

    def locate(self, url: str) -> Located:
        """Where the address of a http(s) or ws(s) URL really is; raises `RouteError` for what is no such URL."""
        secure, host, port = _origin(url)
        parts = urlsplit(url)
        authority = parts.netloc.rsplit("@", 1)[-1]
        real_secure, real_host, real_port = self._routes.get((secure, host, port), (secure, host, port))
        return Located(real_host, real_port, real_secure, authority)


@dataclass(frozen=True, slots=True)
class Overrides:
    """How a webhook is connected: seconds to connect, to read and in all, retries and what is retried.

    Twilio, "Webhook connection overrides": `#ct=2000&rt=5000&tt=10000&rc=2&rp=ct,rt,5xx`, in milliseconds.
    """

    connect_s: float
    read_s: float
    total_s: float
    retries: int = 1
    retried: frozenset[str] = frozenset({"ct"})

    def from_fragment(self, url: str) -> Self:
        """These values with what the URL's fragment overrides; numbers it cannot read are left as they are."""
        given = dict(parse_qsl(urlsplit(url).fragment))
        numbers = {key: int(value) for key, value in given.items() if value.isdigit()}
        return replace(
            self,
            connect_s=numbers.get("ct", self.connect_s * _MS) / _MS,
            read_s=numbers.get("rt", self.read_s * _MS) / _MS,
            total_s=numbers.get("tt", self.total_s * _MS) / _MS,
            retries=min(MAX_RETRIES, numbers.get("rc", self.retries)),
            retried=frozenset(given["rp"].split(",")) if "rp" in given else self.retried,
        )

    def retries_on(self, kind: str) -> bool:
        """Whether a failure of this kind (`ct`, `rt`, `4xx`, `5xx`) is tried again."""
        return kind in self.retried or "all" in self.retried


def without_fragment(url: str) -> str:
    """The URL as it goes out."""
    return urlsplit(url)._replace(fragment="").geturl()


def path_and_query(url: str) -> str:
    """The part of a URL that goes into the request line."""
    parts = urlsplit(url)
    return urlunsplit(SplitResult("", "", parts.path or "/", parts.query, ""))


def _origin(url: str) -> tuple[bool, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RouteError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise RouteError(f"{url!r} is not an absolute http, https, ws or wss URL")
    return parts.scheme in _SECURE, parts.hostname, port or _PORTS[parts.scheme]
