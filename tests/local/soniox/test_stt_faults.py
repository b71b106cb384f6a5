"""Speech-to-text misbehaving on order, over a real socket."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from voicebot.local.soniox.server import Faults, Script

MULAW = {"model": "stt-rt-v5", "audio_format": "mulaw", "sample_rate": 8000, "num_channels": 1}
ENDPOINTS = {**MULAW, "enable_endpoint_detection": True}
SAY = Script.parse([{"at_ms": 500, "say": "book it", "until_ms": 1100, "end_ms": 1800}])
SILENT = Script.parse([])
ACK = {"tokens": [], "final_audio_proc_ms": 0, "total_audio_proc_ms": 0}


def silence(ms):
    return b"\xff" * (8 * ms)


async def test_fault_drop(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(drop_at_ms=500)), MULAW)
    await client.send(silence(500))
    assert await client.rest() == [ACK]
    assert client.close_code == 1006


async def test_fault_error(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(error_at_ms=900, error_code=429)), MULAW)
    await client.send(silence(1000))
    *_, frame = await client.rest()
    assert (client.close_code, frame["error_code"]) == (1000, 429)
    assert client.frames[-1]["error_type"] == "limit_exceeded"
    assert client.frames[-1]["total_audio_proc_ms"] == 800


async def test_fault_garbage(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, faults=Faults(garbage_at_ms=20)), MULAW)
    await client.frame()
    await client.send(silence(20))
    with pytest.raises(ValueError, match="Unterminated"):
        await client.frame()
    await client.send("")
    assert (await client.frame())["finished"] is True


async def test_fault_half_close(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(half_close_at_ms=100)), MULAW)
    await client.frame()
    await client.send(silence(2000))
    pong = await client.socket.ping()
    answered, _ = await asyncio.wait([asyncio.ensure_future(pong)], timeout=0.3)
    assert not answered
    assert client.close_code is None


async def test_fault_delay_keeps_the_order_and_reaches_the_end(serve, open_stt):
    server = await serve(script=SAY, faults=Faults(delay_ms=150))
    client = await open_stt(server)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await client.send(ENDPOINTS)
    await client.frame()
    assert loop.time() - begun >= 0.15
    await client.send(silence(2000))
    await client.send("")
    frames = await client.rest()
    assert client.finals == [" book", " it", "<end>"]
    assert frames[-1]["finished"] is True
    assert client.close_code == 1000


async def test_a_delayed_refusal_arrives_too(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(delay_ms=50)), MULAW)
    await client.send("{")
    *_, frame = await client.rest()
    assert (client.close_code, frame["error_message"]) == (1000, "Control request is malformed.")


async def test_fault_silent(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(silent=True)), ENDPOINTS)
    await client.send(silence(3000))
    await client.send({"type": "finalize"})
    await client.send("")
    frames = await client.rest()
    assert client.finals == ["<fin>"]
    assert frames[-1]["finished"] is True


async def test_fault_never_end(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(never_end=True)), ENDPOINTS)
    await client.send(silence(3000))
    await client.send("")
    await client.rest()
    assert client.finals == [" book", " it"]


async def test_fault_never_finish(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(never_finish=True)), ENDPOINTS)
    await client.send(silence(900))
    await client.send("")
    await client.until_token(" book")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.rest(), 0.3)
    assert client.close_code is None


async def test_fault_end_timestamps(serve, open_stt):
    client = await open_stt(await serve(script=SAY, faults=Faults(end_timestamps=True)), ENDPOINTS)
    await client.send(silence(2000))
    frame = await client.until_token("<end>")
    assert frame["tokens"][-1] == {"text": "<end>", "start_ms": 1800, "end_ms": 1800, "is_final": True}


async def test_fault_handshake_status(serve, open_stt):
    server = await serve(script=SAY, faults=Faults(handshake_status=503))
    with pytest.raises(InvalidStatus) as refused:
        await open_stt(server)
    assert refused.value.response.status_code == 503
