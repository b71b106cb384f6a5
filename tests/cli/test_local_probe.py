"""`voicebot local probe` tells one line per case, what to do, and one exit code."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from voicebot.__main__ import main
from voicebot.local import sample
from voicebot.local.probe.run import CASES
from voicebot.wire.webhook import new_secret

SECRET = new_secret(bytes(range(32)))
KEYS = {"case", "group", "verdict", "expected", "found", "advice", "ms"}


@asynccontextmanager
async def serving(app):
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}/"
    finally:
        await runner.cleanup()


async def probe(app, *words):
    async with serving(app) as url:
        return await asyncio.to_thread(main, ["local", "probe", url, *words])


def careless():
    async def respond(_request):
        return web.Response(text="<p>OK</p>", content_type="text/html")

    app = web.Application()
    app.router.add_post("/", respond)
    return app


async def test_a_good_application(capsys):
    assert await probe(sample.application(SECRET), "--secret", SECRET) == 0
    shown = capsys.readouterr().out
    lines = [line.split()[:2] for line in shown.splitlines() if line.startswith(("pass", "skip", "info"))]
    assert [name for _, name in lines] == [case.name for case in CASES]
    assert shown.splitlines()[-1] == "30 passed, 1 skipped, 2 only told"
    assert SECRET not in shown


async def test_a_careless_one(capsys):
    assert await probe(careless(), "--secret", SECRET, "--only", "old-timestamp", "--only", "reply") == 1
    shown = capsys.readouterr().out
    assert ["fail", "old-timestamp", "ten", "minutes", "old:", "status", "200"] in [
        line.split()[:-1] for line in shown.splitlines()
    ]
    assert "  expected replies that the service understands, or nothing" in shown
    assert "  do       A malformed reply is refused whole" in shown
    assert shown.splitlines()[-1] == "2 failed"


async def test_without_a_secret(capsys):
    assert await probe(careless(), "--only", "signature") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "10 skipped; nothing was signed, so nobody knows whether signatures are verified"


async def test_the_report_for_machines(capsys):
    assert await probe(careless(), "--secret", SECRET, "--only", "reply", "--only", "huge", "--json") == 1
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert {key: report[key] for key in ("format", "signed", "passed", "counts")} == {
        "format": 1,
        "signed": True,
        "passed": False,
        "counts": {"fail": 1, "pass": 1},
    }
    assert [result["case"] for result in report["results"]] == ["reply", "huge"]
    assert all(result.keys() == KEYS for result in report["results"])
    assert SECRET not in told.out + told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["nowhere"], "'nowhere' is not an absolute http(s) URL", id="no-url"),
        pytest.param(["http://127.0.0.1:x/"], "is not an absolute http(s) URL", id="no-port"),
        pytest.param(["http://127.0.0.1:9/", "--only", "sesame"], "there is no case 'sesame'; known are", id="no-case"),
        pytest.param(
            ["http://127.0.0.1:9/", "--secret", "sesame"], "--secret: a webhook secret starts", id="no-secret"
        ),
        pytest.param(["http://127.0.0.1:9/", "--timeout", "0"], "--timeout: give a number", id="no-time"),
        pytest.param(["http://127.0.0.1:9/", "--timeout", "inf"], "--timeout: give a number", id="endless"),
        pytest.param(["http://127.0.0.1:9/", "--timeout", "nan"], "--timeout: give a number", id="nan-time"),
    ],
)
def test_usage(capsys, words, told):
    assert main(["local", "probe", *words]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert not printed.out


@pytest.mark.parametrize("words", [[], ["http://127.0.0.1:9/", "--timeout", "soon"]], ids=["nothing", "no-number"])
def test_usage_that_the_parser_refuses(words):
    with pytest.raises(SystemExit) as caught:
        main(["local", "probe", *words])
    assert caught.value.code == 2


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["local", "probe", "--help"])
    assert caught.value.code == 0
    assert "a case or a group" in capsys.readouterr().out
