"""Passes a request on to the worker whose call it is about, and its answer back as it comes."""

import asyncio

import aiohttp
import structlog
from aiohttp import web

from voicebot.errors import VoicebotError
from voicebot.workers.links import Links, passed_on

AWAY_S = 8.0
"""A request waits so long for a worker that is being started again; the carrier waits 15 s (Twilio, webhooks)."""
RETRY_S = 0.1
log = structlog.get_logger("workers")


class Away(VoicebotError):  # noqa: N818 - a state, not a fault
    """The worker is not there, or was lost before it answered."""


async def forward(
    links: Links, index: int, request: web.Request, *, remote: str, hops: int, patience_s: float = AWAY_S
) -> web.StreamResponse:
    """Return the worker's answer, already sent; raises Away when there is none within `patience_s`."""
    answer = await _reach(links, index, request, remote=remote, hops=hops, patience_s=patience_s)
    async with answer:
        log.debug("worker.forwarded", other=index, path=request.path, status=answer.status)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passed_on(answer.headers))
        await response.prepare(request)
        try:
            async for part in answer.content.iter_any():
                await response.write(part)
        except aiohttp.ClientError as error:
            log.warning("worker.lost", other=index, path=request.path, why=str(error))
            if request.transport is not None:
                request.transport.abort()  # whoever reads must not take half an answer for a whole one
            return response
        await response.write_eof()
        return response


async def _reach(
    links: Links, index: int, request: web.Request, *, remote: str, hops: int, patience_s: float
) -> aiohttp.ClientResponse:
    # The carrier's requests may be repeated, as the carrier itself does; those of the API only when they change nothing.
    repeatable = request.method in {"GET", "HEAD"} or request.path.startswith("/twilio/")
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        body = await request.read() if repeatable else request.content if request.can_read_body else None
        try:
            return await links.ask(
                index, request.method, request.raw_path, request.headers, remote=remote, hops=hops, body=body or None
            )
        except aiohttp.ClientConnectorError as error:
            why, again = str(error), True
        except aiohttp.ClientError as error:
            why, again = str(error), repeatable
        if not again or loop.time() >= until:
            log.warning("worker.away", other=index, path=request.path, why=why)
            raise Away(why)
        await asyncio.sleep(RETRY_S)
