"""The Dockerfile has the shape that an operator relies on, and its health check works."""

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dockerfile import Instruction, parse

from voicebot.config import variables

ROOT = Path(__file__).parents[2]
IMAGE = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
BUILD, FINAL = ([each for each in IMAGE if each.stage == stage] for stage in (0, 1))


def values(name: str, stage: list[Instruction]) -> list[str]:
    return [each.value for each in stage if each.name == name]


def words(name: str) -> list[str]:
    (instruction,) = [each for each in FINAL if each.name == name]
    return instruction.words


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for each in FINAL if each.name == "ENV" for word in each.words)


def test_two_stages_on_the_python_we_develop_on():
    version = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert [each.value for each in IMAGE if each.name == "FROM"] == [
        f"python:{version}-slim AS build",
        f"python:{version}-slim",
    ]


def test_final_stage_has_the_environment_and_not_the_checkout():
    assert values("COPY", FINAL) == ["--from=build /opt/voicebot /opt/voicebot"]
    assert values("ADD", FINAL) == []
    assert environment()["PATH"] == "/opt/voicebot/bin:$PATH"


def test_locked_versions_with_hashes_and_our_wheel():
    steps = " ".join(values("RUN", BUILD))
    assert "uv export --quiet --locked" in steps
    assert "--require-hashes" in steps
    assert "uv build --quiet --wheel" in steps
    assert "--no-deps /src/dist/voicebot-*.whl" in steps


def test_runs_as_nobody_in_particular():
    (user,) = values("USER", FINAL)
    assert f"--uid 10001 --no-create-home --home-dir /data {user}" in values("RUN", FINAL)[0]
    after = FINAL[[each.name for each in FINAL].index("USER") :]
    assert not values("RUN", after)


def test_command_and_signal():
    assert words("ENTRYPOINT") == ["voicebot"]
    assert words("CMD") == ["serve"]
    assert words("STOPSIGNAL") == ["SIGTERM"]


def test_exec_form():
    for name in ("ENTRYPOINT", "CMD", "VOLUME"):
        assert values(name, FINAL)[0].startswith("["), name


def test_store_is_in_the_volume():
    assert words("VOLUME") == ["/data"]
    assert environment()["VOICEBOT_STORE__URL"].startswith("sqlite:////data/")
    assert "--owner=voicebot --group=voicebot --mode=0750 /data" in values("RUN", FINAL)[0]


def test_port_and_settings_exist():
    assert words("EXPOSE") == [environment()["VOICEBOT_PORT"]]
    known = {name for name, _, _ in variables()}
    assert {name for name in environment() if name.startswith("VOICEBOT_")} <= known


def test_context_has_what_is_copied_and_no_more():
    copied = {word for value in values("COPY", BUILD) for word in value.split()[:-1]}
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in allowed if line.startswith("!")} == copied
    assert allowed.index("*") < min(allowed.index(f"!{name}") for name in copied)


def test_one_version_of_uv():
    pinned = {
        re.search(pattern, (ROOT / name).read_text(encoding="utf-8")).group(1)
        for name, pattern in [("Makefile", r"UV_VERSION := (\S+)"), ("Dockerfile", r"uv==(\S+)")]
    }
    assert len(pinned) == 1


@pytest.fixture
def healthz():
    answers: list[int] = []
    asked: list[str] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, answers, asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_check(healthz, status, healthy):
    port, answers, asked = healthz
    answers.append(status)
    (check,) = values("HEALTHCHECK", FINAL)
    _, _, command = check.partition("CMD ")
    program, *arguments = Instruction("CMD", command, 1).words
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments], env={"VOICEBOT_PORT": str(port)}, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode == 0) is healthy, done.stderr
    assert asked == ["/healthz"]
