"""The command, as a process of its own."""

import argparse
import asyncio
import json
import signal
import sys

import pytest

from voicebot.cli import local_soniox as command


async def start(*arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voicebot", "local", "soniox"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("[{at_ms: 100, say: hello}]")
    return str(path)


async def test_it_says_where_it_is_tells_of_sessions_and_ends_with_ctrl_c(script, stack, open_stt):
    process = await start("--port", "0", "--script", script, "--key", "right")
    async with asyncio.timeout(50):
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(7)]
        addresses = dict(line.split("=", 1) for line in lines if "=" in line)
        assert set(addresses) == {"VOICEBOT_SONIOX__STT_URL", "VOICEBOT_SONIOX__TTS_URL", "VOICEBOT_SONIOX__API_KEY"}
        server = argparse.Namespace(stt_url=addresses["VOICEBOT_SONIOX__STT_URL"])
        client = await open_stt(server, headers={"Authorization": f"Bearer {addresses['VOICEBOT_SONIOX__API_KEY']}"})
        config = {
            "model": "stt-rt-v5",
            "audio_format": "mulaw",
            "sample_rate": 8000,
            "num_channels": 1,
            "client_reference_id": "call 7",
        }
        await client.send(json.dumps(config))
        await client.send("")
        await client.rest()
        began, ended = [(await process.stdout.readline()).decode() for _ in range(2)]
        assert "started: stt-rt-v5, mulaw, call 7" in began
        assert "ended: finished" in ended
        process.send_signal(signal.SIGINT)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    assert "Traceback" not in rest


async def test_a_bad_script_is_said_in_one_line(tmp_path):
    path = tmp_path / "script.json"
    path.write_text('[{"at_ms": 1, "sya": "x"}]')
    process = await start("--script", str(path))
    async with asyncio.timeout(50):
        said = (await process.stdout.read()).decode()
        assert await process.wait() == 3
    assert "script entry 1: unknown key 'sya'; known are" in said
    assert "Traceback" not in said


def test_every_fault_can_be_ordered():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    line = (
        "--drop-at 1 --error-at 2 --error-code 429 --garbage-at 3 --half-close-at 4 --delay 5 --silent --never-end --never-finish "
        "--end-timestamps --handshake-status 503 --tts-error 500 --tts-silent --no-ack --strict-2027 --threads 3"
    )
    options = command.read_options(parser.parse_args(line.split()))
    faults = options.faults
    assert (
        faults.drop_at_ms,
        faults.error_at_ms,
        faults.error_code,
        faults.garbage_at_ms,
        faults.half_close_at_ms,
    ) == (1, 2, 429, 3, 4)
    assert (faults.delay_ms, faults.handshake_status, faults.tts_error_code) == (5, 503, 500)
    assert all(
        (
            faults.silent,
            faults.never_end,
            faults.never_finish,
            faults.end_timestamps,
            faults.tts_silent,
            options.strict_2027,
        )
    )
    assert (options.ack, options.decode_threads) == (False, 3)
