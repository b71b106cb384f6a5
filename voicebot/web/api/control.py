"""Acts on calls: dial out, perform actions, end a turn, hang up."""

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from http import HTTPStatus

import structlog
from aiohttp import web

from voicebot.call.admission import Busy
from voicebot.call.call import Call
from voicebot.call.dialled import TICKET, Dialled
from voicebot.call.registry import Calls
from voicebot.carrier import Carrier
from voicebot.config import Settings
from voicebot.core.actions import HangUp
from voicebot.errors import ConfigurationError, PeerProtocolError, PeerRefused, PeerUnavailable
from voicebot.metrics import Metrics
from voicebot.store import Store
from voicebot.web.api import views
from voicebot.web.api.guard import HOLDER
from voicebot.web.api.handler import Handler, document
from voicebot.web.api.problems import Refused, conflict, not_allowed, not_found
from voicebot.web.api.reading import body
from voicebot.wire import api
from voicebot.wire.api_requests import ActionsRequest, DialRequest, HangUpRequest
from voicebot.wire.twiml import Doors
from voicebot.wire.webhook_handover import handover_fault


class ControlDoors:
    """What it accepts is done by the call itself, in its own time; the live events tell what came of it."""

    def __init__(
        self,
        settings: Settings,
        calls: Calls,
        dialled: Dialled,
        carrier: Carrier,
        store: Store,
        doors: Doors,
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self._settings, self._calls, self._dialled = settings, calls, dialled
        self._carrier, self._store, self._doors = carrier, store, doors
        self._log = structlog.get_logger()

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by their operation."""
        return {"dial": self.dial, "act": self.act, "finalize": self.finalize, "hang_up": self.hang_up}

    async def dial(self, request: web.Request) -> web.Response:
        """`POST /calls`."""
        asked = await body(DialRequest, request, self._settings.api)
        if not self._settings.webhook.handover.may_dial(asked.to):
            raise not_allowed("#/to", "may not be dialled here (setting webhook.handover.numbers)")
        self._admit()
        mode = self._settings.number(asked.from_).mode
        ticket, dialling = self._dialled.begin(asked.to, asked.from_, mode, asked.parameters)
        voice, status = (f"{self._doors.at(door)}?{TICKET}={ticket}" for door in ("voice", "status"))
        call_id = ""
        try:
            call_id = await _ordered(self._carrier.dial(asked.to, asked.from_, voice_url=voice, status_url=status))
        finally:
            if not call_id:
                self._dialled.refused(ticket)
        self._dialled.named(ticket, call_id)
        self._log.info("api.dialled", call=call_id, by=request[HOLDER].name)
        answer = views.summary(views.ringing(replace(dialling, carrier_id=call_id)), live=True)
        return document(answer, HTTPStatus.CREATED, {"Location": f"calls/{call_id}"})

    def _admit(self) -> None:
        """Hold a place for a call that is dialled at once; raises Refused when none is free."""
        try:
            self._calls.admit()
        except Busy as busy:
            self._metrics.refused.labels("api", busy.why).inc()
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, busy.why, f"no further call is taken now: {busy}") from None

    async def act(self, request: web.Request) -> web.Response:
        """`POST /calls/{id}/actions`."""
        call = await self._live(request)
        asked = await body(ActionsRequest, request, self._settings.api)
        if call.mode != "bot":
            raise conflict("only-listens", "the call is only transcribed: nothing can be done on it but to hang up")
        if call.route.leaving is not None:
            raise conflict("call-is-leaving", "the call is being handed over, or ended: nothing can be said on it now")
        for number, action in enumerate(asked.actions):
            if fault := handover_fault(action, self._settings.webhook.handover):
                raise not_allowed(f"#/actions/{number}{fault[0].replace('.', '/')}", fault[1])
        await call.command(asked.actions, interrupt=asked.interrupt)
        return self._accepted(request, [action.type for action in asked.actions])

    async def finalize(self, request: web.Request) -> web.Response:
        """`POST /calls/{id}/finalize`."""
        call = await self._live(request)
        await call.finalize_now()
        return self._accepted(request, ["finalize"])

    async def hang_up(self, request: web.Request) -> web.Response:
        """`POST /calls/{id}/hangup`."""
        rings = self._dialled.by_id(request.match_info["id"])
        call = None if rings else await self._live(request)
        asked = await body(HangUpRequest, request, self._settings.api, empty=True)
        if call and call.mode == "bot" and call.route.leaving is None:
            await call.command([HangUp(reason=asked.reason)], interrupt=True)
        else:
            # There is no stream whose end would end the call: the carrier has to do it.
            await _ordered(self._carrier.hang_up(call.identity.carrier_id if call else request.match_info["id"]))
        return self._accepted(request, ["hangup"])

    async def _live(self, request: web.Request) -> Call:
        call_id = request.match_info["id"]
        if call := self._calls.by_id(call_id):
            return call
        if self._dialled.by_id(call_id):
            raise conflict("call-rings", "nobody has answered the call yet")
        if await self._store.history.call(call_id) is None:
            raise not_found("call", call_id)
        raise conflict("call-is-over", "the call is over")

    def _accepted(self, request: web.Request, what: list[str]) -> web.Response:
        call_id = request.match_info["id"]
        self._log.info("api.command", call=call_id, actions=what, by=request[HOLDER].name)
        return document(api.Accepted(id=call_id), HTTPStatus.ACCEPTED)


async def _ordered[T](order: Awaitable[T]) -> T:
    """Wait for the carrier; raises Refused when the order is not carried out."""
    try:
        return await order
    except ConfigurationError as error:
        raise conflict("no-carrier", str(error)) from None
    except PeerRefused as refused:
        raise Refused(HTTPStatus.BAD_GATEWAY, "carrier-refused", f"{refused} (error {refused.code})") from None
    except (PeerUnavailable, PeerProtocolError) as error:
        raise Refused(HTTPStatus.BAD_GATEWAY, "carrier-unavailable", str(error)) from None
