"""The service as in `compose.yaml`: nobody in particular, without a capability, everything read-only but /data and /tmp."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dockerfile import parse

from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
IMAGE = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
SERVICE = COMPOSE["services"]["voicebot"]
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
SAY = {"type": "say", "text": "An answer."}
UID = 10001
DEADLINE_S = 60
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
# What a container is made of: a root of its own, with what the image has, and nothing of it can be written.
CONFINE = r"""
set -eu
root=$1; data=$2; base=$3; checkout=$4; shift 4
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none "$root"
mkdir "$root/data" "$root/tmp"
mount -t tmpfs -o mode=1777,size=16m none "$root/tmp"
for each in /usr /bin /sbin /lib /lib64 /etc /dev /proc "$base" "$checkout"; do
    if [ -L "$each" ]; then cp -P "$each" "$root$each"; continue; fi
    [ -d "$each" ] || continue
    mkdir -p "$root$each"; mount --rbind "$each" "$root$each"
    case $each in /dev | /proc) ;; *) mount -o remount,bind,ro "$root$each" ;; esac
done
mount --bind "$data" "$root/data"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
    sh -c 'cd /data && exec "$@"' sh "$@"
"""


def why_not():
    """Say why no namespace can be made here; empty where it can."""
    if os.geteuid() != 0:
        return "only root makes a mount namespace"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /mnt && command -v setpriv"],
        capture_output=True,
        check=False,
        timeout=20,
    )
    return "" if done.returncode == 0 else f"no mount namespace here: {done.stderr.decode().strip()}"


def test_the_example_confines_the_service():
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert [each.split(":")[0] for each in SERVICE["tmpfs"]] == ["/tmp"]
    assert SERVICE["volumes"] == ["data:/data"]
    assert "privileged" not in SERVICE
    assert "user" not in SERVICE, "the image has its own"
    assert SERVICE["ports"] == ["127.0.0.1:8080:8080"], "TLS is a proxy's business"
    assert set(COMPOSE["volumes"]) == {"data"}
    assert SERVICE["stop_grace_period"] == "130s"


def test_the_image_has_no_other_place_to_write():
    final = [each for each in IMAGE if each.stage == 1]
    assert [each.words for each in final if each.name == "VOLUME"] == [["/data"]]
    environment = dict(word.split("=", 1) for each in final if each.name == "ENV" for word in each.words)
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


@pytest.mark.timeout(120)
async def test_a_call_in_a_read_only_house(house, tmp_path):
    if reason := why_not():
        pytest.skip(reason)
    h = await house(HELLO, serve=False)
    root, data = tmp_path / "root", tmp_path / "data"
    root.mkdir()
    data.mkdir()
    os.chown(data, UID, UID)
    h.app.on("turn.completed", {"actions": [SAY, {"type": "hangup"}]})
    variables = {
        "HOME": "/data",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "VOICEBOT_PUBLIC_URL": h.settings.public_url,
        "TWILIO_AUTH_TOKEN": DEFAULT_AUTH_TOKEN,
        "SONIOX_API_KEY": h.settings.soniox.api_key.get_secret_value(),
        "VOICEBOT_SONIOX__STT_URL": h.settings.soniox.stt_url,
        "VOICEBOT_SONIOX__TTS_URL": h.settings.soniox.tts_url,
        "VOICEBOT_WEBHOOK__URL": h.settings.webhook.url,
        "VOICEBOT_WEBHOOK__SECRETS": SECRET,
        "VOICEBOT_STORE__URL": "sqlite:////data/voicebot.db",
        "VOICEBOT_RECORD__DIRECTORY": "/data/recordings",
        "VOICEBOT_PLAY__ALLOW_PRIVATE": "true",
    }
    serve = [sys.executable, "-m", "voicebot", "serve", "--host", "127.0.0.1", "--port", "0"]
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        CONFINE,
        "sh",
        str(root),
        str(data),
        sys.base_prefix,
        str(ROOT),
        *serve,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env=variables, cwd="/", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    log = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not log or log[-1]["event"] != "service.listening":
                line = await process.stderr.readline()
                assert line.startswith(b"{"), line + await process.stderr.read()
                log.append(json.loads(line))
            h.port = int(log[-1]["address"].rpartition(":")[2])
            told = dict(line.split(":\t", 1) for line in _status(process.pid))
            report = await h.dial().report()
            await h.app.until("call.ended")
            process.terminate()
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    log += [json.loads(line) for line in err.splitlines()]
    assert process.returncode == 0
    assert report.ended == "service"
    assert told["Uid"].split() == [str(UID)] * 4
    assert (int(told["CapEff"], 16), int(told["CapBnd"], 16), told["NoNewPrivs"]) == (0, 0, "1")
    assert [entry for entry in log if entry["level"] in {"warning", "error"}] == []
    written = [path for path in data.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".db", ".jsonl"}
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, f"{path.name}: what was said is for the service's user alone"


def _status(pid):
    return Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
