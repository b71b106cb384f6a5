"""The command line: what it prints, writes and exits with."""

import argparse
import asyncio
import json
import signal
import sys

import pytest
from aiohttp import web

from voicebot.cli import local_call
from voicebot.local.phone import events
from voicebot.local.phone.display import line


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    local_call.add_arguments(parser)
    return parser.parse_args(words)


async def run(service, *words: str) -> int:
    route = f"https://voice.example.com={service.local}"
    return await asyncio.to_thread(
        local_call.run, arguments("https://voice.example.com/voice", "--resolve", route, *words)
    )


@pytest.fixture
def bot(service):
    service.pages["/voice"] = service.connect(after="<Hangup/>")

    async def behaviour(socket) -> None:
        await socket.event("media", 3)
        await socket.play(service.tone(300))
        await socket.event("media", 90)
        await socket.ws.close()

    service.behaviour = behaviour
    return service


async def test_a_call_that_passes(bot, tmp_path, capsys):
    code = await run(bot, "--record", str(tmp_path / "c.wav"), "--report", str(tmp_path / "c.json"), "--from", "+441")
    shown = capsys.readouterr().out
    assert code == 0, shown
    for words in (
        "dialling",
        "voice: POST",
        "<Connect>",
        "answered",
        "bot    ▸",
        "stream closed 1000",
        "pass (exit 0)",
    ):
        assert words in shown
    report = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert (report["outcome"], report["from_number"]) == ("pass", "+441")
    assert (tmp_path / "c.wav").stat().st_size > 10_000


async def test_json(bot, capsys):
    assert await run(bot, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outcome"] == "pass"
    assert report["streams"][0]["close_code"] == 1000


async def test_audio_is_said_after_the_greeting(bot, tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(bot.wav(bot.tone(200)))
    assert await run(bot, "--audio", str(tmp_path / "a.wav"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    names = [entry["event"] for entry in report["timeline"]]
    assert names.index("BotQuiet") < names.index("CallerSpeaks")
    assert report["spoken_ms"] == 200


async def test_a_scenario_that_fails(bot, tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text("- wait_for: speech\n- expect: {heard_ms: 60000}\n", encoding="utf-8")
    assert await run(bot, "--scenario", str(path)) == 1
    assert "step 2: heard_ms: expected at least 60000 ms of sound" in capsys.readouterr().out


async def test_a_bot_that_never_speaks(service, capsys):
    service.pages["/voice"] = service.connect()
    service.behaviour = lambda socket: socket.ws.close()
    assert await run(service) == 2
    assert "the bot never spoke" in capsys.readouterr().out


async def test_a_violation(service, capsys):
    service.pages["/voice"] = lambda _: web.json_response({})
    assert await run(service) == 3
    assert "12300" in capsys.readouterr().out


async def test_nobody_there(service, unused_tcp_port, capsys):
    service.local = f"http://127.0.0.1:{unused_tcp_port}"
    assert await run(service) == 5
    assert "11205" in capsys.readouterr().out


async def test_a_call_with_rest_beside_it(bot, capsys):
    assert await run(bot, "--rest", "0") == 0
    assert "REST API at http://127.0.0.1:" in capsys.readouterr().out


async def test_interrupting_the_command_hangs_up(service):
    service.pages["/voice"] = service.connect()
    program = (
        "import argparse, sys\nfrom voicebot.cli import local_call\nparser = argparse.ArgumentParser()\n"
        "local_call.add_arguments(parser)\nsys.exit(local_call.run(parser.parse_args()))\n"
    )
    route = f"https://voice.example.com={service.local}"
    words = ("https://voice.example.com/voice", "--resolve", route, "--json")
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *words, stdout=asyncio.subprocess.PIPE
    )
    socket = await service.socket()
    await socket.event("media", 2)
    running.send_signal(signal.SIGINT)
    out, _ = await running.communicate()
    assert (running.returncode, socket.messages[-1]["event"]) == (2, "stop")
    assert json.loads(out)["ended_detail"] == "Ctrl-C"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param([], "give the URL", id="nothing"),
        pytest.param(["voice.example.com"], "not an absolute", id="url"),
        pytest.param(["http://h/", "--resolve", "x"], "write A=B", id="resolve"),
        pytest.param(["http://h/", "--resolve", "x=y"], "not an absolute", id="resolve-urls"),
        pytest.param(["http://h/", "--audio", "none.wav"], "none.wav: there is no such file", id="audio"),
        pytest.param(["http://h/", "--agent-audio", "none.wav"], "none.wav", id="agent-audio"),
        pytest.param(["http://h/", "--scenario", "none.yaml"], "none.yaml", id="scenario"),
        pytest.param(["http://h/", "--scenario", "s.yaml", "--say", "x"], "leave --audio", id="both"),
        pytest.param(["http://h/", "--dtmf", "hello"], "keys are", id="keys"),
        pytest.param(["http://h/", "--dial", "perhaps"], "use busy", id="dial"),
        pytest.param(["http://h/", "--fault", "gremlin"], "one of no_stop", id="fault"),
        pytest.param(["http://h/", "--record", "nowhere/c.wav"], "there is no folder", id="record"),
        pytest.param(["http://h/", "--ca-file", "none.pem"], "none.pem", id="ca-file"),
        pytest.param(["http://h/", "--say", "x", "--voice", "choir"], "unknown voice", id="voice"),
        pytest.param(
            ["http://h/", "--say", "x", "--voice", "pico", "--language", "tlh"], "does not speak", id="language"
        ),
        pytest.param(["http://h/", "--status-callback", "there"], "not an absolute", id="status-callback"),
    ],
)
def test_usage(words, told, capsys):
    assert local_call.run(arguments(*words)) == 4
    assert told in " ".join(capsys.readouterr().out.split())


def test_a_taken_rest_port(unused_tcp_port_factory, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert local_call.run(arguments("--rest", port)) == 4
    assert f"--rest {port}" in capsys.readouterr().out


def test_help_names_every_option(capsys):
    parser = argparse.ArgumentParser()
    local_call.add_arguments(parser)
    told = parser.format_help()
    for option in ("--audio", "--say", "--scenario", "--resolve", "--dial", "--record", "--rest", "--json"):
        assert option in told


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (events.Dialled(0, "u", "CA"), "dialling"),
        (events.Requested(0, "voice", "POST", "u", 0, 5), "no answer"),
        (events.Requested(0, "call status ringing", "POST", "u", 200, 5), None),
        (events.Requested(0, "call status ringing", "POST", "u", 500, 5), "500"),
        (events.VerbStarted(0, "Say", "[bold]x[/]"), r"\[bold]x"),
        (events.StreamClosed(0, "MZ", None, ""), "without a close frame"),
        (events.MarkEchoed(0, "m", cleared=True), "cleared"),
        (events.Cleared(0, 120.4), "120 ms"),
        (events.Digit(0, "5"), "key 5"),
        (events.Transferred(0, "+49", "busy"), "busy"),
        (events.Trouble(0, 31951, "bad"), "31951"),
        (events.Checked(0, "heard_ms", passed=False), "✗"),
        (events.Ended(0, "x" * 500), "…"),
    ],
)
def test_line(event, words):
    shown = line(event)
    assert (shown is None) if words is None else (words in shown)
