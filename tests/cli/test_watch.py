"""`voicebot watch` against a real server, and against a whole house."""

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime

import pytest
from aiohttp import web
from rich.console import Console

from voicebot import __main__ as command
from voicebot import live
from voicebot.cli import watch
from voicebot.core.events import Turn
from voicebot.core.playback import Spoken
from voicebot.wire import sse
from voicebot.wire.live_json import NAMES, encode

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEADLINE_S = 50
TOKEN = "a-token-that-is-long-enough"


def message(event, number):
    return sse.message(NAMES[type(event)], encode(event, AT), f"b-{number}")


def snapshot(number=0, **data):
    return sse.message("snapshot", json.dumps({"type": "snapshot", **data}).encode(), f"b-{number}")


class Service:
    """Answers one connection after the other with what is written down for it; then there is no more (204)."""

    def __init__(self):
        self.answers, self.asked = [], []

    async def handle(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else web.Response(status=204)
        if isinstance(answer, web.Response):
            return answer
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        for piece in answer:
            if piece is None:
                request.transport.close()
                break
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                await response.write(piece)
        return response

    @property
    def resumed(self):
        return [request.headers.get("Last-Event-ID") for request in self.asked]


@pytest.fixture
async def service(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOICEBOT_TOKEN", raising=False)
    monkeypatch.setattr(watch, "RETRY_S", 0.001)
    made = Service()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site.port}"
    yield made
    await runner.cleanup()


@pytest.fixture
def voicebot(service, capsys):
    """Run the command in a thread of its own; the exit code, what it said, and its complaints."""

    async def run(*words):
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.to_thread(command.main, ["watch", "--url", service.url, *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


OPENED = live.CallOpened("CA123456789", "+1", "+2", "inbound", "bot")
CLOSED = live.CallClosed("CA123456789", "caller", 4_200, 1)
TALK = [
    live.Partial("CA123456789", "caller", "I would ", "love"),
    live.TurnEnded("CA123456789", "caller", Turn(1, "I would like tea.", "endpoint")),
    live.WebhookAttempt("CA123456789", 2, "turn.completed", 1, 200, None, 7),
    live.BotSaid("CA123456789", Spoken(1, "One tea.", "One", " tea.", 300, interrupted=True)),
]


async def test_all_calls(service, voicebot):
    calls = [{"id": "CA9", "from": "+7", "to": "+8", "started_at": "2026-11-22T11:00:00Z"}]
    service.answers = [
        [sse.retry(5), snapshot(calls=calls), *(message(event, n) for n, event in enumerate([OPENED, *TALK, CLOSED]))]
    ]
    code, out, err = await voicebot()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].strip() == "1 live call"
    assert "CA9  +7 → +8" in lines[1]
    clock = f"{AT.astimezone():%H:%M:%S}"
    assert lines[2].startswith(f"{clock}  …456789")
    assert lines[2].endswith("+1 → +2   CA123456789")
    assert [words in line for words, line in zip(("I would love …", "I would like tea.   turn 1, endpoint",
            "turn.completed → 200 in 7 ms", "interrupted; heard: “One”", "ended: caller, 4.2 s, 1 turns"),
            lines[3:], strict=False)] == [True] * 5  # fmt: skip


async def test_one_call_ends_with_it(service, voicebot):
    events = [json.loads(encode(event, AT)) for event in (OPENED, TALK[1])]
    forever = asyncio.Event()
    service.answers = [[snapshot(call="CA1/2", live=True, whole=False, events=events), message(CLOSED, 3), forever]]
    code, out, err = await voicebot("CA1/2")
    forever.set()
    assert (code, err) == (0, "")
    assert service.asked[0].rel_url.raw_path == "/calls/CA1%2F2/events"
    first, opened, said, ended = out.splitlines()
    assert "began earlier" in first
    assert "+1 → +2" in opened
    assert "I would like tea." in said
    assert "ended: caller" in ended
    assert "…456789" not in out


async def test_a_call_that_is_over(service, voicebot):
    service.answers = [[snapshot(call="CA1", live=False, whole=True, events=[json.loads(encode(CLOSED, AT))])]]
    code, out, _ = await voicebot("CA1")
    assert code == 0
    assert "ended: caller" in out
    assert len(service.asked) == 1


@pytest.mark.parametrize("cut", [pytest.param([], id="ends"), pytest.param([None], id="breaks")])
@pytest.mark.parametrize("call", [[], ["CA1"]], ids=["all", "one"])
async def test_it_goes_on_where_it_was(service, voicebot, cut, call):
    events = [message(live.Trouble("CA1", f"trouble {n}"), n) for n in range(5)]
    service.answers = [
        [snapshot(0, calls=[], call="CA1", live=True, events=[]), *events[:2], *cut],
        web.Response(status=503),
        [*events[2:], sse.message("dropped", b'{"detail":"too slow"}')],
    ]
    code, out, err = await voicebot(*call)
    assert (code, err) == (0, "")
    assert service.resumed == [None, "b-1", "b-1", "b-4"]
    assert [out.count(f"trouble {n}") for n in range(5)] == [1] * 5
    assert out.count("connecting again") == 3
    assert ("the connection broke" if cut else "the stream ended") in out
    assert "too slow" in out


async def test_raw_lines(service, voicebot):
    service.answers = [[snapshot(calls=[]), sse.HEARTBEAT, message(OPENED, 1), sse.message("weather", b'{"rain":1}')]]
    code, out, err = await voicebot("--json")
    assert code == 0
    assert out.splitlines() == ['{"type": "snapshot", "calls": []}', encode(OPENED, AT).decode(), '{"rain":1}']
    assert "connecting again" in err


async def test_what_a_newer_service_tells_is_passed_over(service, voicebot):
    told = b'{"type":"weather","call":"CA1","at":"2026-11-22T12:00:00Z"}'
    service.answers = [
        [snapshot(calls=[]), sse.message("weather", told), sse.message("reset", b"{}"), message(OPENED, 2)]
    ]
    code, out, _ = await voicebot()
    assert code == 0
    assert "what happened in between is not known" in out
    assert "+1 → +2" in out


@pytest.mark.parametrize(
    ("words", "variable", "sent"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param([], "from-the-variable", "Bearer from-the-variable", id="variable"),
        pytest.param(["--token", "given"], "from-the-variable", "Bearer given", id="option"),
    ],
)
async def test_token(service, voicebot, monkeypatch, words, variable, sent):
    if variable:
        monkeypatch.setenv("VOICEBOT_TOKEN", variable)
    assert (await voicebot(*words))[0] == 0
    assert service.asked[0].headers.get("Authorization") == sent


def problem(status, detail):
    return web.json_response({"status": status, "detail": detail}, status=status)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(problem(401, "no such token"), "/events answers 401: no such token (--token", id="401"),
        pytest.param(problem(403, "the API has no tokens"), "answers 403: the API has no tokens", id="403"),
        pytest.param(problem(404, "CA1 does not live"), "answers 404: CA1 does not live", id="404"),
        pytest.param(web.Response(status=502, text="<html>"), "answers 502: Bad Gateway", id="a-proxy"),
        pytest.param(web.Response(status=302, headers={"Location": "/"}), "answers 302", id="redirect"),
        pytest.param(web.Response(text="hello"), "is no stream of events but text/plain", id="something-else"),
        pytest.param([sse.message("trouble", b"{}", "b-1")], "wrong shape at type", id="no-event-of-ours"),
        pytest.param([sse.message("snapshot", b"[]", "b-1")], "snapshot is no JSON object", id="no-snapshot-of-ours"),
    ],
)
async def test_failures_are_one_line(service, voicebot, answer, said):
    service.answers = [answer]
    code, out, err = await voicebot()
    assert code == 1
    assert out.strip() == ""
    assert err.count("\n") == 1
    assert err.startswith("voicebot: ")
    assert said in err


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        pytest.param("http://127.0.0.1:1", 1, "cannot be reached", id="nobody-there"),
        pytest.param("localhost:8080", 3, "must begin with http", id="no-url"),
    ],
)
def test_where_there_is_no_service(capsys, url, code, said):
    assert command.main(["watch", "--url", url]) == code
    assert said in capsys.readouterr().err


def test_on_a_terminal_each_call_has_its_open_line():
    console = Console(force_terminal=True, width=100, height=20, record=True, file=None, color_system=None)
    with watch.LiveView(console, None) as view, console.capture():
        for call, words in (("CA1", "one"), ("CA2", "two"), ("CA1", "one more")):
            view._event(live_told(live.Partial(call, "caller", "", words)))
        assert [line.plain.split()[-1] for line in view._open.values()] == ["two", "more"]
        view._event(live_told(live.TurnEnded("CA1", "caller", Turn(1, "One more.", "endpoint"))))
        assert [line.plain.split()[-1] for line in view._open.values()] == ["two"]
        view._event(live_told(live.Partial("CA2", "caller", "", "")))
        assert not view._open


def live_told(event):
    return watch.Told(event, AT)


async def process(service, *words):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicebot", "watch", "--url", service.url, *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_interrupted(service):
    forever = asyncio.Event()
    service.answers = [[snapshot(calls=[]), message(OPENED, 1), forever]]
    async with asyncio.timeout(DEADLINE_S):
        running = await process(service)
        lines = [await running.stdout.readline() for _ in range(2)]
        running.send_signal(signal.SIGINT)
        assert await running.wait() == 130
        assert await running.stderr.read() == b""
    forever.set()
    assert b"CA123456789" in lines[1]


async def test_whoever_reads_has_seen_enough(service):
    enough = asyncio.Event()
    service.answers = [[snapshot(calls=[]), enough, *(message(OPENED, number) for number in range(2_000))]]
    async with asyncio.timeout(DEADLINE_S):
        running = await process(service, "--json")
        await running.stdout.readline()
        running._transport.get_pipe_transport(1).close()
        enough.set()
        assert await running.wait() == 0
        assert await running.stderr.read() == b""


async def test_a_whole_house(house, monkeypatch, capsys):
    """What one sees of a real call, with a token that may watch."""
    monkeypatch.setenv("VOICEBOT_TOKEN", TOKEN)
    h = await house(api={"tokens": [{"name": "me", "token": TOKEN, "scopes": ["watch"]}]})
    h.app.on("digits.completed", {"actions": [{"type": "say", "text": "Good day."}, {"type": "hangup"}]})
    phone = h.dial()
    await h.live(live.StreamOpened)
    words = ["watch", phone.sid, "--json", "--url", f"http://127.0.0.1:{h.service.port}"]
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        watching = group.create_task(asyncio.to_thread(command.main, words))
        while h.service.live.watchers < 2:
            await asyncio.sleep(0.01)
        phone.press("12#")
    assert watching.result() == 0
    first, *rest = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["type"] == "snapshot"
    past = [event["type"] for event in first["events"]]
    # The application may answer the call's start before the stream is there, or after.
    assert past[0] == "call.opened" and "stream.opened" in past
    types = [event["type"] for event in rest]
    assert types.count("digit") == 3
    assert {"webhook.attempt", "reply", "bot.started", "bot.said"} <= set(types)
    assert types[-1] == "call.ended"
    assert {event["call"] for event in rest} == {phone.sid}
    await phone.report()
    await h.empty()
