"""What a worker does with a request before its own doors see it: it may be another worker's, or everybody's."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from voicebot.call.dialled import TICKET, Dialled
from voicebot.call.registry import Calls
from voicebot.store.records import CallSummary
from voicebot.web.api import problems
from voicebot.web.api.guard import route_of
from voicebot.web.api.problems import Refused
from voicebot.wire import metrics_text
from voicebot.workers.forward import AWAY_S, Away, forward
from voicebot.workers.handover import hand_over
from voicebot.workers.links import HOPS, LIVING, REMOTE, TICKETS, Links, living_answer, ticket_answer
from voicebot.workers.stream import MergedStream

MEDIA = "/twilio/media/{call}"
ASKED = web.RequestKey("asked", tuple[str, int])
"""Who asks, and how many workers were asked before."""
MAX_HOPS = 2
"""A worker asks the one whose call it should be, and that one asks the one who has dialled it."""
AWAY_PROBLEM = "the worker of this call is being started again: try again soon"


class Gate:
    """A middleware; `living` returns the calls that live on this worker."""

    def __init__(
        self,
        links: Links,
        calls: Calls,
        dialled: Dialled,
        living: Callable[[], Sequence[CallSummary]],
        events: MergedStream,
    ) -> None:
        self._links, self._place, self._share = links, links.place, links.place.share
        self._calls, self._dialled, self._living, self._events = calls, dialled, living, events
        self._fetching = asyncio.Lock()
        self._log = structlog.get_logger("workers")

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Carry out what is this worker's, and let others do what is theirs."""
        if not _from_worker(request):
            return await self._route(request, handler, request.remote or "", 0)
        if request.path == LIVING:
            wanted = request.query.get("id")
            return living_answer([call for call in self._living() if wanted in {None, call.id}])
        if request.path.startswith(TICKETS):
            return ticket_answer(self._dialled.give(request.path.removeprefix(TICKETS)))
        remote, hops = request.headers.get(REMOTE, ""), int(request.headers.get(HOPS, MAX_HOPS))
        return await self._route(request.clone(remote=remote), handler, remote, hops)

    async def _route(self, request: web.Request, handler: Handler, remote: str, hops: int) -> web.StreamResponse:
        route = route_of(request)
        request[ASKED] = (remote, hops)
        try:
            if route == MEDIA and not hops and not self._share.has(call := request.match_info["call"]):
                return await hand_over(self._place, self._share.owner(call), request)
            if route.startswith("/calls/{id}"):
                return await self._about(request.match_info["id"], request, handler, remote, hops)
        except Away:
            if route == MEDIA or not self._calls.draining:
                return _away(request)
            return await handler(request)  # the others have gone already: what is in the store can be told here
        return await handler(request) if hops else await self._of_all(route, request, handler)

    async def _of_all(self, route: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        match route:
            case "/session" if request.method == "DELETE":
                # Sessions are kept by nobody; only that one was signed out is remembered, and by all.
                await self._links.answers(request.raw_path, request.headers, method="DELETE")
                return await handler(request)
            case "/events":
                return await self._events.handle(request)
            case "/metrics":
                return await self._metrics(request, handler)
            case "/readyz":
                return await self._ready(request, handler)
            case _:
                return await handler(request)

    async def form(self, request: web.Request, call: str) -> web.StreamResponse | None:
        """Let a webhook of the carrier's be answered by the worker of its call, None when that is this one."""
        remote, hops = request[ASKED]
        if not hops and not self._share.has(call):
            owner, patience_s = self._share.owner(call), self._patience_s
            try:
                return await forward(self._links, owner, request, remote=remote, hops=1, patience_s=patience_s)
            except Away:
                return None if self._calls.draining else _away(request)
        if ticket := request.query.get(TICKET):
            await self._fetch(ticket, call)
        return None

    async def _fetch(self, ticket: str, call: str) -> None:
        """What the call was given along is known where it was dialled; the carrier's requests may come side by side."""
        async with self._fetching:
            dialler = self._dialled.abroad(ticket)
            if dialler is not None and (dialling := await self._links.ticket(dialler, ticket)):
                self._dialled.take(ticket, replace(dialling, carrier_id=call))

    async def _about(
        self, call: str, request: web.Request, handler: Handler, remote: str, hops: int
    ) -> web.StreamResponse:
        """The API's requests about one call; a call that rings is known where it was dialled."""
        if hops == MAX_HOPS or self._calls.by_id(call) or self._dialled.by_id(call):
            return await handler(request)
        owner = self._share.owner(call)
        if owner == self._place.index:
            living = await self._links.living(call)
            owner = next((index for index, calls in living.items() if calls), owner)
            hops = MAX_HOPS - 1
        if owner == self._place.index:
            return await handler(request)
        return await forward(self._links, owner, request, remote=remote, hops=hops + 1, patience_s=self._patience_s)

    @property
    def _patience_s(self) -> float:
        """A worker that has drained does not come back."""
        return 0 if self._calls.draining else AWAY_S

    async def _metrics(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        own = await handler(request)
        if own.status != HTTPStatus.OK or not isinstance(own, web.Response) or not isinstance(own.body, bytes):
            return own
        answers = await self._links.answers(request.raw_path, request.headers)
        pages = {index: body.decode() for index, (status, body) in answers.items() if status == HTTPStatus.OK}
        page = metrics_text.merge({self._place.index: own.body.decode()} | pages, self._place.of)
        return web.Response(body=page.encode(), headers={"Content-Type": own.headers["Content-Type"]})

    async def _ready(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One port, one answer: it is ready as long as any worker takes calls."""
        own = await handler(request)
        if own.status == HTTPStatus.OK:
            return own
        answers = await self._links.answers(request.raw_path, request.headers)
        for status, body in answers.values():
            if status == HTTPStatus.OK:
                return web.Response(body=body, content_type=own.content_type)
        return own


def _from_worker(request: web.Request) -> bool:
    """Only workers come over a Unix socket: nobody else may enter the directory that it is in."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    return connection is not None and connection.family == socket.AF_UNIX


def _away(request: web.Request) -> web.StreamResponse:
    refused = Refused(
        HTTPStatus.SERVICE_UNAVAILABLE, "worker-away", AWAY_PROBLEM, headers={"Retry-After": "1"}, closes=True
    )
    return problems.answer(request, refused)
