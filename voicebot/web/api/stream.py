"""Live events as they happen, over server-sent events: of all calls, and of one."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from aiohttp import web
from pydantic_core import to_json

from voicebot.config import LiveSettings
from voicebot.live import Batch, Live, Watcher
from voicebot.metrics import Metrics
from voicebot.web.api import problems
from voicebot.web.api.guard import HOLDER
from voicebot.web.api.problems import Refused
from voicebot.wire import sse
from voicebot.wire.live_json import NAMES

RETRY_MS = 1_000
"""What readers are asked to wait before they connect again."""
GOODBYE_S = 1.0
"""How long a reader that is dropped has to take the last message, which tells it why."""
RESUMED = "X-Voicebot-Resumed"
"""Says `yes` where a stream goes on behind the reader's last event, without a snapshot."""
HEADERS = {
    "Content-Type": sse.CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy that collects the answer would make it no stream (nginx)
}
BEHIND = "behind"
SLOW = "slow"
WHY = {
    BEHIND: "more has happened since than is kept: connect again",
    SLOW: "nothing was read for too long: connect again",
}


class LiveCall(Protocol):
    """A line of the list of calls."""

    @property
    def id(self) -> str:
        """Its name."""


type Calls = Callable[[], Sequence[LiveCall]]
"""The calls that live now; each becomes JSON (a pydantic model, or a dataclass)."""


class StreamDoors:
    """Every reader gets what happened before it came (`snapshot`), or since it left (`Last-Event-ID`), and then the rest.

    No event is left out and none comes twice. A reader that is too slow is dropped, and told so by the last message
    (`dropped`); when it comes back it goes on where it was.
    """

    def __init__(
        self, live: Live, calls_snapshot: Calls, settings: LiveSettings, metrics: Metrics | None = None
    ) -> None:
        self._live, self._calls, self._settings = live, calls_snapshot, settings
        self._dropped = (metrics or Metrics()).readers_dropped
        self._readers: dict[Watcher, web.Request] = {}
        self._closing = False

    def mount(self, application: web.Application) -> None:
        """Add the routes, and see to it that the server's stop does not wait for readers."""
        application.add_routes(
            [
                web.get("/events", self.all_calls, allow_head=False),
                web.get("/calls/{id}/events", self.one_call, allow_head=False),
            ]
        )
        application.on_shutdown.append(self.close)

    async def close(self, _application: web.Application | None = None) -> None:
        """Let every reader have what was published until now, and send it home."""
        self._closing = True
        for watcher in self._readers:
            watcher.end()

    async def all_calls(self, request: web.Request) -> web.StreamResponse:
        """`GET /events`: what happens on all calls."""
        if refusal := self._refusal(request):
            return refusal
        id_ = last_id(request)
        resume = self._live.resume(id_) if id_ else None
        with self._reading(request, None, resume if isinstance(resume, int) else None) as watcher:
            opening = b"" if isinstance(resume, int) else reset(resume) + self._calls_now()
            return await self._stream(request, watcher, opening)

    async def one_call(self, request: web.Request) -> web.StreamResponse:
        """`GET /calls/{id}/events`: what happens on one call, until it ends.

        An ended call that a reader has had to the end is answered by 204, which tells a browser not to come again (WHATWG
        HTML, server-sent events, reestablish the connection).
        """
        call = request.match_info["id"]
        if refusal := self._refusal(request):
            return refusal
        so_far = self._live.so_far(call)
        if so_far is None:
            detail = f"{call[:100]} does not live: GET /calls/{{id}} has what is kept"
            return problems.answer(request, Refused(HTTPStatus.NOT_FOUND, "not-live", detail))
        id_ = last_id(request)
        resume = self._live.resume(id_, call) if id_ else None
        if not so_far.live and isinstance(resume, int) and resume >= so_far.entries[-1].number:
            return web.Response(status=204)
        with self._reading(request, call, resume if isinstance(resume, int) else None) as watcher:
            opening = b"" if isinstance(resume, int) else reset(resume) + self._call_now(call)
            if not so_far.live:
                watcher.end()
            return await self._stream(request, watcher, opening)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self._closing:
            return _no_stream(request, "the service is stopping")
        if len(self._readers) >= self._settings.readers and not self._sweep():
            return _no_stream(request, "too many readers: setting live.readers")
        most, who = self._settings.readers_per_token, _who(request)
        if self._of(who) >= most:
            return _no_stream(request, "too many readers with this token: setting live.readers_per_token")
        return None

    def _of(self, who: str) -> int:
        """Return how many readers one token has, without those that hung up."""
        return sum(_who(request) == who for request in self._readers.values() if request.transport is not None)

    def _sweep(self) -> int:
        """Send readers home that hung up and were not written to since; return how many."""
        gone = [watcher for watcher, request in self._readers.items() if request.transport is None]
        for watcher in gone:
            watcher.end()
        return len(gone)

    @contextmanager
    def _reading(self, request: web.Request, call: str | None, after: int | None) -> Iterator[Watcher]:
        with self._live.watch(call, after) as watcher:
            self._readers[watcher] = request
            try:
                yield watcher
            finally:
                del self._readers[watcher]

    # --- what is sent -------------------------------------------------------------------------------

    def _calls_now(self) -> bytes:
        """The calls that live; one whose end was told is not among them, however long it takes to be gone."""
        known = ((call, self._live.so_far(call.id)) for call in self._calls())
        living = [call for call, so_far in known if so_far and so_far.live]
        data = to_json({"type": "snapshot", "at": _now(), "calls": living})
        return sse.message("snapshot", data, self._live.id(self._live.last))

    def _call_now(self, call: str) -> bytes:
        """Everything known of the call, in the JSON that its events had."""
        so_far = self._live.so_far(call)
        entries, whole, live = so_far or ((), False, False)
        head = to_json({"type": "snapshot", "call": call, "at": _now(), "live": live, "whole": whole})
        events = b",".join(self._live.json(entry) for entry in entries)
        return sse.message("snapshot", head[:-1] + b',"events":[' + events + b"]}", self._live.id(self._live.last))

    def _text(self, batch: Batch) -> bytes:
        """Made by the first of the readers that share the batch."""
        if batch.text is None:
            batch.text = b"".join(
                sse.message(NAMES[entry.kind], self._live.json(entry), self._live.id(entry.number))
                for entry in batch.entries
            )
        return batch.text

    # --- sending ------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request, watcher: Watcher, opening: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS | {RESUMED: "no" if opening else "yes"})
        try:
            await response.prepare(request)
            notice_dead_peers(request, self._settings.write_timeout_s + self._settings.heartbeat_s)
            await self._write(response, sse.retry(RETRY_MS) + opening)
            one_call = "id" in request.match_info
            while (text := await self._next(watcher, one_call=one_call)) is not None:
                await self._write(response, text)
            if watcher.dropped:
                self._dropped.labels(BEHIND).inc()
                await drop(request, response, BEHIND)
        except TimeoutError:
            self._dropped.labels(SLOW).inc()
            await drop(request, response, SLOW)
        except ConnectionError:
            pass  # it left, which is how readers end
        return response

    async def _next(self, watcher: Watcher, *, one_call: bool) -> bytes | None:
        """The next text, a heartbeat when there is nothing else, None at the end."""
        try:
            async with asyncio.timeout(self._settings.heartbeat_s):
                batch = await watcher.take()
        except TimeoutError:
            return sse.HEARTBEAT
        if batch is None:
            return None
        if one_call and batch.closes:
            watcher.end()
        return self._text(batch)

    async def _write(self, response: web.StreamResponse, text: bytes) -> None:
        async with asyncio.timeout(self._settings.write_timeout_s):
            await response.write(text)


def _no_stream(request: web.Request, why: str) -> web.Response:
    return problems.answer(request, Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no-stream", why))


def _who(request: web.Request) -> str:
    """Return the name of the token."""
    holder = request.get(HOLDER)
    return holder.name if holder else ""


async def drop(request: web.Request, response: web.StreamResponse, reason: str) -> None:
    """Say why, behind what is on its way already; a reader that does not take even that is cut off."""
    data = to_json({"type": "dropped", "at": _now(), "reason": reason, "detail": WHY[reason]})
    try:
        async with asyncio.timeout(GOODBYE_S):
            await response.write(sse.message("dropped", data))
            await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


def last_id(request: web.Request) -> str:
    """Browsers send the header when they come back; a page that knows where it was may say so in the address."""
    return request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")


def reset(why: str | None) -> bytes:
    """What a reader has of before is no longer to be relied on."""
    return sse.message("reset", to_json({"type": "reset", "at": _now(), "reason": why})) if why else b""


def _now() -> datetime:
    return datetime.now(UTC)


def notice_dead_peers(request: web.Request, after_s: float) -> None:
    """A peer that vanished acknowledges nothing; heartbeats are too small to fill its window and show it otherwise."""
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport else None
    if connection is None or connection.family == socket.AF_UNIX:  # which is another worker
        return
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(after_s * 1_000))
