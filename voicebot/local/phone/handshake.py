"""Opening a media stream's WebSocket with exactly the headers Twilio sends."""

import asyncio
import ipaddress
import socket
import ssl
from typing import Final, override
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from voicebot.local.phone.codes import (
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    HANDSHAKE_FAILED,
    MALFORMED_URL,
    SCHEME_NOT_WSS,
)
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.routes import Located, RouteError, Routes
from voicebot.local.phone.signing import Signer
from voicebot.local.phone.tls import trusting

USER_AGENT: Final = "Twilio.TmeWs/1.0"
#: Largest message taken from the service, in bytes; Twilio documents no limit.
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024

#: What the kernel may hold of what we send, in bytes.
SEND_BUFFER_BYTES: Final = 64 * 1024


class StreamFailure(Exception):  # noqa: N818 - an outcome of the service's, not an error of ours
    """A stream that could not be opened; `code` is Twilio's, `status` the answer's if there was one."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class _ConnectOnce(connect):
    """The library's client without redirects: Twilio takes nothing but 101 (error 31920)."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(url: str, options: CallOptions, signer: Signer, routes: Routes) -> ClientConnection:
    """Open the socket of a `<Stream url>`; raises `StreamFailure` with Twilio's code.

    Headers as captured from live calls: no extension, no subprotocol, no Origin; a query string is dropped.
    """
    place = _locate(url, routes)
    secure = place.secure
    try:
        connection = await _ConnectOnce(
            f"{'wss' if secure else 'ws'}://{place.authority}{urlsplit(url).path or '/'}",
            host=place.host,
            port=place.port,
            ssl=await asyncio.to_thread(trusting, options.ca_file) if secure else None,
            compression=None,
            proxy=None,
            user_agent_header=USER_AGENT,
            additional_headers=_headers(url, options, signer),
            open_timeout=options.limits.handshake_s,
            ping_interval=None,
            close_timeout=options.limits.close_s,
            max_size=MAX_MESSAGE_BYTES,
        )
    except TimeoutError as error:
        message = f"{url}: no answer to the handshake within {options.limits.handshake_s:g} s"
        raise StreamFailure(CONNECT_TIMEOUT, message) from error
    except InvalidStatus as error:
        status = error.response.status_code
        message = f"{url}: the handshake was answered with HTTP {status} instead of 101"
        raise StreamFailure(HANDSHAKE_FAILED, message, status) from error
    except (InvalidHandshake, ssl.SSLError) as error:
        raise StreamFailure(HANDSHAKE_FAILED, f"{url}: the handshake failed: {error}") from error
    except InvalidURI as error:
        raise StreamFailure(MALFORMED_URL, str(error)) from error
    except OSError as error:
        raise StreamFailure(CONNECT_REFUSED, f"{url}: cannot connect ({error})") from error
    # The kernel would hide a service that does not read behind megabytes of buffer.
    raw: socket.socket = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return connection


def _headers(url: str, options: CallOptions, signer: Signer) -> dict[str, str]:
    headers = {"accept-encoding": "gzip"}
    if not options.faults.no_signature:
        used = Signer("a token nobody has") if options.faults.bad_socket_signature else signer
        headers["x-twilio-signature"] = used.handshake(url)
    return headers


def _locate(url: str, routes: Routes) -> Located:
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"}:
            raise StreamFailure(SCHEME_NOT_WSS, f"<Stream url={url!r}>: the scheme must be wss")
        if parts.scheme == "ws" and not _is_local(parts.hostname or ""):
            message = f"<Stream url={url!r}>: the scheme must be wss; ws is taken only for this machine's own addresses"
            raise StreamFailure(SCHEME_NOT_WSS, message)
        return routes.locate(url)
    except (RouteError, ValueError) as error:
        raise StreamFailure(MALFORMED_URL, f"<Stream url={url!r}>: {error}") from error


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
