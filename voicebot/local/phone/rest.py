"""A small stand-in for Twilio's REST API: places calls, changes them, and starts and stops their streams."""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, Literal

from aiohttp import web

from voicebot.local.phone import twiml
from voicebot.local.phone.caller import Document, PhoneCall
from voicebot.local.phone.events import PhoneEvent
from voicebot.local.phone.options import ALL_CALL_EVENTS, CallEvent, CallOptions
from voicebot.local.phone.report import CallReport
from voicebot.local.phone.rest_answers import (
    API_VERSION,
    AUTHENTICATE,
    NO_FROM,
    NO_TO,
    NOT_IN_PROGRESS,
    URL_REQUIRED,
    Refusal,
    bad_parameter,
    call_resource,
    invalid_url,
    not_found,
    stream_resource,
)
from voicebot.local.phone.routes import RouteError, Routes
from voicebot.local.phone.webhooks import Ask

#: Longest `Twiml` parameter, in characters (Twilio, Calls resource).
MAX_TWIML_CHARS: Final = 4000
#: Calls under way at once.
MAX_CALLS: Final = 100
#: Parameters of a stream (`Parameter1.Name` ... `Parameter99.Value`).
MAX_PARAMETERS: Final = 99
_CALLS: Final = f"/{API_VERSION}/Accounts/{{account}}/Calls"

type _Form = Mapping[str, str]
type _Handler = Callable[[web.Request, _Form], Awaitable[web.Response]]


class _Refused(Exception):  # noqa: N818 - carries an answer, as aiohttp's own HTTP exceptions do
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Desk:
    """Knows the calls of one account and what REST may do to them.

    Calls it places are made with `template`, which decides what the called person does.
    """

    def __init__(
        self,
        template: CallOptions,
        *,
        observe: Callable[[PhoneEvent], None] | None = None,
        finished: Callable[[CallReport], None] | None = None,
    ) -> None:
        self.calls: dict[str, PhoneCall] = {}
        self._template = template
        self._observe = observe
        self._finished = finished
        self._group: asyncio.TaskGroup

    def add(self, call: PhoneCall) -> None:
        """Let REST see a call made elsewhere."""
        self.calls[call.call_sid] = call

    async def run(self, host: str, port: int, ready: Callable[[str], None]) -> None:
        """Serve until cancelled, or raise `OSError` when the port is taken; `ready` is told the base URL once requests are taken."""
        runner = web.AppRunner(self.application())
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            async with asyncio.TaskGroup() as self._group:
                ready("http://{}:{}".format(*runner.addresses[0][:2]))
                await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def application(self) -> web.Application:
        """The routes; basic auth with the account's SID and auth token on each."""
        app = web.Application()
        app.add_routes(
            [
                web.post(f"{_CALLS}.json", self._guarded(self._create)),
                web.get(f"{_CALLS}/{{sid}}.json", self._guarded(self._show)),
                web.post(f"{_CALLS}/{{sid}}.json", self._guarded(self._update)),
                web.post(f"{_CALLS}/{{sid}}/Streams.json", self._guarded(self._start_stream)),
                web.post(f"{_CALLS}/{{sid}}/Streams/{{stream}}.json", self._guarded(self._stop_stream)),
                web.route("*", "/{rest:.*}", self._guarded(self._missing)),
            ],
        )
        return app

    def _guarded(self, handler: _Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                self._authenticate(request)
                posted = await request.post()
                # Lists, such as StatusCallbackEvent, come as one parameter several times.
                form = {name: " ".join(str(value) for value in posted.getall(name)) for name in posted}
                return await handler(request, form)
            except _Refused as refused:
                return web.json_response(refused.refusal.body(), status=refused.refusal.status)

        return handle

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise _Refused(AUTHENTICATE) from error
        wanted = f"{self._template.account_sid}:{self._template.auth_token}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(given, wanted):
            raise _Refused(AUTHENTICATE)
        if request.match_info.get("account", self._template.account_sid) != self._template.account_sid:
            raise _Refused(not_found(request.path))

    async def _create(self, _request: web.Request, form: _Form) -> web.Response:
        if not form.get("To"):
            raise _Refused(NO_TO)
        if not form.get("From"):
            raise _Refused(NO_FROM)
        if not form.get("Url") and not form.get("Twiml"):
            raise _Refused(URL_REQUIRED)
        _check_document(form)
        under_way = sum(not call.over for call in self.calls.values())
        if under_way >= MAX_CALLS:
            raise _Refused(bad_parameter(f"more than {MAX_CALLS} calls at once"))
        call = PhoneCall(self._options(form), observe=self._observe)
        self.add(call)
        self._group.create_task(self._carry_out(call))
        return web.json_response(call_resource(call), status=web.HTTPCreated.status_code)

    async def _carry_out(self, call: PhoneCall) -> None:
        report = await call.run()
        if self._finished is not None:
            self._finished(report)

    def _options(self, form: _Form) -> CallOptions:
        return replace(
            self._template,
            voice_url=form.get("Url", "https://example.invalid/"),
            voice_method=_method(form, "Method"),
            fallback_url=form.get("FallbackUrl"),
            twiml=form.get("Twiml"),
            call_sid=None,
            from_=form["From"],
            to=form["To"],
            direction="outbound-api",
            status_callback=form.get("StatusCallback"),
            status_callback_method=_method(form, "StatusCallbackMethod"),
            status_callback_events=_events(form),
        )

    async def _show(self, request: web.Request, _form: _Form) -> web.Response:
        return web.json_response(call_resource(self._find(request)))

    async def _update(self, request: web.Request, form: _Form) -> web.Response:
        call = self._find(request)
        status = form.get("Status")
        if status is not None:
            if status not in {"completed", "canceled"}:
                raise _Refused(bad_parameter(f"Status {status!r}: completed or canceled"))
            if call.over:
                raise _Refused(not_found(request.path))
            call.hang_up("rest", f"REST: Status={status}")
        elif form.get("Url") or form.get("Twiml"):
            if call.over or call.status != "in-progress":
                raise _Refused(NOT_IN_PROGRESS)
            _check_document(form)
            call.replace(self._document(call, form))
        return web.json_response(call_resource(call))

    def _document(self, call: PhoneCall, form: _Form) -> Ask | Document:
        if form.get("Twiml"):
            return Document(form["Twiml"], call.options.voice_url)
        return Ask("REST update", form["Url"], _method(form, "Method"))

    async def _start_stream(self, request: web.Request, form: _Form) -> web.Response:
        call = self._find(request)
        if call.over or call.status != "in-progress":
            raise _Refused(NOT_IN_PROGRESS)
        if not form.get("Url"):
            raise _Refused(URL_REQUIRED)
        wanted = form.get("Track", "inbound_track")
        if wanted not in twiml.TRACKS:
            raise _Refused(bad_parameter(f"Track {wanted!r}: one of {', '.join(twiml.TRACKS)}"))
        verb = twiml.Stream(
            url=form["Url"],
            name=form.get("Name"),
            track=twiml.TRACKS[wanted],
            status_callback=form.get("StatusCallback"),
            status_callback_method=_method(form, "StatusCallbackMethod"),
            parameters=_parameters(form),
        )
        sid = await call.start_stream(verb)
        return web.json_response(stream_resource(call, call.streams[sid]), status=web.HTTPCreated.status_code)

    async def _stop_stream(self, request: web.Request, form: _Form) -> web.Response:
        call = self._find(request)
        wanted = request.match_info["stream"]
        found = [stream for stream in call.streams.values() if wanted in {stream.plan.sid, stream.plan.name}]
        if not found:
            raise _Refused(not_found(request.path))
        if form.get("Status") != "stopped":
            raise _Refused(bad_parameter("Status must be stopped"))
        found[-1].request_stop()
        return web.json_response(stream_resource(call, found[-1]))

    async def _missing(self, request: web.Request, _form: _Form) -> web.Response:
        raise _Refused(not_found(request.path))

    def _find(self, request: web.Request) -> PhoneCall:
        call = self.calls.get(request.match_info["sid"])
        if call is None:
            raise _Refused(not_found(request.path))
        return call


def _check_document(form: _Form) -> None:
    if len(form.get("Twiml", "")) > MAX_TWIML_CHARS:
        raise _Refused(bad_parameter(f"Twiml has more than {MAX_TWIML_CHARS} characters"))
    if form.get("Twiml") and form.get("Url"):
        raise _Refused(bad_parameter("Url and Twiml exclude each other"))
    if form.get("Url"):
        try:
            Routes({}).locate(form["Url"])
        except RouteError as error:
            raise _Refused(invalid_url(form["Url"])) from error


def _method(form: _Form, name: str) -> Literal["POST", "GET"]:
    return "GET" if form.get(name, "POST").upper() == "GET" else "POST"


def _events(form: _Form) -> tuple[CallEvent, ...]:
    """The events asked for; Twilio reports only `completed` unless told more."""
    asked = form.get("StatusCallbackEvent", "completed").split()
    return tuple(event for event in ALL_CALL_EVENTS if event in asked)


def _parameters(form: _Form) -> tuple[tuple[str, str], ...]:
    numbers = range(1, MAX_PARAMETERS + 1)
    return tuple(
        (form[f"Parameter{number}.Name"], form.get(f"Parameter{number}.Value", ""))
        for number in numbers
        if f"Parameter{number}.Name" in form
    )
