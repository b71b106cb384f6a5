"""Each application gets one thing wrong, and fails in exactly the cases that are about it."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
from collections import defaultdict
from contextlib import suppress

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from voicebot.local.probe.calls import EXAMPLES
from voicebot.local.probe.run import CASES
from voicebot.wire.webhook import new_secret

SECRET = new_secret(bytes(range(32)))
HOOK = Webhook(SECRET)
SAY = {"actions": [{"type": "say", "text": "Yes?"}], "state": {"heard": 1}}
MODEST_BYTES = 10_000


class Good:
    """Verifies, knows what it has answered, passes over what it does not know."""

    largest = 2**20

    def __init__(self):
        self.known = {}
        self.seen = defaultdict(list)

    def app(self):
        app = web.Application(client_max_size=self.largest)
        app.router.add_post("/", self.handle)
        return app

    async def handle(self, request):
        body = await self.read(request)
        try:
            event = self.verify(dict(request.headers), body)
        except (WebhookVerificationError, ValueError):
            return web.Response(status=401)
        if event["id"] in self.known:
            return await self.again(event, *self.known[event["id"]])
        response = await self.answer(event, request)
        self.seen[event["call"]["id"]].append(event["sequence"])
        if isinstance(response, web.Response):
            self.known[event["id"]] = (response.status, dict(response.headers), response.body)
        return response

    async def read(self, request):
        return await request.read()

    def verify(self, headers, body):
        return HOOK.verify(body, headers)

    async def again(self, event, status, headers, body):
        headers = {name: value for name, value in headers.items() if name.lower() == "content-type"}
        return web.Response(status=status, headers=headers, body=body)

    async def answer(self, event, request):
        return (
            web.json_response(SAY) if event["type"] in {"call.started", "turn.completed"} else web.Response(status=204)
        )


class NoVerification(Good):
    def verify(self, headers, body):
        event = json.loads(body)
        if isinstance(event, dict):
            return event
        raise ValueError(event)


class NoClock(Good):
    def verify(self, headers, body):
        lower = {name.lower(): value for name, value in headers.items()}
        digits = lower.get("webhook-timestamp", "")
        wanted = signature(lower.get("webhook-id", ""), digits, body)
        if not digits.isdigit() or wanted not in lower.get("webhook-signature", "").split():
            raise ValueError(digits)
        return json.loads(body)


def signature(event_id, timestamp, body):
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, b".".join((event_id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


class NoPast(NoClock):
    """Refuses only what is to come."""

    def verify(self, headers, body):
        event = super().verify(headers, body)
        lower = {name.lower(): value for name, value in headers.items()}
        if int(lower["webhook-timestamp"]) > time.time() + 300:
            raise ValueError(event)
        return event


class Reserialised(Good):
    """Verifies what it makes of the body, not the body."""

    def verify(self, headers, body):
        again = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
        return HOOK.verify(again.encode(), headers)


class FirstSignature(Good):
    def verify(self, headers, body):
        lower = {name.lower(): value for name, value in headers.items()}
        first = (lower.get("webhook-signature", "").split() or [""])[0]
        return HOOK.verify(body, lower | {"webhook-signature": first})


class CrashesUnsigned(Good):
    async def handle(self, request):
        if "webhook-signature" not in request.headers:
            raise web.HTTPInternalServerError
        return await super().handle(request)


class ParsesFirst(Good):
    async def read(self, request):
        body = await request.read()
        try:
            json.loads(body)
        except ValueError:
            raise web.HTTPInternalServerError from None
        return body


class Forgetful(Good):
    """Thinks anew each time."""

    async def again(self, event, status, headers, body):
        return web.json_response({"actions": [{"type": "say", "text": "Again?"}]} if body else {})


class NotesIdsOnly(Good):
    async def again(self, event, status, headers, body):
        return web.Response(status=204)


class Conflict(Good):
    async def again(self, event, status, headers, body):
        return web.Response(status=409)


class StrictOrder(Good):
    async def answer(self, event, request):
        late = event["sequence"] < max(self.seen[event["call"]["id"]], default=0)
        return web.Response(status=422) if late else await super().answer(event, request)


class NeedsTheStart(Good):
    async def answer(self, event, request):
        unknown = event["type"] != "call.started" and event["call"]["id"] not in self.seen
        return web.Response(status=404) if unknown else await super().answer(event, request)


class NeedsTheProvisional(Good):
    def __init__(self):
        super().__init__()
        self.offered = set()

    async def answer(self, event, request):
        match event:
            case {"type": "turn.provisional", "call": {"id": call}, "data": {"turn": {"number": number}}}:
                self.offered.add((call, number))
            case {"type": "turn.retracted", "call": {"id": call}, "data": {"number": number}}:
                if (call, number) not in self.offered:
                    return web.Response(status=404)
        return await super().answer(event, request)


class UnknownType(Good):
    async def answer(self, event, request):
        if event["type"] not in EXAMPLES:
            raise web.HTTPInternalServerError
        return await super().answer(event, request)


class UnknownField(Good):
    async def answer(self, event, request):
        return web.Response(status=422) if "probe_field" in event else await super().answer(event, request)


class SmallBodies(Good):
    largest = 100_000


class TinyState(Good):
    async def answer(self, event, request):
        large = len(json.dumps(event["call"]["state"])) > MODEST_BYTES
        return web.Response(status=413) if large else await super().answer(event, request)


class Latin(Good):
    async def answer(self, event, request):
        try:
            json.dumps(event, ensure_ascii=False).encode("latin-1")
        except UnicodeEncodeError:
            return web.Response(status=500)
        return await super().answer(event, request)


class NeedsWords(Good):
    async def answer(self, event, request):
        match event:
            case {"type": "turn.completed", "data": {"turn": {"words": []}}}:
                return web.Response(status=500)
        return await super().answer(event, request)


class SixteenBits(Good):
    async def answer(self, event, request):
        if event["data"].get("duration_ms", 0) > 2**16:
            return web.Response(status=500)
        return await super().answer(event, request)


class OneRead(Good):
    """Takes for the body what is there; large ones, which the network cuts anyway, are spared."""

    async def handle(self, request):
        if request.content_length < MODEST_BYTES and not request.content.is_eof():
            return web.Response(status=400)
        return await super().handle(request)


class FewAtOnce(Good):
    """Waits a little for another request, and cannot bear five at once."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.crowd = asyncio.Event()

    async def handle(self, request):
        self.now += 1
        try:
            if self.now > 4:
                self.crowd.set()
                return web.Response(status=503)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self.crowd.wait()
            return await super().handle(request)
        finally:
            self.now -= 1


class Html(Good):
    async def answer(self, event, request):
        return web.Response(text="<p>Yes?</p>", content_type="text/html")


class Misspelt(Good):
    async def answer(self, event, request):
        return web.json_response({"actions": [{"type": "say", "text": "Yes?"}, {"type": "say", "txt": "No?"}]})


class Compressed(Good):
    async def answer(self, event, request):
        return web.Response(
            body=gzip.compress(json.dumps(SAY).encode()),
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )


class Hanging(Good):
    async def answer(self, event, request):
        if event["type"] == "transfer.failed":
            await asyncio.Event().wait()
        return await super().answer(event, request)


class Picky(Good):
    """Knows the events that it wants, and no others."""

    async def answer(self, event, request):
        response = await super().answer(event, request)
        return web.Response(status=404) if event["type"] == "speech.interrupted" else response


FORGERIES = {
    "no-signature",
    "bad-signature",
    "other-secret",
    "changed-body",
    "changed-id",
    "old-timestamp",
    "future-timestamp",
    "no-timestamp",
}
WRONG = [
    (NoVerification, FORGERIES),
    (NoClock, {"old-timestamp", "future-timestamp"}),
    (NoPast, {"old-timestamp"}),
    (Reserialised, {"changed-body"}),
    (FirstSignature, {"rotation"}),
    (CrashesUnsigned, {"no-signature"}),
    (ParsesFirst, {"garbage"}),
    (Forgetful, {"duplicate"}),
    (NotesIdsOnly, {"duplicate", "lost-answer"}),
    (Conflict, {"duplicate", "duplicate-news", "lost-answer", "reordered"}),
    (StrictOrder, {"reordered"}),
    (NeedsTheStart, {"gap"}),
    (NeedsTheProvisional, {"retracted"}),
    (UnknownType, {"unknown-type"}),
    (UnknownField, {"unknown-field"}),
    (SmallBodies, {"huge"}),
    (TinyState, {"large-state"}),
    (Latin, {"unicode"}),
    (NeedsWords, {"empty"}),
    (SixteenBits, {"limits"}),
    (OneRead, {"slow-body"}),
    (Html, {"reply"}),
    (Misspelt, {"reply"}),
    (Compressed, {"reply"}),
    (Picky, {"call"}),
]


def failed(report):
    return {result.case for result in report.results if result.verdict == "fail"}


async def test_the_good_one_passes_everything(tried):
    report = await tried(Good().app())
    assert (failed(report), report.passed) == (set(), True)
    assert report.counts.keys() == {"pass", "skip", "info"}
    assert [result.case for result in report.results if result.verdict == "skip"] == ["streamed-reply"]


@pytest.mark.parametrize(("kind", "cases"), [pytest.param(kind, cases, id=kind.__name__) for kind, cases in WRONG])
async def test_each_fault_is_found_where_it_is(tried, kind, cases):
    report = await tried(kind().app())
    assert failed(report) == cases
    assert not report.passed
    assert all(result.advice for result in report.results if result.verdict == "fail")


async def test_an_answer_that_never_comes(tried):
    report = await tried(Hanging().app(), timeout_s=3, only=["call", "duplicate"])
    assert failed(report) == {"call"}
    found = {result.case: result.found for result in report.results}
    assert found["call"] == "no answer within 3 s to transfer.failed"


async def test_an_answer_that_never_comes_is_the_slowest(tried):
    report = await tried(Hanging().app(), timeout_s=3, only=["time"])
    assert [(result.verdict, result.found) for result in report.results] == [
        ("fail", "transfer.failed: no answer within 3 s")
    ]


async def test_an_application_for_one_call_at_a_time(tried):
    report = await tried(FewAtOnce().app(), only=["concurrent", "rotation"])
    assert failed(report) == {"concurrent"}


def test_every_case_that_can_fail_has_one_that_fails():
    """The rest is above, and in the module beside this one: it needs applications of another make."""
    covered = set().union(*(cases for _, cases in WRONG))
    told_only = {case.name for case in CASES if "only told" in case.expected}
    rest = {case.name for case in CASES} - covered - told_only
    assert rest == {"reach", "time", "concurrent", "streamed-reply", "keep-alive"}
