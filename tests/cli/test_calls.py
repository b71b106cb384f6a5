"""`voicebot calls` against a real server, and against a whole house."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from voicebot import __main__ as command
from voicebot.wire.api import CallDetail, CallSummary

DEADLINE_S = 50
TOKEN = "a-token-that-is-long-enough"
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def summary(number, **changes):
    ended = {"state": "ended", "ended_at": AT + timedelta(seconds=83), "reason": "caller", "duration_ms": 83_999}
    known = {"id": f"CA{number}", "from": "+15550100", "to": "+15550199", "direction": "inbound", "mode": "bot"}
    return CallSummary.model_validate(known | {"started_at": AT, "turns": 2} | ended | changes)


LIVE = {"state": "live", "ended_at": None, "reason": None, "duration_ms": None}
TURN = {
    "track": "caller", "number": 1, "revision": 1, "text": "I would like [bold]tea[/bold].", "translation": "",
    "digits": "", "languages": (), "speakers": (), "confidence": None, "reason": "endpoint", "started_at": AT,
    "ended_at": AT, "entry": None, "latency": None, "words": None,
}  # fmt: skip
SAID = {"text": "One tea.", "heard": "One", "unheard": " tea.", "ms": 300, "interrupted": True}
DETAIL = CallDetail.model_validate(
    {
        "call": summary(1),
        "turns": [TURN, TURN | {"number": 2, "text": "", "digits": "12", "started_at": None, "ended_at": None}],
        "utterances": [
            SAID | {"started_at": AT + timedelta(seconds=2)},
            SAID
            | {
                "text": "Good day.",
                "heard": "Good day.",
                "unheard": "",
                "interrupted": False,
                "started_at": AT - timedelta(seconds=1),
            },
        ],
        "asides": [{"kind": "backchannel", "text": "mhm", "at": AT + timedelta(seconds=1)}],
        "counts": {"turns": 2, "utterances": 2, "interruptions": 1, "asides": 1},
        "latency": {"turns": 1, "p50_ms": 640, "p95_ms": 640, "max_ms": 640},
        "parameters": {},
        "state": None,
        "recording": False,
    }
)


class Service:
    """A list of calls in pages."""

    def __init__(self):
        self.calls, self.page, self.queries, self.body = [], 2, [], None

    async def list(self, request):
        query = dict(request.query)
        self.queries.append(query)
        begin = int(query.get("cursor", 0))
        end = begin + min(self.page, int(query["limit"]))
        items = [call.model_dump(mode="json", by_alias=True) for call in self.calls[begin:end]]
        return web.json_response({"items": items, "next": str(end) if end < len(self.calls) else None, "new": 1})

    async def show(self, request):
        if request.match_info["id"] == "CA8":
            errors = [{"detail": "is no instant", "pointer": None, "parameter": "since"}]
            return web.json_response({"detail": "not valid: since", "errors": errors}, status=422)
        if request.match_info["id"] != "CA1/2":
            return web.json_response({"detail": "no such call"}, status=404)
        return web.Response(text=self.body or DETAIL.model_dump_json(by_alias=True), content_type="application/json")


@pytest.fixture
async def service(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOICEBOT_TOKEN", raising=False)
    made = Service()
    app = web.Application()
    app.add_routes([web.get("/calls", made.list), web.get("/calls/{id}", made.show)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site.port}"
    yield made
    await runner.cleanup()


@pytest.fixture
def voicebot(service, capsys):
    """Run the command in a thread of its own; the exit code, the lines it printed, and its complaints."""

    async def run(*words):
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.to_thread(command.main, ["calls", "--url", service.url, *words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


async def test_the_list(service, voicebot):
    service.calls = [
        summary(1),
        summary(2, **LIVE, started_at=datetime.now(UTC) - timedelta(minutes=61)),
        summary(3, reason=None, duration_ms=None, ended_at=None),
    ]
    code, lines, err = await voicebot()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["started", "call", "from", "to", "state", "length", "turns"]
    rows = [line.split()[2:] for line in lines[1:]]
    assert rows[0] == ["CA1", "+15550100", "+15550199", "caller", "1:23", "2"]
    assert rows[1][3] == "live"
    assert rows[1][4].startswith("61:")
    assert rows[2][3:] == ["ended", "?", "2"]
    assert lines[1].startswith(f"{AT.astimezone():%Y-%m-%d %H:%M:%S}")


async def test_no_calls(voicebot):
    assert await voicebot() == (0, ["no calls"], "")


@pytest.mark.parametrize(
    ("limit", "asked"),
    [
        pytest.param(3, [("3", None), ("1", "2")], id="some"),
        pytest.param(4, [("4", None), ("2", "2")], id="two-pages"),
        pytest.param(900, [("200", None), ("200", "2"), ("200", "4")], id="more-than-there-are"),
    ],
)
async def test_pages(service, voicebot, limit, asked):
    service.calls = [summary(number) for number in range(5)]
    code, lines, _ = await voicebot("--limit", str(limit), "--json")
    assert code == 0
    assert [json.loads(line)["id"] for line in lines] == [f"CA{number}" for number in range(min(limit, 5))]
    assert CallSummary.model_validate_json(lines[0]) == service.calls[0]
    assert [(query["limit"], query.get("cursor")) for query in service.queries] == asked


async def test_filters(service, voicebot):
    words = ["--q", "tea", "--number", "+1", "--from", "+2", "--to", "+3", "--reason", "caller", "--live",
             "--since", "2026-11-22T00:00:00Z", "--until", "2026-11-23T00:00:00Z"]  # fmt: skip
    assert (await voicebot(*words))[0] == 0
    assert service.queries == [
        {
            "q": "tea", "number": "+1", "from": "+2", "to": "+3", "reason": "caller", "state": "live",
            "since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00Z", "limit": "50",
        }
    ]  # fmt: skip
    await voicebot("--ended")
    assert service.queries[-1] == {"state": "ended", "limit": "50"}


async def test_one_call(service, voicebot):
    code, lines, err = await voicebot("CA1/2")
    assert (code, err) == (0, "")
    assert lines[0] == "+15550100 → +15550199   CA1"
    assert lines[1] == "inbound, bot, ended: caller, 1:23, 2 turns, answers heard after 640 ms (median)"
    assert [
        line.strip().removeprefix(f"{AT.astimezone():%H:}").lstrip("0123456789:").strip() for line in lines[2:]
    ] == [
        "bot Good day.",
        "caller I would like [bold]tea[/bold].",
        "caller keys 12",
        "caller mhm   backchannel, no turn",
        "bot One (not heard: tea.)",
    ]


async def test_one_call_as_json(service, voicebot):
    code, lines, _ = await voicebot("CA1/2", "--json")
    assert code == 0
    assert CallDetail.model_validate_json("\n".join(lines)) == DETAIL


@pytest.mark.parametrize(
    ("call", "body", "said"),
    [
        pytest.param("CA7", None, "answers 404: no such call", id="unknown"),
        pytest.param("CA8", None, "answers 422: since: is no instant", id="faults-with-their-places"),
        pytest.param("CA1/2", "{}", "another shape than ours, at call", id="wrong-shape"),
        pytest.param("CA1/2", "<html>", "another shape than ours, at $", id="no-json"),
    ],
)
async def test_failures_are_one_line(service, voicebot, call, body, said):
    service.body = body
    code, lines, err = await voicebot(call)
    assert (code, lines) == (1, [])
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_that_is_none(limit, capsys):
    with pytest.raises(SystemExit):
        command.main(["calls", "--limit", limit])
    assert "--limit" in capsys.readouterr().err


async def test_a_whole_house(house, capsys):
    h = await house(api={"tokens": [{"name": "me", "token": TOKEN, "scopes": ["watch"]}]})
    h.app.on("call.started", {"actions": [{"type": "say", "text": "Good day."}, {"type": "hangup"}]})
    report = await h.call()
    words = ["--url", f"http://127.0.0.1:{h.service.port}", "--token", TOKEN]
    async with asyncio.timeout(DEADLINE_S):
        assert await asyncio.to_thread(command.main, ["calls", *words]) == 0
        listed = capsys.readouterr().out.splitlines()
        assert await asyncio.to_thread(command.main, ["calls", report.call_sid, *words]) == 0
    assert len(listed) == 2
    assert report.call_sid in listed[1]
    assert "bot Good day." in capsys.readouterr().out
