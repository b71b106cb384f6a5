"""The supervisor: starts workers, starts them again, ends them; with workers that are but a few lines."""

import asyncio
import os
import signal
import socket
import sys

import pytest

from voicebot.errors import ConfigurationError
from voicebot.workers import supervisor
from voicebot.workers.supervisor import Supervisor, supervise

DEADLINE_S = 60
HEAD = """
import json, os, socket, sys, time
place = json.loads(sys.argv[-1])
control = socket.socket(fileno=place["control"])
log = open(f"{place['directory']}/log", "a", buffering=1)
print("start", place["index"], os.getpid(), file=log)
"""
GOOD = (
    HEAD
    + """
control.send(b"r")
while (word := control.recv(1)) not in {b"d", b"f", b""}:
    pass
print(word.decode() or "eof", place["index"], os.getpid(), file=log)
"""
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a supervisor over workers of this program; returns (task, lines, started)."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT_S", 0.01)
    started = asyncio.Event()

    def begin(program, count=2):
        monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", program))
        made = Supervisor(count, listening, str(tmp_path), ["--x"])
        return asyncio.create_task(made.run(started.set))

    def lines():
        log = tmp_path / "log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield begin, lines, started


async def until(condition):
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_they_start_and_end_together(run):
    begin, lines, started = run
    task = begin(GOOD, 3)
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
        assert {index for word, index, _ in lines() if word == "start"} == {"0", "1", "2"}
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0
    assert sorted(index for word, index, _ in lines() if word == "d") == ["0", "1", "2"]


async def test_one_that_dies_is_started_again_in_its_place(run, logs):
    begin, lines, started = run
    task = begin(GOOD)
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
    for count in (1, 2):
        pid = [int(pid) for word, index, pid in lines() if (word, index) == ("start", "1")][-1]
        os.kill(pid, signal.SIGKILL)
        await logs.until(lambda entry: entry["event"] == "worker.restarted", count)
    assert len([1 for word, index, _ in lines() if (word, index) == ("start", "1")]) == 3
    assert len([1 for word, index, _ in lines() if (word, index) == ("start", "0")]) == 1
    died = [entry for entry in logs if entry["event"] == "worker.died"]
    assert [(entry["worker"], entry["code"]) for entry in died] == [(1, -signal.SIGKILL)] * 2
    assert died[0]["again_in_s"] < died[1]["again_in_s"]
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(DEADLINE_S):
        assert await task == 0


async def test_one_that_cannot_start_ends_all_with_its_code(run):
    begin, lines, started = run
    broken = GOOD.replace('control.send(b"r")', 'if place["index"]: sys.exit(3)\ncontrol.send(b"r")')
    async with asyncio.timeout(DEADLINE_S):
        assert await begin(broken) == 3
    assert not started.is_set()
    assert [word for word, index, _ in lines() if index == "0"] == ["start", "f"]


async def test_when_none_can_start_only_one_is_tried(run):
    begin, lines, started = run
    async with asyncio.timeout(DEADLINE_S):
        assert await begin(HEAD + "sys.exit(4)") == 4
    assert [index for _, index, _ in lines()] == ["0"]
    assert not started.is_set()


async def test_a_later_start_that_fails_is_tried_again(run, logs, tmp_path):
    begin, lines, started = run
    shy = GOOD.replace('control.send(b"r")', f'if os.path.exists("{tmp_path}/no"): sys.exit(3)\ncontrol.send(b"r")')
    task = begin(shy)
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
        (tmp_path / "no").touch()
        os.kill(int(lines()[0][2]), signal.SIGKILL)
        await logs.until(lambda entry: entry["event"] == "worker.not_started", 2)
        (tmp_path / "no").unlink()
        await logs.until(lambda entry: entry["event"] == "worker.restarted")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0


async def test_the_second_signal_forces_and_the_third_kills(run):
    begin, lines, started = run
    stubborn = (
        HEAD
        + """
control.send(b"r")
while True:
    word = control.recv(1)
    print(word.decode() or "eof", place["index"], os.getpid(), file=log)
"""
    )
    task = begin(stubborn, 1 + 1)
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
        for word in ("d", "f"):
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda wanted=word: sum(line[0] == wanted for line in lines()) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0


def test_a_directory_that_no_socket_fits_in(monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(ConfigurationError, match="TMPDIR"):
        supervise(2, listening, [], lambda: None)
    assert list(deep.iterdir()) == []
