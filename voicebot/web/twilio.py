"""Twilio's HTTP doors: the voice webhook, what follows a stream or a transfer, and the status callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web

from voicebot.call.admission import Busy
from voicebot.call.call import Call
from voicebot.call.departed import Departed
from voicebot.call.dialled import TICKET, Dialled
from voicebot.call.inputs import CarrierEnded
from voicebot.call.registry import Calls
from voicebot.call.route import DIAL_SUCCEEDED
from voicebot.config import LimitSettings, TwilioSettings
from voicebot.errors import VoicebotError
from voicebot.metrics import Metrics
from voicebot.web.refusals import Refusals
from voicebot.wire import twiml
from voicebot.wire.twilio import Signatures
from voicebot.wire.twiml import Doors

SIGNATURE = "X-Twilio-Signature"
FORM = "application/x-www-form-urlencoded"
ERROR = "ErrorUrl"
"""The parameter by which Twilio says that it asks here because another address has failed (fallback URL)."""
ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Values of CallStatus after which a call is over (Twilio, call resource)."""

ENDING_S = 10.0
"""The answer to the news of a call's end waits so long for the end at most; Twilio would wait 15 s (webhooks, timeouts)."""

type Door = Callable[[Mapping[str, str]], Awaitable[str]]
type Elsewhere = Callable[[web.Request, str], Awaitable[web.StreamResponse | None]]


async def _nowhere(_request: web.Request, _call: str) -> None:
    return None


class TwilioDoors:
    """Every request is a signed form POST; what is not is refused, logged and counted."""

    def __init__(  # noqa: PLR0913 - what the doors need
        self,
        settings: TwilioSettings,
        limits: LimitSettings,
        doors: Doors,
        signatures: Signatures | None,
        calls: Calls,
        dialled: Dialled,
        metrics: Metrics,
        *,
        elsewhere: Elsewhere = _nowhere,
    ) -> None:
        """`elsewhere` answers the requests about calls of other workers, and returns None for all others."""
        self._limits, self._elsewhere = limits, elsewhere
        self._settings, self._doors, self._signatures = settings, doors, signatures
        self._calls, self._dialled = calls, dialled
        self._refusals, self._departed = Refusals(metrics), Departed()
        self._log = structlog.get_logger()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, relative to the public URL."""
        doors: Mapping[str, Door] = {
            "voice": self._voice,
            "connected": self._connected,
            "dialed": self._dialed,
            "stream-status": self._stream_status,
            "status": self._status,
        }
        return [web.post(f"/twilio/{name}", self._guarded(name, door)) for name, door in doors.items()]

    def _guarded(self, name: str, door: Door) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            form = await self._form(request, name)
            if answer := await self._elsewhere(request, form["CallSid"]):
                return answer
            if form.get("CallStatus") in ENDED:
                self._departed.add(form["CallSid"])
            return web.Response(text=await door(form), content_type=twiml.CONTENT_TYPE)

        return handle

    async def _form(self, request: web.Request, door: str) -> Mapping[str, str]:
        """Read the form and check who sent it; raises the HTTP answer when it is not Twilio."""
        url = self._doors.at(door) + (
            f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        )
        signature = request.headers.get(SIGNATURE, "")
        # The body of one who has no signature at all is not even read.
        posted = await self._posted(request, door) if signature or not self._signatures else {}
        if self._signatures and not self._signatures.valid_request(url, posted, signature):
            why = "wrong signature" if signature else "no signature"
            text = f"{why}: this must be signed for {url} with the account's auth token\n"
            raise self._refused(door, why, web.HTTPForbidden(text=text))
        form = {name: str(value) for name, value in posted.items()}
        form |= {name: request.query[name] for name in (TICKET,) if name in request.query}
        if self._settings.account_sid and form.get("AccountSid") != self._settings.account_sid:
            raise self._refused(door, "wrong account", web.HTTPForbidden(text="another account's request\n"))
        if not form.get("CallSid"):
            raise self._refused(door, "no CallSid", web.HTTPBadRequest(text="the form has no CallSid\n"))
        return form

    async def _posted(self, request: web.Request, door: str) -> Mapping[str, Any]:
        if request.content_type != FORM:
            raise self._refused(door, "not a form", web.HTTPBadRequest(text=f"only {FORM} is taken here\n"))
        try:
            async with asyncio.timeout(self._settings.form_timeout_s):
                return await request.post()
        except TimeoutError:
            answer = web.HTTPRequestTimeout(text="the form did not come in time\n")
            answer.force_close()
            raise self._refused(door, "too slow", answer) from None
        except web.HTTPRequestEntityTooLarge as error:
            raise self._refused(door, "too large", error) from None
        except (ValueError, LookupError) as error:  # not of the charset that it names, or of one that nobody knows
            raise self._refused(door, "not a form", web.HTTPBadRequest(text=f"not a form: {error}\n")) from None

    def _refused(self, door: str, why: str, answer: web.HTTPException) -> web.HTTPException:
        self._refusals.note(door, why, status=answer.status)
        return answer

    async def _voice(self, form: Mapping[str, str]) -> str:
        if form["CallSid"] in self._departed:
            # Twilio's signature has no time in it: who has seen a request can send it again.
            self._refusals.note("voice", "call is over")
            return twiml.hangup()
        carrier = {name: value for name, value in form.items() if name != TICKET}
        try:
            call = await self._calls.recall(form["CallSid"])
            if call and not call.route.handed_over and (call.route.lost or call.route.leaving or ERROR in form):
                return await call.route.what_follows()
            dialling = self._dialled.answered(form.get(TICKET, ""))
            call = self._calls.open(carrier, dialling.parameters if dialling else None, held=dialling is not None)
            await call.route.begun.wait()  # in the store: the process after us must know it when its stream comes
            return call.route.answer()
        except Busy as busy:
            self._refusals.note("voice", busy.why, text=str(busy), calls=len(self._calls))
            draining = busy.why == "draining"
            return twiml.refuse(self._limits.drain_twiml if draining else self._limits.busy_twiml)

    async def _connected(self, form: Mapping[str, str]) -> str:
        call = await self._calls.recall(form["CallSid"])
        if call is None:
            return twiml.hangup()
        if form.get("CallStatus") in ENDED:
            return await _ended(call, form["CallStatus"])
        return await call.route.what_follows()

    async def _dialed(self, form: Mapping[str, str]) -> str:
        call = await self._calls.recall(form["CallSid"])
        if call is None:
            return twiml.hangup()
        status = form.get("DialCallStatus", "failed")
        if form.get("CallStatus") in ENDED and status not in DIAL_SUCCEEDED:
            # The caller did not wait: there is nobody to come back to the bot.
            return await _ended(call, form["CallStatus"])
        return await call.route.dialed(status)

    async def _stream_status(self, form: Mapping[str, str]) -> str:
        """Only here does Twilio say why a stream could not be opened (TwiML Stream, status callback)."""
        event, error = form.get("StreamEvent", ""), form.get("StreamError", "")
        log = self._log.bind(call=form["CallSid"], stream=form.get("StreamSid", ""))
        if error:
            log.error("door.stream_error", error=error)
        else:
            log.debug("door.stream_status", status=event)
        return twiml.nothing()

    async def _status(self, form: Mapping[str, str]) -> str:
        status = form.get("CallStatus", "")
        if status not in ENDED:
            return twiml.nothing()
        await self._calls.ended(form["CallSid"], "caller_hangup")
        if call := self._calls.find(form["CallSid"]):
            return await _ended(call, status)
        if ticket := form.get(TICKET):
            try:
                await self._dialled.unanswered(ticket, form["CallSid"], status)
            except VoicebotError as error:
                self._log.warning("call.trouble", call=form["CallSid"], what=f"not in the store: {error}")
        return twiml.nothing()


async def _ended(call: Call, status: str) -> str:
    """Let a call end, and answer when that is in the store: the carrier says it again only to who has not answered."""
    await call.put(CarrierEnded(status))
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_S):
            await call.ended.wait()
    return twiml.nothing()
