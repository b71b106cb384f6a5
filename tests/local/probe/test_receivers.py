"""The receivers in the documents, each run as the documents say: they survive everything, and hold a call."""

import asyncio
import re
import shutil
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from voicebot.core.audio import BYTES_PER_MS
from voicebot.local.probe.run import probe
from voicebot.wire.webhook import new_secret

FOLDER = Path(__file__).parents[3] / "docs" / "receivers"
SECRET = new_secret(bytes(range(32)))
DEADLINE_S = 50
TIMEOUT_S = 30
"""For one answer; a shell starts a dozen processes for each, on a machine that may be busy."""
SHELL = ("openssl", "jq", "timeout")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@asynccontextmanager
async def running(*command, told, env=None):
    """Run a program until the block is over; yield the address that it tells."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := re.search(told, line := (await process.stdout.readline()).decode())):
                assert line, "it ended"
        yield found.group(1)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def python(_folder):
    command = (sys.executable, "-u", FOLDER / "receiver.py", "--port", str(free_port()), "--secret", SECRET)
    async with running(*command, told=r"Running on (http://[\w.:]+)") as address:
        yield f"{address}/calls"


@asynccontextmanager
async def node(_folder):
    env = {"WEBHOOK_SECRET": SECRET, "PORT": "0"}
    async with running(shutil.which("node"), FOLDER / "receiver.mjs", told=r"(http://\S+)", env=env) as address:
        yield f"{address}/calls"


def environment(folder):
    return {"WEBHOOK_SECRET": SECRET, "ANSWERS": str(folder / "answers"), "PATH": "/usr/local/bin:/usr/bin:/bin"}


@asynccontextmanager
async def shell(folder):
    """Give each connection to a process, as inetd and its like do."""

    async def serve(connection):
        with connection:
            connection.setblocking(True)
            command = (shutil.which("sh"), FOLDER / "receiver.sh")
            process = await asyncio.create_subprocess_exec(
                *command, stdin=connection, stdout=connection, env=environment(folder)
            )
            connection.close()
            await process.wait()

    async def accept(listener, group):
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            group.create_task(serve(connection))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(accept(listener, group))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            accepting.cancel()


@asynccontextmanager
async def socat(folder):
    port = free_port()
    listen = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"
    env = environment(folder)
    process = await asyncio.create_subprocess_exec(
        shutil.which("socat"), "-d", "-d", listen, f"EXEC:{FOLDER / 'receiver.sh'}", env=env, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            while b"listening on" not in (line := await process.stderr.readline()):
                assert line, "it ended"
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(process.stderr.read())
            yield f"http://127.0.0.1:{port}/"
            process.terminate()
            await reading
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not on this machine: {', '.join(missing)}")


RECEIVERS = [
    pytest.param(python, id="python"),
    pytest.param(node, id="node", marks=needs("node")),
    pytest.param(shell, id="sh", marks=needs(*SHELL)),
    pytest.param(socat, id="socat", marks=needs("socat", *SHELL)),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("receiver", RECEIVERS)
async def test_it_survives_everything(receiver, tmp_path):
    async with receiver(tmp_path) as url:
        report = await probe(url, [SECRET], timeout_s=TIMEOUT_S)
    bad = [(result.case, result.found) for result in report.results if result.verdict == "fail"]
    assert (bad, report.passed) == ([], True)
    told = {result.case: result for result in report.results}
    assert told["reply"].found == "actions: say"
    assert told["no-signature"].found == "status 401"
    skipped = {result.case for result in report.results if result.verdict == "skip"}
    assert skipped == {"streamed-reply"}


WORDS = [
    {"at_ms": 200, "say": "hello there", "until_ms": 600, "end_ms": 800},
    {"at_ms": 2_000, "say": "goodbye then", "until_ms": 2_400, "end_ms": 2_600},
]


ANSWERS = {150: "Hello! Say something, or goodbye.", 1_500: "You said: hello there"}
"""What the caller waits for before he goes on, by the milliseconds of his audio."""


def patient(tap):
    """Return what keeps the caller's audio back until he was answered: a receiver may take its time."""

    async def meddle(session, _socket, message):
        for ms, answer in ANSWERS.items():
            if "transcribe" in session.path and len(session.audio) >= ms * BYTES_PER_MS:
                await tap.changed.until(lambda sent, answer=answer: answer in str(sent))

    return meddle


@pytest.mark.parametrize("receiver", RECEIVERS)
async def test_it_holds_a_call(receiver, tmp_path, house):
    """The service itself posts, and the caller hears what the receiver answers, to the end."""
    async with receiver(tmp_path) as url:
        h = await house(WORDS, webhook={"url": url, "secrets": [SECRET]})
        h.tap.meddle = patient(h.tap)
        report = await h.call(pace=2.0)
        assert (report.ended, report.exit_code) == ("service", 0), report.notes
        said = [message["text"] for session in h.tap.tts for message in session.texts if message.get("text")]
        assert said == [*ANSWERS.values(), "Goodbye!"]
