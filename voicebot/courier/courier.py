"""The room that owns the connections to the application and opens a lane for each call."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from random import Random, SystemRandom

import aiohttp
from opentelemetry.trace import Span
from pydantic import SecretStr

from voicebot.config import WebhookSettings
from voicebot.courier.endpoints import Endpoints
from voicebot.courier.lane import Lane
from voicebot.courier.outcomes import OnOutcome
from voicebot.courier.poster import Clock, Poster, Purpose
from voicebot.courier.redelivery import Redeliverer
from voicebot.courier.shared import Shared
from voicebot.courier.ways import Ways
from voicebot.metrics import Metrics
from voicebot.store import DueEvent, Store
from voicebot.tracing import Tracing

KEEPALIVE_S = 4.0
"""An idle connection is closed after so long; usual servers close theirs after 5 s, and a POST must not meet that."""
USER_AGENT = f"voicebot/{version('voicebot')}"


def open_session(settings: WebhookSettings) -> aiohttp.ClientSession:
    """Return the session for all calls; the caller closes it. It ignores proxies of the environment and cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=settings.connections, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None),  # every attempt carries its own
        trust_env=False,
        auto_decompress=False,
    )


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


class Courier:
    """What the lanes of all calls share; `run` delivers what they leave behind and needs an owner."""

    def __init__(
        self,
        settings: WebhookSettings,
        store: Store,
        session: aiohttp.ClientSession,
        *,
        now: Clock = utc_now,
        chance: Random | None = None,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._session = session
        self._shared = Shared(
            settings=settings,
            store=store,
            ways=Ways(),
            endpoints=Endpoints(),
            now=now,
            chance=chance or SystemRandom(),
            kept=self._on_kept,
            metrics=metrics or Metrics(),
            tracing=tracing or Tracing(),
        )
        self._later = Redeliverer(self._shared, partial(self._poster_of, settings.secrets), copies=False)
        copy_secrets = settings.copy_secrets or settings.secrets
        self._copies = Redeliverer(self._shared, partial(self._poster_of, copy_secrets), copies=True)
        self._running = False
        self._stopped = asyncio.Event()

    def lane(
        self,
        call_id: str,
        url: str,
        secrets: Sequence[SecretStr],
        on_outcome: OnOutcome,
        *,
        parent: Span | None = None,
        forgets: bool = False,
    ) -> Lane:
        """Return the lane of a call; an empty `url` keeps events and delivers none.

        With `forgets` the store keeps what an event says only until it is delivered.
        `parent` is the span of the call, if it lives here.
        """
        poster = self._poster(url, secrets, parent or self._shared.tracing.call_of(call_id))
        return Lane(call_id, self._shared, poster, on_outcome, forgets=forgets)

    async def run(self) -> None:
        """Deliver later what was not delivered at once, and everything to the second endpoint, until `close`."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                if self._shared.settings.background:
                    group.create_task(self._later.run())
                    group.create_task(self._copies.run())
        finally:
            self._stopped.set()

    async def close(self) -> None:
        """Cut what `run` is sending and wait until that is recorded; what is left goes out after the next start."""
        self._later.close()
        self._copies.close()
        if self._running:
            await self._stopped.wait()

    def _on_kept(self) -> None:
        if self._shared.settings.copy_url:
            self._copies.wake()

    def _poster_of(self, secrets: Sequence[SecretStr], due: DueEvent) -> Poster:
        purpose: Purpose = "copy" if due.is_copy else "later"
        return self._poster(due.url, secrets, self._shared.tracing.call_of(due.call_id), purpose)

    def _poster(self, url: str, secrets: Sequence[SecretStr], parent: Span, purpose: Purpose | None = None) -> Poster:
        return Poster(
            session=self._session,
            url=url,
            secrets=tuple(secret.get_secret_value() for secret in secrets),
            parent=parent,
            purpose=purpose,
            max_reply_bytes=self._shared.settings.max_reply_bytes,
            now=self._shared.now,
            chance=self._shared.chance,
            metrics=self._shared.metrics,
            tracing=self._shared.tracing,
        )
