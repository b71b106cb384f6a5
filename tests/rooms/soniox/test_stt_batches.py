"""How much audio goes up at a time: what is in force holds for the next batch, and nothing that is needed waits."""

import asyncio

import pytest

from voicebot.config import SonioxSettings
from voicebot.core.batching import Batching
from voicebot.stt import Recognition
from voicebot.stt.line import Line
from voicebot.wire.soniox_stt import FINALIZE, SttOptions
from voicebot.wire.soniox_upstream import AudioFormat

FRAME = b"\x7f" * 160


@pytest.fixture
async def line(soniox, settings, events, running):
    """A recogniser with batches of any length, and the sizes of what reaches the other side."""
    got = asyncio.Queue()

    async def script(peer):
        await peer.start()
        while True:
            message = await peer.next()
            got.put_nowait(len(message) if isinstance(message, bytes) else message)

    double = await soniox(script)
    batching = Batching.fixed(100)
    recognition = Recognition(settings(double, batch_ms=100), SttOptions(), events.deliver, batching=batching)
    async with running(recognition), asyncio.timeout(20):
        yield recognition, batching, got


async def test_the_length_in_force_holds_at_once(line):
    recognition, batching, got = line
    for batching.ms, frames in ((20, 1), (60, 3), (100, 5), (40, 2)):
        for _ in range(frames):
            recognition.feed(FRAME)
        assert await got.get() == frames * 160


async def test_what_comes_together_and_is_nearly_a_batch_goes_at_once(line):
    recognition, _, got = line
    recognition.feed(4 * FRAME)
    assert await got.get() == 4 * 160
    recognition.feed(FRAME)
    recognition.feed(4 * FRAME)
    assert await got.get() == 5 * 160, "with what was left over"


async def test_the_rest_of_a_batch_leaves_although_the_batch_has_grown_meanwhile(line):
    recognition, batching, got = line
    batching.ms = 40
    recognition.feed(FRAME)
    batching.ms = 100
    recognition.feed(FRAME)
    assert await got.get() == 2 * 160


async def test_flush_and_finalize_wait_for_nothing(line):
    recognition, _, got = line
    recognition.flush()
    recognition.feed(FRAME)
    recognition.flush()
    assert await got.get() == 160
    recognition.feed(FRAME)
    recognition.finalize()
    assert (await got.get(), await got.get()) == (160, FINALIZE)


async def test_a_batch_goes_without_a_turn_of_the_loop_unless_the_network_takes_nothing(line):
    recognition, _, got = line
    upstream = recognition._line.upstream
    recognition.feed(5 * FRAME)
    assert await got.get() == 5 * 160
    assert recognition._line._outlet is not None
    recognition.feed(5 * FRAME)
    assert upstream.empty
    socket = recognition._session._socket
    socket.pause_writing()
    recognition.feed(5 * FRAME)
    recognition.feed(4 * FRAME)
    recognition.finalize()
    assert not upstream.empty
    socket.resume_writing()
    assert [await got.get() for _ in range(4)] == [800, 800, 640, FINALIZE]


async def test_audio_behind_a_command_waits_for_it(line):
    recognition, _, got = line
    recognition.feed(5 * FRAME)
    await got.get()
    recognition.finalize()
    recognition.feed(5 * FRAME)
    assert not recognition._line.upstream.empty
    assert [await got.get(), await got.get()] == [FINALIZE, 800]


async def test_what_a_late_loop_reads_together_is_one_message_up_to_two_batches(line):
    recognition, _, got = line
    recognition.feed(6 * FRAME)
    recognition.feed(10 * FRAME)
    recognition.feed(11 * FRAME)
    assert [await got.get() for _ in range(4)] == [960, 1_600, 1_600, 160]


async def test_there_is_room_again_once_the_outlet_has_taken_what_waited():
    line = Line(AudioFormat(), SonioxSettings(batch_ms=100, replay_ms=1_000), Batching.fixed(100))

    def take_all():
        while line.upstream.take():
            pass

    for _ in range(6):
        line.feed(5 * FRAME)
    assert not line.room.is_set(), "more than half of the bound waits"
    line.connect(take_all)
    assert line.room.is_set()
    line.disconnect()
    for _ in range(6):
        line.feed(5 * FRAME)
    assert not line.room.is_set()
    line.close()
