"""What applications were told, and what they refused: list, show, replay, drop."""

from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from voicebot.courier import decisions
from voicebot.store import Store
from voicebot.store.records import DeliveryFilter, EventRecord, EventSummary, Page
from voicebot.web.api import views
from voicebot.web.api.handler import Handler, document
from voicebot.web.api.problems import conflict, not_found
from voicebot.web.api.reading import query
from voicebot.wire import api
from voicebot.wire.api_requests import DeliveriesQuery, PageQuery


class DeliveryDoors:
    """Reads the outbox, and writes what a person decides about an event."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by their operation."""
        return {
            "list_call_deliveries": self.of_call,
            "list_deliveries": self.of_all,
            "show_delivery": self.show,
            "replay_delivery": self.replay,
            "drop_delivery": self.drop,
        }

    async def of_call(self, request: web.Request) -> web.Response:
        """`GET /calls/{id}/deliveries`."""
        wanted, call_id = query(PageQuery, request), request.match_info["id"]
        page = await self._store.outbox.deliveries(DeliveryFilter(call_id=call_id), wanted.limit, wanted.cursor)
        if not page.items and await self._store.history.call(call_id) is None:
            raise not_found("call", call_id)
        return _listed(page)

    async def of_all(self, request: web.Request) -> web.Response:
        """`GET /deliveries`."""
        wanted = query(DeliveriesQuery, request)
        fitting = DeliveryFilter(
            call_id=wanted.call,
            states=(wanted.state,) if wanted.state else (),
            type=wanted.type,
            url=wanted.url,
            since=wanted.since,
            until=wanted.until,
        )
        return _listed(await self._store.outbox.deliveries(fitting, wanted.limit, wanted.cursor))

    async def show(self, request: web.Request) -> web.Response:
        """`GET /deliveries/{event}`."""
        return document(views.delivery_detail(await self._event(request)))

    async def replay(self, request: web.Request) -> web.Response:
        """`POST /deliveries/{event}/replay`."""
        event = await self._event(request)
        try:
            await decisions.replay(self._store, event, datetime.now(UTC))
        except decisions.DecisionRefused as refused:
            raise conflict("not-replayable", str(refused)) from None
        return document(api.Accepted(id=event.summary.id), status=202)

    async def drop(self, request: web.Request) -> web.Response:
        """`DELETE /deliveries/{event}`."""
        event = await self._event(request)
        try:
            await decisions.drop(self._store, event, datetime.now(UTC))
        except decisions.DecisionRefused as refused:
            raise conflict("not-droppable", str(refused)) from None
        return web.Response(status=204)

    async def _event(self, request: web.Request) -> EventRecord:
        event_id = request.match_info["event"]
        event = await self._store.outbox.event(event_id)
        if event is None:
            raise not_found("event", event_id)
        return event


def _listed(page: Page[EventSummary]) -> web.Response:
    return document(api.DeliveryPage(items=tuple(map(views.delivery, page.items)), next=page.next))
