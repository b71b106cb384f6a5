"""How `voicebot serve` does not start: one line for each thing that is wrong, an exit code, no secret."""

import os
import signal
import socket

import pytest

from voicebot import logs
from voicebot.__main__ import main
from voicebot.app import SIGNALS

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
COMPLETE = {
    "VOICEBOT_PUBLIC_URL": "https://voice.example.com",
    "TWILIO_AUTH_TOKEN": "token",
    "SONIOX_API_KEY": "key",
    "VOICEBOT_WEBHOOK__URL": "http://127.0.0.1:9/",
    "VOICEBOT_WEBHOOK__SECRETS": SECRET,
    "VOICEBOT_HOST": "127.0.0.1",
}


@pytest.fixture
def serve(monkeypatch, tmp_path, capsys):
    """Run the command with these settings; its exit code and what it says on stderr."""
    for name in list(os.environ):
        if name.startswith(("VOICEBOT_", "SONIOX_", "TWILIO_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # The process's logging, umask and signals are the process's business, and this one runs other tests: a loop of uvloop
    # leaves its handlers behind.
    monkeypatch.setattr(os, "umask", lambda _mask: 0)
    monkeypatch.setattr(logs, "set_up", lambda _settings, **_more: None)

    def run(*words, **variables):
        for name, value in (COMPLETE | variables).items():
            if value is not None:
                monkeypatch.setenv(name, value)
        code = main(["serve", *words])
        return code, capsys.readouterr().err

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_port_that_is_taken_is_told_in_one_line(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = serve("--port", str(port))
    assert code == 1
    assert err.startswith(f"voicebot: cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in err


def test_a_host_that_is_not_ours_is_told_in_one_line(serve):
    code, err = serve("--host", "192.0.2.1", "--port", "0")
    assert code == 1
    assert err.startswith("voicebot: cannot listen on 192.0.2.1:0: ")


def test_what_is_missing_is_told_line_by_line(serve):
    code, err = serve(VOICEBOT_PUBLIC_URL=None, SONIOX_API_KEY=None, VOICEBOT_WEBHOOK__SECRETS=None)
    assert code == 3
    first, *lines = err.strip().splitlines()
    assert first == "voicebot: not configured"
    assert [line.split(":")[0] for line in lines] == [
        "VOICEBOT_PUBLIC_URL",
        "SONIOX_API_KEY",
        "VOICEBOT_WEBHOOK__SECRETS",
    ]


def test_a_misspelt_name_and_a_wrong_value_are_told_without_the_value(serve):
    code, err = serve(VOICEBOT_TWILIO__AUTH_TOKKEN="TopSecretValue", VOICEBOT_WEBHOOK__SECRETS="TopSecretValue")
    assert code == 3
    assert "VOICEBOT_TWILIO__AUTH_TOKKEN: " in err
    assert "VOICEBOT_WEBHOOK__SECRETS: " in err
    assert "TopSecretValue" not in err


def test_an_unknown_variable_is_named(serve):
    code, err = serve(VOICEBOT_PORTT="1")
    assert (code, err.splitlines()[1].split(":")[0]) == (3, "VOICEBOT_PORTT")


def test_a_settings_file_that_is_not_there(serve):
    code, err = serve(VOICEBOT_CONFIG="nowhere.toml")
    assert (code, err.splitlines()[1]) == (3, "VOICEBOT_CONFIG=nowhere.toml: no such file")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("mysql://me:TopSecretValue@host/db", 3, id="not supported"),
        pytest.param("sqlite:////nowhere/at/all.db", 1, id="no such folder"),
    ],
)
def test_a_store_that_cannot_be_opened_is_told_in_one_line(serve, url, code):
    found, err = serve("--port", "0", VOICEBOT_STORE__URL=url)
    assert found == code
    assert "Traceback" not in err
    assert "TopSecretValue" not in err
