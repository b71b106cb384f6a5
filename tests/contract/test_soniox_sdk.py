"""The official Soniox SDK as a client of our local server: whatever it relies on must hold."""

import asyncio
import csv
from contextlib import asynccontextmanager
from pathlib import Path

import audioop
import numpy as np
import pytest
import soundfile
from soniox import AsyncSonioxClient
from soniox.errors import SonioxRealtimeError
from soniox.types import CreateTtsConfig, RealtimeSTTConfig, RealtimeTTSConfig

import voicebot.local
from voicebot.local.soniox.server import LocalSonioxOptions, Script, load_engines, local_soniox

DEADLINE_S = 50
SPEECH = Path(voicebot.local.__file__).parent / "speech"
FRAME_BYTES = 160
STT = {
    "model": "stt-rt-v5",
    "audio_format": "mulaw",
    "sample_rate": 8000,
    "num_channels": 1,
    "enable_endpoint_detection": True,
}
TTS = {"model": "tts-rt-v2", "language": "en", "voice": "Maya", "audio_format": "pcm_mulaw", "sample_rate": 8000}


@pytest.fixture(scope="module")
def engines():
    return load_engines(LocalSonioxOptions())


@asynccontextmanager
async def sdk(options, engines=None, api_key="right"):
    """The SDK's client, pointed at a local server."""
    async with local_soniox(options, engines=engines) as server:
        client = AsyncSonioxClient(
            api_key=api_key,
            websocket_base_url=server.stt_url,
            tts_websocket_base_url=server.tts_url,
            api_base_url=f"http://127.0.0.1:{server.port}/v1",
            tts_api_base_url=f"http://127.0.0.1:{server.port}",
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield client
        finally:
            await client.aclose()


@pytest.fixture(scope="module")
def clip():
    """One clip as 20 ms µ-law frames with a second and a half of silence behind it, and its text."""
    with (SPEECH / "clips.tsv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file, delimiter="\t") if row["id"] == "austen_amiable")
    samples, _ = soundfile.read(SPEECH / row["file"], dtype="int16")
    data = audioop.lin2ulaw(np.pad(samples, (4_000, 12_000)).tobytes(), 2)
    return [data[at : at + FRAME_BYTES] for at in range(0, len(data), FRAME_BYTES)], row["text"]


def plain(text):
    return "".join(character for character in text.lower() if character.isalpha() or character == " ")


async def test_speech_to_text_from_the_first_frame_to_the_last(engines, clip):
    frames, text = clip
    async with (
        sdk(LocalSonioxOptions(), engines) as client,
        client.realtime.stt.connect(config=RealtimeSTTConfig(**STT)) as session,
    ):
        for frame in frames:
            await session.send_byte_chunk(frame)
        await session.finalize()
        await session.keep_alive()
        await session.finish()
        events = [event async for event in session.receive_events()]
    assert not any(event.error_code for event in events)
    tokens = [token for event in events for token in event.tokens if token.is_final]
    assert plain("".join(token.text for token in tokens if token.text not in {"<end>", "<fin>"})) == text
    assert [token.text for token in tokens if token.text in {"<end>", "<fin>"}] == ["<end>", "<fin>"]
    assert any(not token.is_final for event in events for token in event.tokens)
    assert [event.finished for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].final_audio_proc_ms == events[-1].total_audio_proc_ms == sum(map(len, frames)) // 8


async def test_pausing_finalizes_and_resuming_goes_on():
    script = Script.parse([{"at_ms": 0, "say": "one two", "until_ms": 400, "end_ms": 2000}])
    async with (
        sdk(LocalSonioxOptions(script=script)) as client,
        client.realtime.stt.connect(config=RealtimeSTTConfig(**STT)) as session,
    ):
        for _ in range(20):
            await session.send_byte_chunk(b"\xff" * FRAME_BYTES)
        await session.pause()
        await session.resume()
        await session.send_byte_chunk(b"")
        for _ in range(100):
            await session.send_byte_chunk(b"\xff" * FRAME_BYTES)
        await session.finish()
        finals = [token.text async for event in session.receive_events() for token in event.tokens if token.is_final]
    assert finals == ["one", " two", "<fin>", "<end>"]


async def test_translation_tokens_from_a_script():
    spoken = {
        "text": "hello",
        "start_ms": 0,
        "end_ms": 300,
        "confidence": 0.9,
        "translation_status": "original",
        "language": "en",
    }
    translated = {"text": "hola", "translation_status": "translation", "language": "es", "source_language": "en"}
    script = Script.parse([{"at_ms": 400, "final": [spoken, translated], "end": True}])
    config = RealtimeSTTConfig(
        **STT, translation={"type": "one_way", "target_language": "es"}, language_hints=["en", "es"]
    )
    async with sdk(LocalSonioxOptions(script=script)) as client, client.realtime.stt.connect(config=config) as session:
        await session.send_byte_chunk(b"\xff" * 8_000)
        await session.finish()
        tokens = [token async for event in session.receive_events() for token in event.tokens]
    assert [(token.text, token.translation_status, token.source_language) for token in tokens[:2]] == [
        ("hello", "original", None),
        ("hola", "translation", "en"),
    ]


async def test_an_error_is_an_event():
    config = RealtimeSTTConfig(**STT, language_hints=["xx"])
    async with (
        sdk(LocalSonioxOptions(script=Script.parse([]))) as client,
        client.realtime.stt.connect(config=config) as session,
    ):
        events = [event async for event in session.receive_events()]
    assert [(event.error_code, event.error_message, event.tokens) for event in events] == [
        (400, "Invalid language hint.", [])
    ]


async def test_a_wrong_key_is_noticed_at_once():
    seen = []
    async with sdk(LocalSonioxOptions(script=Script.parse([]), key="right"), api_key="wrong") as client:
        try:
            async with client.realtime.stt.connect(config=RealtimeSTTConfig(**STT)) as session:
                seen = [event.error_code async for event in session.receive_events()]
        except SonioxRealtimeError:
            seen = [401]  # the refusal overtook the start request, which the SDK then could not send
    assert seen == [401]


async def test_text_to_speech_with_times(engines):
    config = RealtimeTTSConfig(stream_id="s1", return_timestamps=True, **TTS)
    async with sdk(LocalSonioxOptions(), engines) as client, client.realtime.tts.connect(config=config) as session:
        await session.send_text_chunks("Hello there. How can I help you today?")
        events = [event async for event in session.receive_events()]
    audio = b"".join(event.audio_bytes() or b"" for event in events)
    assert 1.5 < len(audio) / 8_000 < 6
    assert (
        "".join(c for event in events if event.timestamps for c in event.timestamps.characters)
        == "Hello there. How can I help you today?"
    )
    assert [event.audio_end for event in events][-2:] == [True, False]
    assert events[-1].terminated


async def test_several_speech_streams_on_one_socket(engines):
    async with sdk(LocalSonioxOptions(), engines) as client, client.realtime.tts.connect_multi_stream() as socket:
        streams = [await socket.open_stream(config=RealtimeTTSConfig(stream_id=name, **TTS)) for name in ("a", "b")]
        for stream in streams:
            await stream.send_text_chunk("Hello there.", text_end=True)
        audio = [b"".join([chunk async for chunk in stream.receive_audio_chunks()]) for stream in streams]
        cancelled = await socket.open_stream(config=RealtimeTTSConfig(stream_id="c", **TTS))
        await cancelled.cancel()
        assert [event.terminated async for event in cancelled.receive_events()] == [True]
    assert all(len(speech) > 2_000 for speech in audio)


async def test_a_refused_stream_raises():
    config = RealtimeTTSConfig(stream_id="s1", **{**TTS, "audio_format": "mp3"})
    async with (
        sdk(LocalSonioxOptions(script=Script.parse([]))) as client,
        client.realtime.tts.connect(config=config) as session,
    ):
        with pytest.raises(SonioxRealtimeError, match="code 400"):
            await session.receive_event()


async def test_text_to_speech_in_one_request(engines):
    config = CreateTtsConfig(audio_format="pcm_mulaw", sample_rate=8000)
    async with sdk(LocalSonioxOptions(), engines) as client:
        audio = await client.tts.generate(text="Hello there.", voice="Maya", language="en", config=config)
    assert len(audio) > 2_000
