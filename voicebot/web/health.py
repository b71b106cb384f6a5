"""Is it alive, is it ready, and how is it doing?"""

import time
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from voicebot.call.registry import Calls
from voicebot.errors import VoicebotError
from voicebot.metrics import Metrics
from voicebot.store import Outbox

OUTBOX_EVERY_S = 5.0
"""The outbox is counted this often at most, however many ask for the metrics."""


class HealthDoors:
    """What a load balancer and a monitor ask."""

    def __init__(self, calls: Calls, metrics: Metrics, outbox: Outbox) -> None:
        self._calls, self._metrics, self._outbox = calls, metrics, outbox
        self._counted_at = float("-inf")

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics_page),
        ]

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if refusal := self._calls.refusal:
            return web.Response(status=503, text=f"{refusal}\n")
        return web.Response(text="ready\n")

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        if time.monotonic() - self._counted_at >= OUTBOX_EVERY_S:
            self._counted_at = time.monotonic()
            await self._count_outbox()
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _count_outbox(self) -> None:
        """What a store out of order would say is not known: the last numbers stand, and `voicebot_store_…` tells the rest."""
        try:
            backlog = await self._outbox.backlog()
        except VoicebotError:
            return
        age = (datetime.now(UTC) - backlog.oldest).total_seconds() if backlog.oldest else 0
        self._metrics.outbox_pending.set(backlog.pending)
        self._metrics.outbox_oldest.set(max(age, 0))
        self._metrics.outbox_dead.set(backlog.dead)
        self._metrics.endpoints_stopped.set(backlog.stopped)
