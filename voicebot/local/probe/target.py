"""The application under test: takes letters, gives answers, and never raises for what it does wrong."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Self

import aiohttp
from aiohttp import hdrs

from voicebot.local.probe.calls import ProbeCall
from voicebot.wire.webhook import encode, sign
from voicebot.wire.webhook_events import Event
from voicebot.wire.webhook_stream import open_stream

DEFAULT_TIMEOUT_S = 8.0
"""The service waits so long for one answer (`webhook.attempt_timeout_s`)."""
MAX_REPLY_BYTES = 65_536
"""The service reads no more (`webhook.max_reply_bytes`)."""
NAME_BYTES = 8
SPAN_BYTES = 8
TRACE_BYTES = 16
ACCEPT = "application/json, text/plain, application/x-ndjson, text/event-stream"
IDENTITY = "identity"
UNLIMITED = aiohttp.ClientTimeout(total=None, sock_connect=None)
STREAM_TIMEOUT_S = 120.0
"""The service lets a streamed reply that has begun go on for so long (`webhook.stream_timeout_s`)."""
MAX_ERROR = 200
"""Most characters of a transport error that are shown."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One request as it goes over the line, apart from what every request has."""

    body: bytes
    headers: Mapping[str, str]

    def with_headers(self, **changes: str) -> Self:
        """Return it with other Standard Webhooks headers, named without their prefix; an empty one is left out."""
        headers = {**self.headers, **{f"webhook-{name}": value for name, value in changes.items()}}
        return replace(self, headers={name: value for name, value in headers.items() if value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status, or an error; `pieces` are milliseconds and bytes of the body as they came."""

    status: int | None = None
    error: str = ""
    unreachable: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[tuple[int, bytes], ...] = ()
    ms: int = 0

    @property
    def body(self) -> bytes:
        """The whole body, at most one byte more than is allowed."""
        return b"".join(piece for _, piece in self.pieces)[: MAX_REPLY_BYTES + 1]

    @property
    def content_type(self) -> str | None:
        """The header, None without one."""
        return self.headers.get(hdrs.CONTENT_TYPE)

    @property
    def taken(self) -> bool:
        """Did the application take the event (2xx)?"""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def told(self) -> str:
        """What came back, in a few words."""
        return self.error or f"status {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the application is and how it is spoken to; without `keys` nothing is signed."""

    url: str
    keys: tuple[str, ...]
    timeout_s: float
    session: aiohttp.ClientSession
    now: Callable[[], datetime]

    def call(self) -> ProbeCall:
        """Return a new call, which nobody has heard of."""
        return ProbeCall(name=secrets.token_hex(NAME_BYTES), began_at=self.now())

    def letter(self, event: Event) -> Letter:
        """Return the request for an event, signed now."""
        return self.sealed(event.id, encode(event))

    def sealed(self, event_id: str, body: bytes) -> Letter:
        """Return the request with this body, signed now."""
        return Letter(body, sign(self.keys, event_id, self.now(), body))

    async def send(self, event: Event) -> Answer:
        """Post an event and return the whole answer."""
        return await self.post(self.letter(event))

    async def post(self, letter: Letter, pieces: AsyncIterator[bytes] | None = None) -> Answer:
        """Post a letter, in `pieces` if there are any, and return the whole answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen: list[tuple[int, bytes]] = []
        try:
            async with asyncio.timeout(self.timeout_s) as limit, self.opened(letter, pieces) as response:
                size = 0
                streamed = open_stream(response.headers.get(hdrs.CONTENT_TYPE), max_bytes=1) is not None
                async for chunk in response.content.iter_any():
                    if streamed and not seen:
                        limit.reschedule(began + max(STREAM_TIMEOUT_S, self.timeout_s))
                    seen.append((_ms(loop.time() - began), chunk))
                    size += len(chunk)
                    if size > MAX_REPLY_BYTES:
                        break
                return Answer(
                    status=response.status,
                    headers=response.headers,
                    pieces=tuple(seen),
                    ms=_ms(loop.time() - began),
                )
        except TimeoutError:
            what = "no end of the reply" if seen else f"no answer within {self.timeout_s:g} s"
            return Answer(error=what, pieces=tuple(seen), ms=_ms(loop.time() - began))
        except (aiohttp.ClientError, OSError) as fault:
            return Answer(
                error=f"{type(fault).__name__}: {fault}"[:MAX_ERROR],
                unreachable=isinstance(fault, aiohttp.ClientConnectorError),
                ms=_ms(loop.time() - began),
            )

    @asynccontextmanager
    async def opened(
        self, letter: Letter, pieces: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post a letter and yield the answer as soon as it begins; raises ClientError, OSError, and waits for ever."""
        # Standard Webhooks, operational considerations: a redirect is a failure and is not followed.
        async with self.session.post(
            self.url,
            data=letter.body if pieces is None else pieces,
            headers=self._headers(letter),
            allow_redirects=False,
            timeout=UNLIMITED,
        ) as response:
            yield response

    async def abandon(self, letter: Letter) -> None:
        """Post a letter and close the connection before the answer is read."""
        gone = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield letter.body
            gone.set()

        async with asyncio.TaskGroup() as group:
            posting = group.create_task(self.post(letter, pieces()))
            waiting = group.create_task(gone.wait())
            await asyncio.wait({posting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            posting.cancel()
            waiting.cancel()

    def _headers(self, letter: Letter) -> dict[str, str]:
        trace, span = secrets.token_hex(TRACE_BYTES), secrets.token_hex(SPAN_BYTES)
        return {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.CONTENT_LENGTH: str(len(letter.body)),
            hdrs.ACCEPT: ACCEPT,
            hdrs.ACCEPT_ENCODING: IDENTITY,
            "traceparent": f"00-{trace}-{span}-01",
            **letter.headers,
        }


@asynccontextmanager
async def target(
    url: str, keys: tuple[str, ...], timeout_s: float, traces: tuple[aiohttp.TraceConfig, ...] = ()
) -> AsyncIterator[Target]:
    """Speak to the application at `url`, signing with `keys`, waiting `timeout_s` for each answer."""
    async with aiohttp.ClientSession(
        headers={hdrs.USER_AGENT: f"voicebot/{version('voicebot')} (probe)"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=list(traces),
    ) as session:
        yield Target(url=url, keys=keys, timeout_s=timeout_s, session=session, now=lambda: datetime.now(UTC))


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
