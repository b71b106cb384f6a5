"""What is found beyond right and wrong: streams, slow and silent applications, dead addresses, connections."""

import asyncio
import socket

import pytest
from aiohttp import web

from voicebot.local import sample
from voicebot.local.probe import conversation
from voicebot.local.probe.run import CASES, choose, probe


def answering(respond):
    app = web.Application()
    app.router.add_route("*", "/", respond)
    return app


def saying(text):
    async def respond(_request):
        return web.Response(text=text)

    return respond


def only(report, name):
    (result,) = [result for result in report.results if result.case == name]
    return result


async def test_the_sample_application_passes(tried, secret):
    report = await tried(sample.application(secret))
    bad = [(result.case, result.found) for result in report.results if result.verdict in {"fail", "warn"}]
    assert (bad, report.passed) == ([], True)
    assert [result.case for result in report.results] == [case.name for case in CASES]
    assert only(report, "reply").found == "actions: hangup, listen, say"
    assert only(report, "reply-size").found.startswith("2 of 50 actions")
    assert only(report, "keep-alive").found == "4 requests over one connection"
    assert only(report, "methods").found == "GET: status 405, OPTIONS: status 405"


async def test_without_a_secret_nothing_is_signed_and_signatures_are_skipped(tried):
    headers = []

    async def respond(request):
        headers.append(request.headers)
        return web.Response(status=204)

    report = await tried(answering(respond), keys=())
    assert (report.signed, report.passed) == (False, True)
    skipped = {result.case for result in report.results if result.found == "no secret was given"}
    assert skipped == {case.name for case in CASES if case.group == "signature"}
    assert not any("webhook-signature" in given for given in headers)
    assert only(report, "reply").verdict == "warn"


LAST = 2
STREAM = '{"type": "say", "text": "One."}\n{"type": "say", "text": "Two."}\n'


async def test_a_streamed_reply_is_timed_and_left(tried):
    turns = 0

    async def respond(request):
        nonlocal turns
        event = await request.json()
        turns += event["type"] == "turn.completed"
        return web.Response(text=STREAM, content_type="application/x-ndjson")

    report = await tried(answering(respond), only=["streamed-reply", "reply"])
    assert only(report, "reply").found == "actions: say"
    assert only(report, "streamed-reply").verdict == "pass"
    assert "first action after" in only(report, "streamed-reply").found


async def test_an_application_that_does_not_survive_a_closed_stream(tried):
    turns = 0

    async def respond(request):
        nonlocal turns
        event = await request.json()
        turns += event["type"] == "turn.completed"
        if turns > 2:
            return web.Response(status=500)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"type": "say", "text": "One."}\n\n')
        if turns == 2:
            await asyncio.Event().wait()
        return response

    report = await tried(answering(respond), only=["streamed-reply"])
    result = only(report, "streamed-reply")
    assert (result.verdict, result.found) == ("fail", "after a stream that was closed: status 500")


async def test_a_stream_counts_from_its_first_action(tried):
    async def respond(request):
        event = await request.json()
        if event["type"] != "turn.completed":
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(STREAM.encode())
        await asyncio.sleep(0.3)
        return response

    report = await tried(answering(respond), only=["time", "streamed-reply"])
    told = only(report, "streamed-reply").found.split(" ms")
    first, end = (int(part.rpartition(" ")[2]) for part in told[:2])
    assert end >= 290 > first
    assert int(only(report, "time").found.split()[-2]) < 290


async def test_a_stream_that_has_begun_may_go_on(tried):
    """The limit for an answer is the limit for its beginning then."""
    requests = 0

    async def respond(request):
        nonlocal requests
        requests += 1
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(STREAM.encode())
        await asyncio.sleep(3.2 if requests == 2 else 0)
        return response

    report = await tried(answering(respond), only=["reply-size"], timeout_s=3)
    assert only(report, "reply-size").found.startswith("2 of 50 actions")
    assert only(report, "reply-size").ms > 3_000


async def test_slow_answers_to_news_are_warned(tried, monkeypatch):
    monkeypatch.setattr(conversation, "INFORM_MS", -1)
    report = await tried(answering(saying("Yes?")), only=["time"])
    assert only(report, "time").verdict == "warn"
    assert "sends it again" in only(report, "time").advice


async def test_a_slow_application_is_warned(tried, monkeypatch):
    monkeypatch.setattr(conversation, "SLOW_MS", -1)
    report = await tried(answering(saying("Yes?")), only=["time"])
    assert only(report, "time").verdict == "warn"
    assert report.passed


async def test_a_polite_framework_is_warned(tried):
    report = await tried(answering(saying("OK")), only=["reply"])
    assert only(report, "reply").verdict == "warn"
    assert "would hear “OK”" in only(report, "reply").found


async def test_a_malformed_reply_is_told_with_its_path(tried):
    async def respond(_):
        return web.json_response({"actions": [{"type": "pause", "ms": 1}, {"type": "play", "url": "nowhere"}]})

    found = only(await tried(answering(respond), only=["reply"]), "reply").found
    assert found.startswith("call.started: $.actions[1].url is not an absolute http(s) URL; ")
    assert found.endswith("… and 5 more")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        pytest.param(401, "Is the secret the same", id="another-secret"),
        pytest.param(404, "the whole URL", id="another-path"),
        pytest.param(307, "Redirects are not followed", id="redirect"),
        pytest.param(500, "its own log", id="broken"),
        pytest.param(429, "later", id="busy"),
        pytest.param(418, "Nothing else can be tried", id="odd"),
    ],
)
async def test_where_nothing_is_taken_the_rest_is_skipped(tried, status, advice):
    async def respond(_):
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    report = await tried(answering(respond), only=["duplicate", "garbage"])
    first, *rest = report.results
    assert (first.case, first.verdict, first.found) == ("reach", "fail", f"status {status} to call.started")
    assert advice in first.advice
    assert {result.verdict for result in rest} == {"skip"}
    assert report.counts == {"fail": 1, "skip": 2}


async def test_nobody_there():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        report = await probe(f"http://127.0.0.1:{port}/", cases=choose(["huge"]), timeout_s=20)
    reach, huge = report.results
    assert (reach.verdict, huge.verdict) == ("fail", "skip")
    assert "Cannot connect" in reach.found
    assert "running" in reach.advice


async def test_results_come_one_by_one(tried):
    told = []
    report = await tried(answering(saying("Yes?")), only=["contents"], tell=told.append)
    assert tuple(told) == report.results
    assert {result.group for result in told} == {"contents"}


@pytest.mark.parametrize(
    ("closing", "verdict"),
    [pytest.param(b"connection: close\r\n", "info", id="announced"), pytest.param(b"", "fail", id="unannounced")],
)
async def test_connections_that_are_not_kept(closing, verdict):
    """An answer, and the next request on the same connection finds nobody."""

    async def serve(reader, writer):
        answered = 0
        while await reader.readline():
            if answered == LAST:
                break
            size = 0
            while (header := await reader.readline()).strip():
                name, _, value = header.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            await reader.readexactly(size)
            writer.write(b"HTTP/1.1 204 No Content\r\n" + closing + b"\r\n")
            await writer.drain()
            answered += 1
            if closing:
                break
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        report = await probe(url, cases=choose(["keep-alive"]), timeout_s=20)
    assert only(report, "keep-alive").verdict == verdict
