"""Is it alive, is it ready, and how is it doing?"""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from voicebot.call.registry import Calls
from voicebot.metrics import Metrics


class HealthDoors:
    """What a load balancer and a monitor ask."""

    def __init__(self, calls: Calls, metrics: Metrics) -> None:
        self._calls, self._metrics = calls, metrics

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
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
