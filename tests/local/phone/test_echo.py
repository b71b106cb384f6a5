"""A phone that lets the bot's voice back in."""

import argparse

import audioop
import pytest

from voicebot.cli import local_call
from voicebot.local.phone.echo import Echo, EchoPath
from voicebot.local.phone.report import ExitCode
from voicebot.local.phone.sound import FRAME_BYTES, SILENT_BYTE

QUIET = SILENT_BYTE * FRAME_BYTES
LOUD = audioop.lin2ulaw(b"\x00\x20" * FRAME_BYTES, 2)  # 8192, -12 dB


def level(frame):
    return audioop.avg(audioop.ulaw2lin(frame, 2), 2)


def test_it_comes_back_later_and_softer():
    path = EchoPath(Echo(delay_ms=60, db=-20))
    frames = [path.through(QUIET, LOUD if number == 0 else QUIET) for number in range(6)]
    assert [level(frame) for frame in frames] == [0, 0, 0, pytest.approx(level(LOUD) / 10, rel=0.05), 0, 0]


def test_it_is_added_to_what_the_caller_says():
    path = EchoPath(Echo(delay_ms=20, db=0))
    path.through(QUIET, LOUD)
    assert level(path.through(LOUD, QUIET)) == pytest.approx(2 * level(LOUD), rel=0.05)


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        pytest.param("160:-20", Echo(160, -20.0), id="both"),
        pytest.param("200", Echo(200, -20.0), id="usual loss"),
        pytest.param("40:0", Echo(40, 0.0), id="no loss"),
    ],
)
def test_words_for_it(text, echo):
    assert Echo.parse(text) == echo


@pytest.mark.parametrize("text", ["", "x", "160:loud", "0:-20", "160:6"])
def test_what_is_no_echo_is_refused(text):
    with pytest.raises(ValueError, match=r"DELAY_MS:DB|the delay is at least"):
        Echo.parse(text)


def test_the_command_line_refuses_it_too(capsys):
    parser = argparse.ArgumentParser()
    local_call.add_arguments(parser)
    assert local_call.run(parser.parse_args(["http://127.0.0.1:1/voice", "--echo", "loud"])) == ExitCode.USAGE
    assert "DELAY_MS:DB" in capsys.readouterr().out
