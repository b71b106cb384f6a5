"""`voicebot local app` serves the sample application, with the secret that it is given or prints."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest

from voicebot.__main__ import EXIT_CONFIGURATION, main
from voicebot.wire.webhook import new_secret, sign

DEADLINE_S = 50
SECRET = new_secret(bytes(range(32)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[tuple[str, str]]:
    """Run the command; yield its URL and what it printed before that; interrupt it as a person would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-m", "voicebot", "local", "app", "--port", str(free_port()), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    printed = ""
    async with asyncio.timeout(DEADLINE_S):
        try:
            while not (running := re.search(r"Running on (http://\S+)", printed)):
                line = await process.stdout.readline()
                assert line, f"it ended with: {printed}"
                printed += line.decode()
            yield running.group(1), printed
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await process.communicate()


async def status(url: str, secret: str) -> int:
    body = b'{"id":"evt_1","type":"speech.finished","call":{"state":null}}'
    headers = sign([secret], "evt_1", datetime.now(UTC), body)
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_it_checks_the_secret_that_it_is_given():
    async with serving("--secret", SECRET) as (url, printed):
        assert await status(url, SECRET) == 200
        assert await status(url, new_secret(bytes(32))) == 400
    assert SECRET not in printed


async def test_it_makes_a_secret_and_prints_it():
    async with serving() as (url, printed):
        assert await status(url, re.search(r'VOICEBOT_WEBHOOK__SECRETS=\'\["(whsec_\S+)"\]\'', printed).group(1)) == 200


def test_a_bad_secret_is_told(capsys):
    assert main(["local", "app", "--secret", "sesame"]) == EXIT_CONFIGURATION
    printed = capsys.readouterr().err
    assert "--secret: a webhook secret starts with whsec_" in printed
    assert "sesame" not in printed


@pytest.mark.parametrize("command", [["schema"], ["secret"], ["local", "app"]])
def test_each_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "usage: voicebot" in capsys.readouterr().out
