"""The connection to Soniox is half open: nobody closed it, nothing comes any more; a ping finds out."""

import asyncio

import pytest

HELLO = [{"at_ms": 300, "say": "hello there my friend", "until_ms": 1_500, "end_ms": 2_000}]
HANG_UP = {"actions": [{"type": "hangup"}]}


@pytest.fixture
async def half_open(house):
    """After so much audio the first connection is as behind a dead router: nothing is read, no ping is answered."""
    over = asyncio.Event()

    def make(h, at_ms):
        async def meddle(session, socket, _message):
            if len(session.audio) < 8 * at_ms:
                return False
            h.tap.meddle = None
            socket.transport.pause_reading()
            await over.wait()
            socket.transport.resume_reading()
            return True

        h.tap.meddle = meddle

    yield make
    over.set()


async def test_it_is_found_within_ping_and_pong_and_all_audio_is_heard_again(house, half_open):
    h = await house([HELLO, HELLO], soniox={"ping_s": 0.3, "pong_timeout_s": 0.3})
    half_open(h, 700)
    h.app.on("turn.completed", HANG_UP)
    begun = asyncio.get_running_loop().time()
    await h.call()
    [turn] = h.app.of("turn.completed")
    assert turn["data"]["turn"]["text"] == "hello there my friend"
    assert [word["start_ms"] for word in turn["data"]["turn"]["words"]] == [300, 600, 900, 1_200]
    assert asyncio.get_running_loop().time() - begun >= 0.3
    assert len(h.tap.stt) == 2
    assert h.metric("soniox_errors_total", side="stt", kind="connection_lost") == 1
    assert h.metric("audio_dropped_ms_total") == 0


async def test_by_default_it_is_found_within_ten_seconds(house):
    h = await house(serve=False)
    assert h.settings.soniox.ping_s + h.settings.soniox.pong_timeout_s <= 10
