"""A worker's part in the service: alone it is the service, with others it is one of them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self, override

from aiohttp import web

from voicebot.call.dialled import Dialled
from voicebot.call.registry import Calls
from voicebot.config import Settings
from voicebot.core.shares import Share
from voicebot.store.records import CallSummary
from voicebot.web.twilio import Elsewhere
from voicebot.workers.gate import Gate
from voicebot.workers.handover import Mailbox
from voicebot.workers.links import Links
from voicebot.workers.place import FORCE, READY, Place, take_port
from voicebot.workers.stream import MergedStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What other workers may ask of a worker's own rooms."""

    calls: Calls
    dialled: Dialled
    living: Callable[[], Sequence[CallSummary]]
    """The calls that live here."""


async def _nowhere(_request: web.Request, _call: str) -> None:
    return None


class Alone:
    """The only worker: every call is its own and nobody else is asked."""

    share = Share()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Be ready to ask others."""
        yield self

    def listen(self, settings: Settings) -> socket.socket:
        """Return the listening socket; raises OSError when the port is taken."""
        return take_port(settings)

    async def elsewhere(self) -> Sequence[CallSummary]:
        """Return the calls that live on other workers."""
        return ()

    def guard(self, application: web.Application, settings: Settings, inside: Inside) -> Elsewhere:  # noqa: ARG002
        """Let requests find the worker that they are for; return what the carrier's webhooks are to ask."""
        return _nowhere

    @asynccontextmanager
    async def answer(self, runner: web.AppRunner) -> AsyncIterator[None]:  # noqa: ARG002
        """Answer the others inside the `with`."""
        yield

    def obey(self, drain: Callable[[], None], force: Callable[[], None]) -> None:
        """Let the supervisor end this worker as a signal would."""


class Crew(Alone):
    """One worker of several."""

    def __init__(self, place: Place) -> None:
        self._place, self._links = place, Links(place)
        self.share = place.share
        self._control = socket.socket(fileno=place.control)
        self._control.settimeout(0)

    @asynccontextmanager
    @override
    async def open(self) -> AsyncIterator[Self]:
        async with self._links.open():
            yield self
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()

    @override
    def listen(self, settings: Settings) -> socket.socket:
        """All workers take connections from one socket: whoever has time, and none is lost with a worker."""
        return socket.socket(fileno=self._place.listening)

    @override
    async def elsewhere(self) -> Sequence[CallSummary]:
        return await self._links.elsewhere()

    @override
    def guard(self, application: web.Application, settings: Settings, inside: Inside) -> Elsewhere:
        events = MergedStream(self._links, settings.live)
        gate = Gate(self._links, inside.calls, inside.dialled, inside.living, events)
        application.middlewares.insert(0, gate.handle)
        return gate.form

    @asynccontextmanager
    @override
    async def answer(self, runner: web.AppRunner) -> AsyncIterator[None]:
        place = self._place
        door = place.door(place.index)
        with suppress(FileNotFoundError):
            os.unlink(door)  # noqa: PTH108 - of the worker before this one; a Path would only add a step
        await web.UnixSite(runner, door).start()
        if runner.server is None:
            raise LookupError("a runner is set up before it answers")
        with Mailbox(place.mailbox(place.index), runner.server) as mailbox:
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(mailbox.run())
                try:
                    yield
                finally:
                    taking.cancel()

    @override
    def obey(self, drain: Callable[[], None], force: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def told() -> None:
            word = self._control.recv(1)
            drain()  # also without a word: the supervisor is gone, and a worker finishes its calls and ends
            if word == FORCE:
                force()
            if not word:
                loop.remove_reader(self._control)

        loop.add_reader(self._control, told)

    def ready(self) -> None:
        """Tell the supervisor that calls are taken."""
        self._control.send(READY)
