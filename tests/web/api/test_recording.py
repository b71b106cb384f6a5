"""The sound of a recorded call over HTTP."""

import asyncio
import io
import wave

import audioop
import pytest

from voicebot import live
from voicebot.core.recording import Audio, Head, Leg
from voicebot.web.api import recordings
from voicebot.wire.recording import encode
from voicebot.wire.wav import HEADER_BYTES

DEADLINE_S = 50
LOUD = b"\x10\x90" * 4_000
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]


@pytest.fixture
async def recorded(house, api, tmp_path):
    """A house that records, with one call in it that has ended and is written down."""
    folder = tmp_path / "kept"
    h = await house(HELLO, api=api.settings, record={"directory": str(folder)})
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "Goodbye."}, {"type": "hangup"}]})
    phone = h.dial()
    await h.live(live.StreamOpened)
    phone.call.say(LOUD)
    await phone.report()
    await h.empty()
    async with api(h) as client, asyncio.timeout(DEADLINE_S):
        # The recorder writes a few times a second; its last line comes after the call.
        while '"type":"end"' not in "".join(path.read_text() for path in folder.iterdir()):
            await client.get("/session")
    return h, phone.sid


async def test_both_sides_are_heard_each_in_its_ear(recorded, api):
    h, call = recorded
    async with api(h) as client:
        answer = await client.get(f"/calls/{call}/recording")
        assert (answer.type, answer.headers["Accept-Ranges"]) == ("audio/wav", "bytes")
        assert (await client.get(f"/calls/{call}")).json["recording"] is True
    with wave.open(io.BytesIO(answer.body)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8_000, 2)
        frames = file.readframes(file.getnframes())
    left, right = audioop.tomono(frames, 2, 1, 0), audioop.tomono(frames, 2, 0, 1)
    assert audioop.rms(left, 2) > 100
    assert audioop.rms(right, 2) > 100


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        pytest.param("bytes=0-43", 206, slice(0, HEADER_BYTES), id="head"),
        pytest.param("bytes=100-", 206, slice(100, None), id="from"),
        pytest.param("bytes=-7", 206, slice(-7, None), id="the-last"),
        pytest.param("bytes=40-49", 206, slice(40, 50), id="across"),
        pytest.param("bytes=0-999999999", 206, slice(0, None), id="too-far"),
        pytest.param("bytes=999999999-", 416, None, id="behind"),
        pytest.param("bytes=9-3", 416, None, id="backwards"),
        pytest.param("bytes=0-1,4-5", 200, slice(None), id="several"),
        pytest.param("lines=1-2", 200, slice(None), id="another-unit"),
    ],
)
async def test_a_player_may_ask_for_a_part(recorded, api, asked, status, part):
    h, call = recorded
    async with api(h) as client:
        path = f"/calls/{call}/recording"
        whole = (await client.get(path)).body
        answer = await client.get(path, headers={"Range": asked})
        assert answer.status == status
        if part is None:
            assert (answer.kind, answer.headers["Content-Range"]) == ("range", f"bytes */{len(whole)}")
        else:
            assert len(answer.body) == int(answer.headers["Content-Length"])
            assert answer.body == whole[part]


async def test_a_deleted_call_leaves_no_sound_behind(recorded, api, tmp_path):
    h, call = recorded
    async with api(h) as client:
        assert list((tmp_path / "kept").iterdir())
        assert (await client.delete(f"/calls/{call}")).status == 204
        assert list((tmp_path / "kept").iterdir()) == []
        assert (await client.get(f"/calls/{call}/recording")).kind == "not-found"


@pytest.mark.parametrize("name", ["CAnobody", "..%2F..%2Fetc%2Fpasswd", "%2A", "CA%00", "a" * 300])
async def test_names_lead_nowhere_else(recorded, api, name):
    h, _ = recorded
    async with api(h) as client:
        answer = await client.get(f"/calls/{name}/recording")
        assert (answer.status, answer.kind) == (404, "not-found")


async def test_not_more_are_heard_at_once_than_memory_allows(recorded, api, monkeypatch):
    h, call = recorded
    monkeypatch.setattr(recordings, "HEARD_AT_ONCE", 1)
    async with api(h) as client:
        for _ in range(2):  # one after the other they may be
            assert (await client.get(f"/calls/{call}/recording")).status == 200
        monkeypatch.setattr(recordings, "HEARD_AT_ONCE", 0)
        answer = await client.get(f"/calls/{call}/recording")
        assert (answer.status, answer.kind) == (503, "busy")


async def test_a_player_that_stalls_is_cut_off(house, api, tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "WRITE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(recordings, "HEARD_AT_ONCE", 1)
    lines = (Head(call="CA1"), Leg(0, 1, "caller", 0.0), Audio(1, "caller", 1_800_000, LOUD))
    (tmp_path / "CA1.jsonl").write_text("".join(map(encode, lines)))
    h = await house(api=api.settings, record={"directory": str(tmp_path)})
    path = "/calls/CA1/recording"
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port, limit=1_024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens['watch']}\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        assert b"200" in await reader.readline()
        async with api(h) as client:
            while (await client.get(path, headers={"Range": "bytes=0-9"})).status == 503:
                pass
    writer.close()
