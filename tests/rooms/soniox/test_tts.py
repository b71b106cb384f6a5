"""Speech on shared sockets against a scripted server."""

import asyncio
import json

import pytest

from voicebot.errors import LocalProtocolError, PeerUnavailable
from voicebot.tts import SpeechChunk, Voices
from voicebot.wire.soniox_tts import VoiceOptions


async def test_speech(tts, soniox, settings, running):
    synthesizer = tts.Synthesizer()
    double = await soniox(synthesizer)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        voices.warm()
        async with voices.speak(VoiceOptions(voice="Maya", language="es", speed=1.1)) as stream:
            await stream.write("Hola, ")
            await stream.write("señor", last=True)
            chunks = [chunk async for chunk in stream]
    assert b"".join(chunk.audio for chunk in chunks).decode() == "Hola, señor"
    (start,) = synthesizer.starts.values()
    assert start.pop("stream_id")
    assert start == {
        "model": "tts-rt-v2",
        "language": "es",
        "voice": "Maya",
        "speed": 1.1,
        "audio_format": "pcm_mulaw",
        "sample_rate": 8000,
        "return_timestamps": True,
    }
    assert double.headers[0]["Authorization"] == "Bearer the-soniox-key"
    assert len(double.peers) == 1


async def test_timestamps(tts, soniox, settings, running):
    times = {
        "characters": ["H", "i"],
        "character_start_times_seconds": [0, 0.1],
        "character_end_times_seconds": [0.1, 0.25],
    }

    async def script(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.socket.send(tts.audio(stream_id, b"hi", last=True, timestamps=times))
        await peer.hold()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), voices.speak(tts.ADRIAN) as stream:
        await stream.write("Hi", last=True)
        (chunk,) = [chunk async for chunk in stream]
    assert chunk.characters == (("H", 0, 100), ("i", 100, 250))


async def test_audio_that_comes_together_is_taken_at_once(tts, soniox, settings, running):
    def times(character, at_s):
        return {
            "characters": [character],
            "character_start_times_seconds": [at_s],
            "character_end_times_seconds": [at_s + 0.1],
        }

    first = asyncio.Event()

    async def script(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.socket.send(tts.audio(stream_id, b"a", timestamps=times("a", 0)))
        await first.wait()
        await peer.socket.send(tts.audio(stream_id, b"b", timestamps=times("b", 0.1)))
        await peer.socket.send(tts.audio(stream_id, b"c", timestamps=times("c", 0.2)))
        await peer.socket.send(tts.audio(stream_id, b"", last=True))
        await peer.hold()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), voices.speak(tts.ADRIAN) as stream:
        await stream.write("abc", last=True)
        assert await anext(stream) == SpeechChunk(b"a", (("a", 0, 100),))
        first.set()
        await stream.gather(60)
        assert await anext(stream) == SpeechChunk(b"bc", (("b", 100, 200), ("c", 200, 300)))
        await stream.gather(60)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_audio_does_not_come_together_for_longer_than_asked(tts, soniox, settings, running):
    more = asyncio.Event()

    async def script(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.socket.send(tts.audio(stream_id, b"a"))
        await more.wait()
        await peer.socket.send(tts.audio(stream_id, b"b", last=True))
        await peer.hold()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), voices.speak(tts.ADRIAN) as stream:
        await stream.write("ab", last=True)
        assert (await anext(stream)).audio == b"a"
        await stream.gather(0.01)
        more.set()
        assert (await anext(stream)).audio == b"b", "whoever waits in a hurry is woken by the next audio"


async def test_two_streams_interleaved_on_one_socket(tts, soniox, settings, running):
    async def script(peer):
        ids = {}
        while len(ids) < 2:
            message = json.loads(await peer.next())
            if message.get("text_end"):
                ids[message["text"]] = message["stream_id"]
        for piece in (b"1", b"2"):
            for text, stream_id in ids.items():
                await peer.socket.send(tts.audio(stream_id, text.encode() + piece, last=piece == b"2"))
        await peer.hold()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), asyncio.TaskGroup() as group:
        a = group.create_task(tts.spoken(voices, "a"))
        b = group.create_task(tts.spoken(voices, "b"))
    assert (a.result(), b.result()) == (b"a1a2", b"b1b2")
    assert len(double.peers) == 1


async def test_sockets_are_opened_as_streams_need_them(tts, soniox, settings, running):
    arrived = asyncio.Semaphore(0)

    async def script(peer):
        while True:
            if "text" in json.loads(await peer.next()):
                arrived.release()

    double = await soniox(script)
    voices = Voices(settings(double, tts_streams_per_socket=2))
    async with running(voices), asyncio.timeout(10):
        tasks = [asyncio.create_task(tts.spoken(voices, str(n))) for n in range(5)]
        for _ in tasks:
            await arrived.acquire()
        assert len(double.peers) == 3
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_leaving_early_cancels_and_late_audio_finds_nobody(tts, soniox, settings, running):
    synthesizer = tts.Synthesizer()
    double = await soniox(synthesizer)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        async with voices.speak(tts.ADRIAN) as stream:
            await stream.write("I would like to say")
        await synthesizer.cancelled.wait()
        assert await tts.spoken(voices, "next") == b"next"
    first, second = synthesizer.starts
    assert first != second
    assert {"stream_id": first, "cancel": True} in synthesizer.order
    assert {"stream_id": second, "cancel": True} not in synthesizer.order
    assert len(double.peers) == 1


async def test_stream_keeps_its_place_until_soniox_says_it_is_over(tts, soniox, settings, running):
    released = asyncio.Event()

    async def script(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        while not json.loads(await peer.next()).get("cancel"):
            pass
        await released.wait()
        await peer.socket.send(tts.terminated(stream_id))
        await peer.hold()

    double = await soniox(script, tts.Synthesizer())
    voices = Voices(settings(double, tts_streams_per_socket=1))
    async with running(voices), asyncio.timeout(10):
        async with voices.speak(tts.ADRIAN) as stream:
            await stream.write("x")
        assert await tts.spoken(voices, "y") == b"y"
        assert len(double.peers) == 2
        released.set()


async def test_cancelled_reader_cancels_at_soniox(tts, soniox, settings, running):
    synthesizer = tts.Synthesizer()
    double = await soniox(synthesizer)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        async with voices.speak(tts.ADRIAN) as stream:
            await stream.write("never ends")
            reader = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
        await synthesizer.cancelled.wait()


async def test_stream_that_said_nothing_is_unknown_to_soniox(tts, soniox, settings, running):
    synthesizer = tts.Synthesizer()
    double = await soniox(synthesizer)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        async with voices.speak(tts.ADRIAN):
            pass
        assert await tts.spoken(voices, "x") == b"x"
    assert len(synthesizer.starts) == 1


async def test_idle_socket_is_kept_alive_then_closed(tts, soniox, settings, running):
    received = []
    closed = asyncio.Event()

    async def script(peer):
        await peer.hold()
        received.extend(peer.received)
        closed.set()

    double = await soniox(script, tts.Synthesizer())
    voices = Voices(settings(double, keepalive_s=0.05, tts_idle_close_s=1.5))
    async with running(voices), asyncio.timeout(10):
        voices.warm()
        voices.warm()
        await closed.wait()
        assert await tts.spoken(voices, "x") == b"x", "the next speech opens another one"
    assert '{"keep_alive":true}' in received
    assert len(double.peers) == 2


async def test_speech_outside_run(tts, soniox, settings, running):
    double = await soniox(tts.Synthesizer())
    voices = Voices(settings(double))
    voices.warm()
    with pytest.raises(LocalProtocolError):
        await tts.spoken(voices, "x")
    async with running(voices), voices.speak(tts.ADRIAN) as stream:
        await stream.write("x", last=True)
        with pytest.raises(LocalProtocolError, match="after the last piece"):
            await stream.write("y")


async def test_end_of_service_fails_open_streams(tts, soniox, settings):
    async def mute(peer):
        await peer.hold()

    double = await soniox(mute)
    voices = Voices(settings(double))
    task = asyncio.create_task(voices.run())
    await asyncio.sleep(0)
    async with asyncio.timeout(10), voices.speak(tts.ADRIAN) as stream:
        await stream.write("x", last=True)
        reader = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(PeerUnavailable):
            await reader
