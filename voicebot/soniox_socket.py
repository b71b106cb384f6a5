"""How both Soniox sockets are opened and closed: key in the handshake, shared TLS context, a deadline on each step."""

import asyncio
import encodings.idna  # noqa: F401 - the loop wants it for the first host name, and then a caller waits
import functools
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from voicebot.config import SonioxSettings
from voicebot.errors import PeerRefused, PeerUnavailable
from voicebot.soniox_line import SonioxLine, connect
from voicebot.wire.soniox_errors import ADVICE, PEER, Retry, retry_class
from voicebot.wire.soniox_stt import headers

SHORTEST_KEY = 8
"""Anything shorter is a placeholder for a stand-in, and may be a word of the message."""
CLOSE_TIMEOUT_S = 1
"""Longest wait for the other side's close frame; then the connection is cut."""

# At level DEBUG the library writes the handshake with the key.
_LOGGER = logging.getLogger("voicebot.soniox_socket.websockets")
_LOGGER.setLevel(logging.INFO)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading the trust store takes 40 ms of the event loop, so it is done once and not for every call."""
    return ssl.create_default_context()


class PeerBusy(PeerUnavailable):
    """The handshake was answered with a status that may pass; `retry_after_s` if the answer names a time."""

    def __init__(self, message: str, code: int, retry_after_s: float | None) -> None:
        super().__init__(PEER, message)
        self.code = code
        self.retry_after_s = retry_after_s


@asynccontextmanager
async def open_socket(url: str, key: SecretStr, settings: SonioxSettings) -> AsyncIterator[SonioxLine]:
    """Open a WebSocket to Soniox and close it on every path; raises PeerRefused, PeerBusy, PeerUnavailable while opening."""
    socket = await _connect(url, key.get_secret_value().strip(), settings)
    try:
        yield socket
    finally:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await socket.close()
        finally:
            await socket.abort()


async def _connect(url: str, key: str, settings: SonioxSettings) -> SonioxLine:
    if not (key.isascii() and key.isprintable()):
        raise PeerRefused(PEER, "the API key has characters that no key has; copy it again", code=401)
    try:
        return await connect(
            url,
            headers=headers(key) if key else {},
            tls=_tls() if url.startswith("wss:") else None,
            open_timeout_s=settings.connect_timeout_s,
            close_timeout_s=CLOSE_TIMEOUT_S,
            ping_s=settings.ping_s,
            pong_timeout_s=settings.pong_timeout_s,
            max_message_bytes=settings.max_message_bytes,
            logger=_LOGGER,
        )
    except InvalidStatus as refusal:
        status = refusal.response.status_code
        text = f"{url} answered {status} to the WebSocket handshake"
        if retry_class(status) is Retry.NEVER:
            raise PeerRefused(PEER, f"{text}; {ADVICE.get(status, 'check the URL')}", code=status) from refusal
        raise PeerBusy(text, status, _retry_after_s(refusal.response.headers.get("Retry-After"))) from refusal
    except InvalidURI as error:
        raise PeerRefused(PEER, f"{url} is not a WebSocket URL (ws:// or wss://)", code=0) from error
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        raise PeerUnavailable(PEER, f"{url} cannot be reached: {str(error) or type(error).__name__}") from error


def _retry_after_s(header: str | None) -> float | None:
    """Read seconds; the form with a date is not used by APIs and counts as absent (RFC 9110, Retry-After)."""
    return float(header) if header and re.fullmatch(r"\d{1,6}", header.strip()) else None


def describe_close(closed: ConnectionClosed, settings: SonioxSettings) -> str:
    """Say in words how a connection ended; close codes are told, never trusted (Soniox closes 1000 after an error)."""
    sent, received = closed.sent, closed.rcvd
    if sent is not None and not closed.rcvd_then_sent:
        match sent.code:
            case 1009:
                return f"a message had more than {settings.max_message_bytes} bytes"
            case 1011:
                return f"no answer to a ping for {settings.pong_timeout_s:g} s"
            case 1002 | 1007:
                return f"a malformed WebSocket message: {sent.reason}"
            case _:
                pass
    if received is not None:
        return f"the other side closed with {received.code} {received.reason}".rstrip()
    return "the connection broke"


def without_key(message: str, settings: SonioxSettings) -> str:
    """Return `message` without the API keys: Soniox may quote the one that it refuses."""
    for secret in (settings.api_key, settings.fallback.api_key):
        key = secret.get_secret_value()
        message = message.replace(key, "***") if len(key) >= SHORTEST_KEY else message
    return message
