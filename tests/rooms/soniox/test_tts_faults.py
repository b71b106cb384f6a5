"""Speech when the other side fails: broken lines, error frames, nonsense, silence."""

import asyncio
import json

import pytest

from voicebot.errors import PeerProtocolError, PeerRefused, PeerUnavailable
from voicebot.tts import Voices


async def test_broken_before_audio_starts_again_once(tts, soniox, settings, running):
    async def breaks(peer):
        await peer.next()
        await peer.next()
        peer.socket.transport.abort()

    double = await soniox(breaks, tts.Synthesizer())
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        assert await tts.spoken(voices, "again") == b"again"

    double = await soniox(breaks)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerUnavailable):
            await tts.spoken(voices, "again")
    assert len(double.peers) == 2


async def test_a_bug_on_one_socket_ends_its_streams_alone(tts, soniox, settings, running):
    class Broken:
        def __init__(self):
            self.error = None

        def heard(self, speech):
            raise RuntimeError("a bug")

        def failed(self, error, *, retry):
            self.error = error

    asked, other = asyncio.Event(), asyncio.Event()

    async def bad(peer):
        await asked.wait()
        await peer.socket.send(tts.audio("s", b"audio"))
        await peer.hold()

    class Slow(tts.Synthesizer):
        async def answer(self, peer, stream_id, data):
            await other.wait()
            await super().answer(peer, stream_id, data)

    double = await soniox(bad, Slow())
    voices, broken = Voices(settings(double, tts_streams_per_socket=1)), Broken()
    async with running(voices) as task, asyncio.timeout(10):
        socket = voices.socket()
        socket.add("s", broken)
        speaking = asyncio.create_task(tts.spoken(voices, "others"))
        asked.set()
        while broken.error is None:
            await asyncio.sleep(0.01)
        other.set()
        assert await speaking == b"others"
        assert not task.done()


async def test_broken_after_audio_began(tts, soniox, settings, running):
    async def breaks(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.next()
        await peer.socket.send(tts.audio(stream_id, b"beg"))
        await peer.socket.close()

    double = await soniox(breaks)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), voices.speak(tts.ADRIAN) as stream:
        await stream.write("begin", last=True)
        assert (await anext(stream)).audio == b"beg"
        with pytest.raises(PeerUnavailable, match="closed with 1000"):
            await anext(stream)
    assert len(double.peers) == 1


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        pytest.param({"error_code": 400, "error_type": "invalid_request"}, PeerRefused, id="stream-400"),
        pytest.param({"error_code": 429, "error_type": "limit_exceeded"}, PeerUnavailable, id="stream-429"),
        pytest.param({"error_code": 408, "error_type": "request_timeout"}, PeerUnavailable, id="stream-408"),
    ],
)
async def test_stream_error_leaves_the_others_alone(tts, soniox, settings, running, frame, error):
    class Faulty(tts.Synthesizer):
        async def answer(self, peer, stream_id, data):
            if data == b"bad":
                await peer.socket.send(json.dumps({**frame, "error_message": "no", "stream_id": stream_id}))
                await peer.socket.send(tts.terminated(stream_id))
            else:
                await super().answer(peer, stream_id, data)

    double = await soniox(Faulty())
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10), asyncio.TaskGroup() as group:
        good = group.create_task(tts.spoken(voices, "good"))
        with pytest.raises(error, match=str(frame["error_code"])):
            await tts.spoken(voices, "bad")
    assert good.result() == b"good"
    assert len(double.peers) == 1


async def test_wrong_key(tts, soniox, settings, running):
    async def script(peer):
        await peer.error(401, "unauthenticated")
        await peer.socket.close()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerRefused) as raised:
            await tts.spoken(voices, "x")
    assert raised.value.code == 401


async def test_503_on_a_stream_is_tried_again_at_once(tts, soniox, settings, running):
    class Once(tts.Synthesizer):
        async def answer(self, peer, stream_id, data):
            if len(self.starts) == 1:
                await peer.socket.send(json.dumps({"error_code": 503, "error_message": "", "stream_id": stream_id}))
            else:
                await super().answer(peer, stream_id, data)

    double = await soniox(Once())
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        assert await tts.spoken(voices, "x") == b"x"


async def test_silent_server(tts, soniox, settings, running):
    async def mute(peer):
        await peer.hold()

    double = await soniox(mute)
    voices = Voices(settings(double, tts_first_audio_timeout_s=0.1))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerUnavailable, match="no speech within"):
            await tts.spoken(voices, "x")


async def test_server_that_falls_silent(tts, soniox, settings, running):
    async def falls_silent(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.socket.send(tts.audio(stream_id, b"beg"))
        await peer.hold()

    double = await soniox(falls_silent)
    voices = Voices(settings(double, tts_first_audio_timeout_s=0.2))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerUnavailable, match="no speech within"):
            await tts.spoken(voices, "x")


async def test_nobody_there(tts, settings, running):
    class Address:
        url = "ws://127.0.0.1:1"

    voices = Voices(settings(Address, connect_attempts=2))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerUnavailable, match="cannot be reached"):
            await tts.spoken(voices, "x")


async def test_connecting_takes_too_long(tts, settings, running):
    gone = asyncio.Event()

    async def mute(_reader, writer):
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:

        class Address:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        voices = Voices(settings(Address, tts_first_audio_timeout_s=0.1))
        async with running(voices), asyncio.timeout(10):
            with pytest.raises(PeerUnavailable, match="no speech within"):
                await tts.spoken(voices, "x")
        gone.set()


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        pytest.param("{", "not JSON", id="no-json"),
        pytest.param(b"audio", "binary message", id="binary"),
        pytest.param('{"audio":"!!","stream_id":"s1"}', "audio: not base64", id="no-base64"),
        pytest.param('{"audio":1,"stream_id":"s1"}', "audio: expected a string", id="no-string"),
        pytest.param('{"audio":"AA=="}', "stream_id: missing", id="no-stream"),
    ],
)
async def test_nonsense_is_named(tts, soniox, settings, running, message, complaint):
    async def script(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        await peer.socket.send(tts.audio(stream_id, b"x"))
        await peer.socket.send(message)
        await peer.hold()

    double = await soniox(script)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerProtocolError) as raised:
            await tts.spoken(voices, "x")
    assert complaint in str(raised.value)


async def test_more_audio_than_a_stream_can_have(tts, soniox, settings, running):
    async def floods(peer):
        stream_id = json.loads(await peer.next())["stream_id"]
        for _ in range(5):
            await peer.socket.send(tts.audio(stream_id, b"x" * 240_000))
        await peer.hold()

    double = await soniox(floods)
    voices = Voices(settings(double))
    async with running(voices), asyncio.timeout(10):
        with pytest.raises(PeerProtocolError, match="more than 960000 bytes"):
            await tts.spoken(voices, "x")
