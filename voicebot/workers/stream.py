"""Live events of all workers as one stream, which resumes without a gap or a double, whichever worker is asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web
from pydantic_core import from_json, to_json

from voicebot.config import LiveSettings
from voicebot.web.api import stream
from voicebot.wire import sse
from voicebot.workers.links import LIVING, Links, passed_on

WAITING_PARTS = 16
"""Parts read from the workers and not written yet; a reader that is too slow holds the workers' streams up."""
LOOK_S = 1.0
"""A worker that is away is looked for so often."""


@dataclass(slots=True)
class _Source:
    """The stream of one worker; `place` is the id of the last event that was had of it."""

    index: int
    answer: aiohttp.ClientResponse
    place: str
    reader: sse.Reader
    early: list[sse.Message] = field(default_factory=list[sse.Message])
    """Read along with what was waited for."""

    @property
    def resumed(self) -> bool:
        return self.answer.headers.get(stream.RESUMED) == "yes"

    async def parts(self) -> AsyncIterator[list[sse.Message]]:
        if self.early:
            yield self.early
        async for chunk in self.answer.content.iter_any():
            yield list(self.reader.push(chunk))

    async def until(self, *events: str) -> sse.Message | None:
        """Return the first message of these kinds, None when the stream ends before."""
        with suppress(aiohttp.ClientError):  # the worker was lost: its stream has ended
            async for chunk in self.answer.content.iter_any():
                messages = list(self.reader.push(chunk))
                for at, message in enumerate(messages):
                    if message.event in events:
                        self.early = messages[at + 1 :]
                        self.place = message.last_id or self.place
                        return message
        return None


@dataclass(frozen=True, slots=True)
class _Part:
    """What came from a worker; None is the end of its stream, or that it is back."""

    source: _Source | None
    messages: Sequence[sse.Message] | None


class _Refused(Exception):  # noqa: N818 - carries an answer
    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


class MergedStream:
    """`GET /events`, where there are several workers.

    An id is the ids of all workers, `<id>,<id>`: each worker's events have an order of their own, and those of one call
    come from one worker. When a worker is lost, or comes back, `reset` and a new snapshot follow on the same stream.
    """

    def __init__(self, links: Links, settings: LiveSettings) -> None:
        self._links, self._settings = links, settings

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as one worker alone would."""
        asked = stream.last_id(request)
        places = asked.split(",") if asked.count(",") == self._links.place.of - 1 else []
        response = web.StreamResponse(headers=stream.HEADERS)
        try:
            async with AsyncExitStack() as stack:
                sources, opening = await self._opened(stack, request, places, "restart" if asked else "")
                await response.prepare(request)
                stream.notice_dead_peers(request, self._settings.write_timeout_s + self._settings.heartbeat_s)
                await self._write(response, sse.retry(stream.RETRY_MS) + opening)
                goes_on = await self._pump(request, response, sources)
            while goes_on:
                async with AsyncExitStack() as stack:
                    sources, opening = await self._opened(stack, request, [], "restart")
                    await self._write(response, opening)
                    goes_on = await self._pump(request, response, sources)
        except _Refused as refused:
            return response if response.prepared else refused.response
        except TimeoutError:
            await stream.drop(request, response, stream.SLOW)
        except ConnectionError:
            pass  # it left, which is how readers end
        return response

    # --- the beginning ------------------------------------------------------------------------------

    async def _opened(
        self, stack: AsyncExitStack, request: web.Request, places: Sequence[str], reason: str
    ) -> tuple[Sequence[_Source], bytes]:
        """Return the streams of the workers, and what the reader is told first; raises _Refused."""
        if places:
            async with AsyncExitStack() as resuming:
                resumed = await self._sources(resuming, request, places)
                if len(resumed) == self._links.place.of and all(source.resumed for source in resumed):
                    stack.push_async_exit(resuming.pop_all())
                    return resumed, b""
                for source in resumed:
                    told = None if source.resumed else await source.until("reset", "snapshot")
                    if told and told.event == "reset":
                        reason = str(_object(told)["reason"])
        sources: list[_Source] = []
        calls: list[Mapping[str, Any]] = []
        at = ""
        for source in await self._sources(stack, request, ()):
            if snapshot := await source.until("snapshot"):  # without one the worker is gone again
                sources.append(source)
                document = _object(snapshot)
                calls += document["calls"]
                at = max(at, document["at"])
        calls.sort(key=lambda call: str(call.get("started_at", "")), reverse=True)
        data = to_json({"type": "snapshot", "at": at, "calls": calls})
        return sources, stream.reset(reason or None) + sse.message("snapshot", data, self._id(sources))

    async def _sources(self, stack: AsyncExitStack, request: web.Request, places: Sequence[str]) -> Sequence[_Source]:
        found: list[_Source] = []
        headers = passed_on(request.headers)
        headers.popall("Last-Event-ID", None)
        for index in range(self._links.place.of):
            place = places[index] if places else ""
            told = headers.copy()
            if place:
                told["Last-Event-ID"] = place
            try:
                answer = await self._links.ask(index, "GET", "/events", told, remote=request.remote or "", hops=1)
            except aiohttp.ClientError:
                continue  # it is being started again, and its calls with it
            stack.callback(answer.close)
            if answer.status != HTTPStatus.OK:
                raise _Refused(await _relayed(answer))
            found.append(_Source(index, answer, place, sse.Reader(place)))
        return found

    def _id(self, sources: Sequence[_Source]) -> str:
        places = {source.index: source.place for source in sources}
        return ",".join(places.get(index, "") for index in range(self._links.place.of))

    # --- the rest -----------------------------------------------------------------------------------

    async def _pump(self, request: web.Request, response: web.StreamResponse, sources: Sequence[_Source]) -> bool:
        """Pass on what comes; True when the workers are others now, False at the end, which is that of our own stream."""
        if all(source.index != self._links.place.index for source in sources):
            return False
        parts: asyncio.Queue[_Part] = asyncio.Queue(WAITING_PARTS)
        verdict: bool | Exception = False
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_read(source, parts)) for source in sources]
            away = set(range(self._links.place.of)) - {source.index for source in sources}
            tasks += [group.create_task(self._look_for(index, parts)) for index in away]
            try:
                verdict = await self._pass_on(request, response, sources, parts)
            except (ConnectionError, TimeoutError) as error:  # as they are, not in a group
                verdict = error
            for task in tasks:
                task.cancel()
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    async def _pass_on(
        self,
        request: web.Request,
        response: web.StreamResponse,
        sources: Sequence[_Source],
        parts: asyncio.Queue[_Part],
    ) -> bool:
        while True:
            part = await self._next(parts)
            if part is None:
                await self._write(response, sse.HEARTBEAT)
                continue
            if part.source is None or part.messages is None:
                # Our own stream ends when the service stops.
                return part.source is None or part.source.index != self._links.place.index
            text = b""
            for message in part.messages:
                if message.event == "dropped":
                    await self._write(response, text)
                    await stream.drop(request, response, str(_object(message)["reason"]))
                    return False
                part.source.place = message.last_id
                text += sse.message(message.event, message.data, self._id(sources))
            await self._write(response, text)

    async def _next(self, parts: asyncio.Queue[_Part]) -> _Part | None:
        try:
            async with asyncio.timeout(self._settings.heartbeat_s):
                return await parts.get()
        except TimeoutError:
            return None

    async def _look_for(self, index: int, parts: asyncio.Queue[_Part]) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                (await self._links.ask(index, "GET", LIVING, {}, hops=1)).close()
            except aiohttp.ClientError:
                continue
            await parts.put(_Part(None, None))

    async def _write(self, response: web.StreamResponse, text: bytes) -> None:
        async with asyncio.timeout(self._settings.write_timeout_s):
            await response.write(text)


async def _read(source: _Source, parts: asyncio.Queue[_Part]) -> None:
    with suppress(aiohttp.ClientError):  # the worker was lost
        async for messages in source.parts():
            if messages:
                await parts.put(_Part(source, messages))
    await parts.put(_Part(source, None))


async def _relayed(answer: aiohttp.ClientResponse) -> web.Response:
    return web.Response(status=answer.status, body=await answer.read(), headers=passed_on(answer.headers))


def _object(message: sse.Message) -> Mapping[str, Any]:
    found: Mapping[str, Any] = from_json(message.data)
    return found
