"""One event on its way: signed, committed first, tried again, its answer taken or refused."""

import asyncio
import json
import re
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from voicebot.core.actions import HangUp, Say
from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, Undelivered
from voicebot.errors import LocalProtocolError
from voicebot.wire.webhook import encode
from voicebot.wire.webhook_reply import UNSET, Reply

HELLO = {"actions": [{"type": "say", "text": "Hi."}, {"type": "hangup"}], "state": [1]}


# --- the request -----------------------------------------------------------------------------------


async def test_a_reply_comes_back(app, bench):
    app.answers = [app.reply(HELLO)]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(Replied)
        await line.wait_for(Attempted)
    assert told.reply == Reply((Say(text="Hi."), HangUp()), [1])
    assert (told.event_id, told.sequence, told.event_type, told.attempts) == ("evt_CA1_1", 1, "no_input", 1)
    assert told.queued_at <= told.sent_at <= told.first_byte_at <= told.done_at
    (row,) = await bench.store.events("CA1")
    assert (row["state"], row["attempts"], row["last_status"], row["last_error"]) == ("delivered", 1, 200, None)
    (attempt,) = await bench.store.deliveries("evt_CA1_1")
    assert (attempt["attempt"], attempt["status"], attempt["error"]) == (1, 200, None)


async def test_the_request_is_a_standard_webhook(app, bench):
    event = bench.live(1)
    async with bench.line(app.url) as line:
        await line.lane.post(event)
        await line.wait_for(Replied)
    (request,) = app.requests
    assert request.body == encode(event)
    assert Webhook(bench.secret).verify(request.body, request.headers) == json.loads(request.body)
    assert request.headers["webhook-id"] == event.id
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("voicebot/")
    # W3C Trace Context, traceparent: version, trace, span, sampled.
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", request.headers["traceparent"])


async def test_the_event_is_committed_before_its_first_attempt(app, bench):
    seen = []

    async def answer(_: web.Request) -> web.Response:
        seen.extend(bench.look("select id, state, attempts from events"))
        return web.Response(status=204)

    app.answers = [answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(Replied)
    assert seen == [("evt_CA1_1", "pending", 0)]


async def test_every_attempt_is_signed_anew_under_the_same_id(app, bench):
    app.answers = [app.reply(status=500), app.reply()]
    clock = iter(datetime.now(UTC) + timedelta(seconds=second) for second in range(100))
    bench.courier["now"] = lambda: next(clock)
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        assert (await line.wait_for(Replied)).attempts == 2
    first, second = app.requests
    for request in (first, second):
        Webhook(bench.secret).verify(request.body, request.headers)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    trace, span = zip(*(request.headers["traceparent"].split("-")[1:3] for request in (first, second)), strict=True)
    assert trace[0] == trace[1]
    assert span[0] != span[1]


async def test_proxies_of_the_environment_are_not_used(app, bench, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(Replied)


# --- attempts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 307, 408, 409, 425, 429, 500, 503])
async def test_a_passing_status_is_tried_again(app, bench, status):
    app.answers = [app.reply(status=status, headers={"Location": app.url}), app.reply(HELLO)]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        assert (await line.wait_for(Replied)).attempts == 2
        await line.wait_for(Attempted, 2)
    assert [(told.attempt, told.status, told.error) for told in line.of(Attempted)] == [
        (1, status, f"status {status}"),
        (2, 200, None),
    ]
    assert len(app.requests) == 2
    assert [row["status"] for row in await bench.store.deliveries("evt_CA1_1")] == [status, 200]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param("reset", "Disconnected|reset", id="reset"),
        pytest.param("half_a_body", "Payload|reset|closed", id="half-a-body"),
        pytest.param("hang", r"no answer within 0\.[2-9] s", id="hang"),
    ],
)
async def test_a_broken_connection_is_tried_again(app, bench, fault, error):
    app.answers = [getattr(app, fault), app.reply(HELLO)]
    async with bench.line(app.url, attempt_timeout_s=0.25) as line:
        await line.lane.post(bench.live(1))
        first = await line.wait_for(Attempted)
        assert first.status is None
        assert re.search(error, first.error)
        # The second attempt may be cut short by a slow machine; then it is one more of the same.
        assert (await line.wait_for(Replied)).attempts >= 2


async def test_nobody_listens(bench):
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with bench.line(url, reply_deadline_s=0.3, retry_waits_s=(0.1,)) as line:
            await line.lane.post(bench.live(1))
            told = await line.wait_for(ReplyFailed)
            assert told.reason == "deadline"
            assert "ClientConnectorError" in told.detail
            assert await line.states() == ["pending"]


async def test_a_refusal_is_final(app, bench):
    app.answers = [app.reply(status=404)]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
        assert (told.reason, told.detail) == ("dead", "status 404")
        await line.lane.post(bench.live(2))
        await line.wait_for(ReplyFailed, 2)
    assert len(app.requests) == 2
    assert await line.states() == ["dead", "dead"]


@pytest.mark.parametrize("first", ["live", "info"])
async def test_gone_stops_the_endpoint(app, bench, first):
    app.answers = [app.reply(status=410), app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(getattr(bench, first)(1))
        await line.lane.post(bench.live(2))
        await line.lane.post(bench.info(3))
        told = await line.wait_for(Undelivered, 2 if first == "info" else 1)
        assert "410 before" in told.detail
    assert app.sequences == [1]
    assert line.of(ReplyFailed)[-1].reason == "dead"
    assert await line.states() == ["pending"] * 3
    assert bench.look("select url, why from endpoints") == [(app.url, "status 410")]


async def test_retry_after_past_the_deadline_ends_it(app, bench):
    app.answers = [app.reply(status=503, headers={"Retry-After": "60"})]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
    assert (told.reason, told.detail) == ("deadline", "status 503")
    assert len(app.requests) == 1
    assert await line.states() == ["pending"]


# --- the deadline ----------------------------------------------------------------------------------


async def test_no_reply_in_time(app, bench):
    app.answers = [app.hang]
    async with bench.line(app.url, reply_deadline_s=0.1, attempt_timeout_s=0.3) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
        assert (told.reason, told.detail) == ("deadline", "no reply within 0.1 s")
        assert line.of(Attempted) == []
        assert (await line.wait_for(Attempted)).error.startswith("no answer within")
    assert await line.states() == ["pending"]


async def test_a_late_reply_is_recorded_and_never_performed(app, bench):
    release = asyncio.Event()

    async def late(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response(HELLO)

    app.answers = [late]
    async with bench.line(app.url, reply_deadline_s=0.1) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(ReplyFailed)
        release.set()
        attempt = await line.wait_for(Attempted)
        assert (attempt.status, attempt.error) == (200, "too late: not performed")
    assert line.of(Replied) == []
    assert await line.states() == ["delivered"]


# --- replies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        pytest.param(b"", "text/html", Reply(), id="empty"),
        pytest.param(b"Hi.", "text/plain", Reply((Say(text="Hi."),)), id="text"),
        pytest.param(b'{"state":null}', "application/json", Reply((), None), id="state"),
        pytest.param(b'{"type":"hangup"}', "application/x-ndjson", Reply((HangUp(),), UNSET), id="one-line"),
    ],
)
async def test_replies(app, bench, body, content_type, expected):
    app.answers = [app.raw(body, content_type, status=201)]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        assert (await line.wait_for(Replied)).reply == expected


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "detail"),
    [
        pytest.param(b"<p>OK", "text/html", {}, "$: has the content type text/html", id="content-type"),
        pytest.param(b'{"actions":', "application/json", {}, "$: is no JSON", id="garbage"),
        pytest.param(b"x" * 2_000, "text/plain", {}, "$: is larger than 1024 bytes", id="huge"),
        pytest.param(
            b'{"actions":[{"type":"play","url":"x"}]}', "application/json", {}, "$.actions[0].url: ", id="action"
        ),
        pytest.param(b"\x1f\x8b", "text/plain", {"Content-Encoding": "gzip"}, "$: is encoded (gzip)", id="gzip"),
    ],
)
async def test_a_malformed_reply_is_refused_once(app, bench, body, content_type, headers, detail):
    app.answers = [app.raw(body, content_type, **headers)]
    async with bench.line(app.url, max_reply_bytes=1_024) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
        assert told.reason == "refused"
        assert detail in told.detail
        assert (await line.wait_for(Attempted)).error == told.detail
    assert len(app.requests) == 1
    (row,) = await bench.store.events("CA1")
    assert (row["state"], row["last_status"], row["last_error"]) == ("delivered", 200, told.detail)


async def test_an_endless_reply_is_cut_off(app, bench):
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    app.answers = [endless, app.reply()]
    async with bench.line(app.url, max_reply_bytes=100_000) as line:
        await line.lane.post(bench.live(1))
        assert "larger than 100000 bytes" in (await line.wait_for(ReplyFailed)).detail
        await line.lane.post(bench.live(2))
        await line.wait_for(Replied)


async def test_what_is_answered_to_information_does_not_matter(app, bench):
    app.answers = [app.raw(b"<html>", "text/html")]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.info(1))
        await line.wait_for(Delivered)
    assert line.of(Replied) == line.of(ReplyFailed) == []
    assert await line.states() == ["delivered"]


# --- no endpoint, no store -------------------------------------------------------------------------


async def test_without_an_endpoint_everything_is_kept(bench):
    async with bench.line("") as line:
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        assert (await line.wait_for(ReplyFailed)).reason == "no_endpoint"
        assert "no webhook URL" in (await line.wait_for(Undelivered)).detail
    assert await line.states() == ["no_endpoint"] * 2


async def test_a_store_out_of_order_does_not_silence_the_call(app, bench):
    app.answers = [app.reply(HELLO)]
    async with bench.line(app.url) as line:
        with closing(sqlite3.connect(bench.file, isolation_level=None)) as other:
            other.execute("begin immediate")
            await line.lane.post(bench.live(1))
            await line.wait_for(Replied)
    assert await line.states() == ["delivered"], "the write was only late"


async def test_a_store_that_refuses_does_not_silence_the_call(app, bench, capsys):
    async with bench.line(app.url) as line:
        with closing(sqlite3.connect(bench.file)) as other, other:
            other.execute("drop table deliveries")
            other.execute("drop table events")
        await line.lane.post(bench.live(1))
        await line.wait_for(Replied)
    logged = capsys.readouterr().out
    assert "webhook.not_stored" in logged
    assert "webhook.attempt_not_recorded" in logged


async def test_nothing_is_posted_after_the_end(app, bench):
    async with bench.line(app.url) as line:
        line.lane.close()
        with pytest.raises(LocalProtocolError, match="no_input after the end"):
            await line.lane.post(bench.live(1))
