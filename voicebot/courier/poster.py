"""Makes one attempt: one signed POST, its answer read within limits and passed on as it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from random import Random

import aiohttp
from aiohttp import hdrs

from voicebot.core.delivery import Answer, retry_after
from voicebot.courier.flight import Flight
from voicebot.wire.webhook import sign

MAX_ERROR = 300
"""Most characters of a transport error that are kept."""
PLAIN = "identity"
SPAN_BYTES = 8
"""W3C Trace Context: a span's id has 8 bytes, a trace's 16."""
TRACE_BYTES = 16


def trace_of(call_id: str) -> str:
    """Return the W3C trace (32 hexadecimal digits) of a call, the same over restarts."""
    return sha256(call_id.encode()).digest()[:TRACE_BYTES].hex()


type Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How an answer begins; instants are loop times in seconds."""

    status: int
    sent_at: float
    first_byte_at: float
    content_type: str | None
    content_encoding: str
    retry_after_s: float | None


type Hear = Callable[[Head, bytes], Awaitable[bool]]
"""Takes an answer piece by piece; False ends it, and closes its connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One attempt as it went; instants are loop times in seconds, `body` holds at most one byte more than allowed."""

    answer: Answer
    began_at: datetime
    sent_at: float
    done_at: float
    head: Head | None = None
    body: bytes = b""

    @property
    def first_byte_at(self) -> float:
        """When the answer began; the end of the attempt if it never did."""
        return self.done_at if self.head is None else self.head.first_byte_at

    @property
    def ms(self) -> int:
        """The whole attempt, in milliseconds."""
        return round((self.done_at - self.sent_at) * 1_000)


@dataclass(slots=True)
class _Heard:
    """What an answer has brought so far."""

    sent_at: float
    head: Head | None = None
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """Knows one endpoint: where it is, what signs, which trace it belongs to."""

    session: aiohttp.ClientSession
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    trace_id: str
    max_reply_bytes: int
    now: Clock
    chance: Random

    async def post(self, flight: Flight, hear: Hear | None = None) -> Exchange:
        """Send the event once and return how it went; the flight's limits end the attempt.

        An attempt that failed has an error and no status, unless a streamed reply had begun: then it has both.
        """
        loop = asyncio.get_running_loop()
        began_at, sent_at = self.now(), loop.time()
        headers = self._headers(flight.item.event_id, began_at, flight.item.body)
        heard = _Heard(sent_at)
        error = ""
        try:
            async with flight.bounded():
                await self._exchange(headers, flight.item.body, heard, hear)
        except TimeoutError:
            error = _overdue(flight, loop.time() - sent_at)
        except (aiohttp.ClientError, OSError) as fault:
            error = f"{type(fault).__name__}: {fault}"[:MAX_ERROR]
        known = heard.head if not error or flight.begun.done() else None
        return Exchange(
            answer=Answer(known.status, error, known.retry_after_s) if known else Answer(error=error),
            began_at=began_at,
            sent_at=sent_at,
            done_at=loop.time(),
            head=known,
            body=bytes(heard.body[: self.max_reply_bytes + 1]),
        )

    async def _exchange(self, headers: dict[str, str], body: bytes, heard: _Heard, hear: Hear | None) -> None:
        # Standard Webhooks, operational considerations: a redirect is a failure and is not followed.
        async with self.session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
            head = heard.head = self._head(response, heard.sent_at)
            async for chunk in response.content.iter_any():
                heard.body += chunk
                goes_on = hear is None or await hear(head, chunk)
                if not goes_on or len(heard.body) > self.max_reply_bytes:
                    break  # the rest is dropped with its connection

    def _head(self, response: aiohttp.ClientResponse, sent_at: float) -> Head:
        return Head(
            status=response.status,
            sent_at=sent_at,
            first_byte_at=asyncio.get_running_loop().time(),
            content_type=response.headers.get(hdrs.CONTENT_TYPE),
            content_encoding=response.headers.get(hdrs.CONTENT_ENCODING, PLAIN).strip().lower(),
            retry_after_s=retry_after(response.headers.get(hdrs.RETRY_AFTER), self.now()),
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


def _overdue(flight: Flight, seconds: float) -> str:
    what = "cut off after" if flight.begun.done() else "no answer within"
    return f"{what} {seconds:.1f} s" + (f": {flight.why}" if flight.why else "")
