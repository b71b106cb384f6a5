"""Makes one attempt: one signed POST, its answer read within limits and passed on as it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from random import Random
from typing import Literal

import aiohttp
from aiohttp import hdrs
from opentelemetry.trace import Span, SpanKind, StatusCode
from yarl import URL

from voicebot.core.delivery import Answer, retry_after
from voicebot.courier.flight import Flight, Item
from voicebot.metrics import Metrics, answer
from voicebot.text import whole
from voicebot.tracing import Attributes, Tracing, traceparent
from voicebot.wire.webhook import sign

MAX_ERROR = 300
"""Most characters of a transport error that are kept."""
PLAIN = "identity"

type Purpose = Literal["ask", "inform", "later", "copy"]
"""What a request is for: a reply, news, news that could not be delivered at once, the second endpoint."""
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
    """Knows one endpoint: where it is, what signs, and below which span a request of no other span belongs."""

    session: aiohttp.ClientSession
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    parent: Span
    purpose: Purpose | None = None
    """None: as the event says."""
    max_reply_bytes: int
    now: Clock
    chance: Random
    metrics: Metrics
    tracing: Tracing

    async def post(self, flight: Flight, hear: Hear | None = None, *, number: int = 1) -> Exchange:
        """Send the event once, for the `number`th time, and return how it went; the flight's limits end the attempt.

        An attempt that failed has an error and no status, unless a streamed reply had begun: then it has both.
        """
        exchange = None
        span = self._span(flight.item, number)
        try:
            exchange = await self._post(flight, hear, span)
            return exchange
        finally:
            self._account(flight.item, span, exchange)

    async def _post(self, flight: Flight, hear: Hear | None, span: Span) -> Exchange:
        loop = asyncio.get_running_loop()
        began_at, sent_at = self.now(), loop.time()
        headers = self._headers(flight.item, began_at) | {"traceparent": traceparent(span)}
        heard = _Heard(sent_at)
        error = ""
        try:
            async with flight.bounded():
                await self._exchange(headers, flight.item.body, heard, hear)
        except TimeoutError:
            error = _overdue(flight, loop.time() - sent_at)
        except (aiohttp.ClientError, OSError, UnicodeError) as fault:  # the last of a host name that is none
            error = whole(f"{type(fault).__name__}: {fault}"[:MAX_ERROR])
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
        content_type = response.headers.get(hdrs.CONTENT_TYPE)
        return Head(
            status=response.status,
            sent_at=sent_at,
            first_byte_at=asyncio.get_running_loop().time(),
            content_type=None if content_type is None else whole(content_type),
            content_encoding=whole(response.headers.get(hdrs.CONTENT_ENCODING, PLAIN).strip().lower()),
            retry_after_s=retry_after(response.headers.get(hdrs.RETRY_AFTER), self.now()),
        )

    def _span(self, item: Item, number: int) -> Span:
        """Begin the span of an attempt (OpenTelemetry semantic conventions, HTTP client spans); of the call it holds no word."""
        parent = item.parent or self.parent
        if not self.tracing.on:
            return self.tracing.child(parent, "POST", SpanKind.CLIENT, None)
        url = URL(self.url)
        attributes: Attributes = {
            "http.request.method": "POST",
            "http.request.resend_count": number - 1,
            "url.full": str(url.with_user(None).with_query(None).with_fragment(None)),
            "server.address": url.host or "",
            "server.port": url.port or 0,
            "voicebot.event_id": item.event_id,
            "voicebot.event_type": item.event_type,
            "voicebot.sequence": item.sequence,
            "voicebot.attempt": number,
        }
        return self.tracing.child(parent, f"POST {item.event_type}", SpanKind.CLIENT, None, attributes)

    def _account(self, item: Item, span: Span, exchange: Exchange | None) -> None:
        """Count an attempt and end its span; None stands for one that was cancelled with its call."""
        if exchange is not None:
            status, error = exchange.answer.status, exchange.answer.error
            purpose = self.purpose or ("ask" if item.live else "inform")
            outcome = answer(status, error)
            self.metrics.webhook_attempts.labels(purpose, outcome).inc()
            self.metrics.webhook_attempt.labels(purpose).observe(exchange.done_at - exchange.sent_at)
            if status is not None:
                span.set_attribute("http.response.status_code", status)
            if error or status is None or status >= HTTPStatus.BAD_REQUEST:
                span.set_attribute("error.type", outcome if status is None or error else str(status))
                span.set_status(StatusCode.ERROR)
        span.end()

    def _headers(self, item: Item, now: datetime) -> dict[str, str]:
        return {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.ACCEPT: "application/json, text/plain, application/x-ndjson, text/event-stream",
            # A compressed reply could unpack to any size.
            hdrs.ACCEPT_ENCODING: PLAIN,
            **sign(self.secrets, item.event_id, now, item.body),
        }


def _overdue(flight: Flight, seconds: float) -> str:
    what = "cut off after" if flight.begun.done() else "no answer within"
    return f"{what} {seconds:.1f} s" + (f": {flight.why}" if flight.why else "")
