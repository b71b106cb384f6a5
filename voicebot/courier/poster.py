"""Makes one attempt: one signed POST, its answer read within limits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from random import Random

import aiohttp
from aiohttp import hdrs

from voicebot.core.delivery import Answer, retry_after
from voicebot.wire.webhook import sign

MAX_ERROR = 300
"""Most characters of a transport error that are kept."""
PLAIN = "identity"
SPAN_BYTES = 8
"""W3C Trace Context: a span's id has 8 bytes, a trace's 16."""
TRACE_BYTES = 16

type Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One attempt as it went; instants are loop times in seconds, `body` holds at most one byte more than allowed."""

    answer: Answer
    began_at: datetime
    sent_at: float
    first_byte_at: float
    done_at: float
    content_type: str | None = None
    content_encoding: str = PLAIN
    body: bytes = b""

    @property
    def ms(self) -> int:
        """The whole attempt, in milliseconds."""
        return round((self.done_at - self.sent_at) * 1_000)


@dataclass(frozen=True, slots=True)
class _Response:
    """What an answer brought, and when its head came."""

    answer: Answer
    first_byte_at: float
    content_type: str | None
    content_encoding: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """Knows one endpoint: where it is, what signs, which trace it belongs to."""

    session: aiohttp.ClientSession
    url: str
    secrets: tuple[str, ...]
    trace_id: str
    max_reply_bytes: int
    now: Clock
    chance: Random

    async def post(self, event_id: str, body: bytes, cut: asyncio.Timeout) -> Exchange:
        """Send `body` once and return how it went; `cut` ends the attempt and may be moved from outside."""
        loop = asyncio.get_running_loop()
        began_at, sent_at = self.now(), loop.time()
        response: _Response | None = None
        error = ""
        try:
            with suppress(TimeoutError):
                async with cut:
                    response = await self._exchange(self._headers(event_id, began_at, body), body)
            if response is None:
                error = f"no answer within {loop.time() - sent_at:.1f} s"
        except (aiohttp.ClientError, OSError) as fault:
            error = f"{type(fault).__name__}: {fault}"[:MAX_ERROR]
        done_at = loop.time()
        if response is None:
            return Exchange(
                answer=Answer(error=error), began_at=began_at, sent_at=sent_at, first_byte_at=done_at, done_at=done_at
            )
        return Exchange(
            answer=response.answer,
            began_at=began_at,
            sent_at=sent_at,
            first_byte_at=response.first_byte_at,
            done_at=done_at,
            content_type=response.content_type,
            content_encoding=response.content_encoding,
            body=response.body,
        )

    async def _exchange(self, headers: dict[str, str], body: bytes) -> _Response:
        # Standard Webhooks, operational considerations: a redirect is a failure and is not followed.
        async with self.session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
            first_byte_at = asyncio.get_running_loop().time()
            content = await _read(response, self.max_reply_bytes + 1)
            wait = retry_after(response.headers.get(hdrs.RETRY_AFTER), self.now())
            return _Response(
                Answer(response.status, retry_after_s=wait),
                first_byte_at,
                response.headers.get(hdrs.CONTENT_TYPE),
                response.headers.get(hdrs.CONTENT_ENCODING, PLAIN).strip().lower(),
                content,
            )

    def _headers(self, event_id: str, now: datetime, body: bytes) -> dict[str, str]:
        span = self.chance.randbytes(SPAN_BYTES).hex()
        return {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.ACCEPT: "application/json, text/plain, application/x-ndjson, text/event-stream",
            # A compressed reply could unpack to any size.
            hdrs.ACCEPT_ENCODING: PLAIN,
            "traceparent": f"00-{self.trace_id}-{span}-01",
            **sign(self.secrets, event_id, now, body),
        }


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read at most `limit` bytes; the rest is dropped with its connection."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) >= limit:
            break
    return bytes(content[:limit])
