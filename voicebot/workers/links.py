"""The ways from a worker to the others: HTTP over sockets that only they can reach."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import structlog
from aiohttp import web
from multidict import CIMultiDict
from pydantic import TypeAdapter
from yarl import URL

from voicebot.call.dialled import Dialling
from voicebot.store.records import CallSummary
from voicebot.wire.twilio import SURROGATES
from voicebot.workers.place import Place

REMOTE, HOPS = "X-Voicebot-Remote", "X-Voicebot-Hops"
"""Who asks, and how many workers were asked before; believed only from the sockets of workers."""
LIVING, TICKETS = "/workers/living", "/workers/tickets/"
CONNECT_S = 2.0
ANSWER_S = 2.0
"""One answer to a question of a worker's own."""
# They belong to one connection, or the next hop says them anew (RFC 9110, section 7.6.1).
_NOT_PASSED_ON = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        REMOTE.lower(),
        HOPS.lower(),
    }
)
_calls, _dialling = TypeAdapter(tuple[CallSummary, ...]), TypeAdapter(Dialling)
log = structlog.get_logger("workers")


def passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers that go on to the next hop; bytes that are no text do not."""
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in _NOT_PASSED_ON and not SURROGATES.search(value)
    )


class Links:
    """Asks the other workers, and itself where that is simpler."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._sessions: Sequence[aiohttp.ClientSession] = ()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Keep a session for each worker."""
        async with AsyncExitStack() as stack:
            self._sessions = [
                await stack.enter_async_context(_session(self.place.door(index))) for index in range(self.place.of)
            ]
            yield self

    async def ask(
        self,
        index: int,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        remote: str = "",
        hops: int,
        body: Any = None,
    ) -> aiohttp.ClientResponse:
        """Send a request to a worker and return its answer, which the caller closes; `path` is as it came.

        Raises aiohttp.ClientConnectorError when it was not reached, another aiohttp.ClientError when it was lost.
        """
        told = passed_on(headers)
        told[REMOTE], told[HOPS] = remote, str(hops)
        return await self._sessions[index].request(
            method,
            URL.build(scheme="http", host="worker").join(URL(path, encoded=True)),
            headers=told,
            data=body,
            allow_redirects=False,
        )

    async def answers(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET"
    ) -> Mapping[int, tuple[int, bytes]]:
        """Return status and body of the answer of every other worker; those that are away have none."""
        found: dict[int, tuple[int, bytes]] = {}

        async def one(index: int) -> None:
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await self.ask(index, method, path, headers, hops=2)
                    async with answer:
                        found[index] = answer.status, await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("worker.away", other=index, why=str(error) or "no answer in time")

        async with asyncio.TaskGroup() as group:
            for index in self.place.others:
                group.create_task(one(index))
        return dict(sorted(found.items()))

    async def living(self, call: str | None = None) -> Mapping[int, tuple[CallSummary, ...]]:
        """Return the calls that live on the other workers, or only the one of this name."""
        answers = await self.answers(LIVING if call is None else f"{LIVING}?id={quote(call, safe='')}", {})
        return {index: _calls.validate_json(body) for index, (_, body) in answers.items()}

    async def elsewhere(self) -> Sequence[CallSummary]:
        """Return the same as one list."""
        return [call for calls in (await self.living()).values() for call in calls]

    async def ticket(self, index: int, ticket: str) -> Dialling | None:
        """Fetch a dialled call from the worker that has dialled it; None when it has it no more, or is away."""
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self.ask(index, "POST", TICKETS + ticket, {}, hops=2)
                async with answer:
                    return _dialling.validate_json(await answer.read()) if answer.ok else None
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("worker.away", other=index, why=str(error) or "no answer in time")
            return None


def living_answer(calls: Sequence[CallSummary]) -> web.Response:
    """Answer what `living` asks."""
    return web.Response(body=_calls.dump_json(tuple(calls)), content_type="application/json")


def ticket_answer(dialling: Dialling | None) -> web.Response:
    """Answer what `ticket` asks."""
    if dialling is None:
        return web.Response(status=404)
    return web.Response(body=_dialling.dump_json(dialling), content_type="application/json")


def _session(path: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # A connection for each request: that of a worker which was started again is never used by mistake.
        connector=aiohttp.UnixConnector(path=path, limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        max_line_size=65_536,
        max_field_size=65_536,
    )
