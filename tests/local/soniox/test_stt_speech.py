"""Speech-to-text over a real socket, on recorded human speech and the real engines."""

import asyncio
import io

import audioop
import numpy as np
import pytest
import soundfile

from voicebot.local.engines.base import Engines
from voicebot.local.engines.tone import Tone
from voicebot.local.soniox.server import Timeouts

MULAW = {"model": "stt-rt-v5", "audio_format": "mulaw", "sample_rate": 8000, "num_channels": 1}
ENDPOINTS = {**MULAW, "enable_endpoint_detection": True}
CLIP = "austen_amiable"
SILENCE = b"\xff" * 8_000


@pytest.fixture
def engines(hearing):
    return Engines(hearing, Tone())


@pytest.fixture
def listen(serve, open_stt, engines):
    """Send a config and audio (commands in between) as fast as they go, and take every frame."""

    async def run(config, *messages):
        client = await open_stt(await serve(engines=engines), config)
        for message in messages:
            await client.send(message)
        await client.rest()
        return client

    return run


def plain(text):
    return "".join(character for character in text.lower() if character.isalpha() or character == " ")


def check_laws(frames):
    """What every session must satisfy, whatever was said."""
    totals = [frame["total_audio_proc_ms"] for frame in frames]
    finals = [frame["final_audio_proc_ms"] for frame in frames]
    assert totals == sorted(totals)
    assert finals == sorted(finals)
    assert all(final <= total for final, total in zip(finals, totals, strict=True))
    settled = [token for frame in frames for token in frame["tokens"] if token["is_final"]]
    words = [token for token in settled if "start_ms" in token]
    assert all(token["start_ms"] <= token["end_ms"] for token in words)
    assert [token["start_ms"] for token in words] == sorted(token["start_ms"] for token in words)
    assert all(0 <= token["confidence"] <= 1 for token in words)
    for frame in frames:
        kinds = [token["is_final"] for token in frame["tokens"]]
        assert kinds == sorted(kinds, reverse=True)


async def test_a_clip_is_transcribed_with_everything_a_client_sees(listen, clips):
    data, text = clips[CLIP]
    client = await listen(ENDPOINTS, *(data[at : at + 160] for at in range(0, len(data), 160)), "")
    assert plain(client.spoken) == text
    assert client.finals[-1] == "<end>"
    assert client.frames[0]["tokens"] == []
    assert any(not token["is_final"] for frame in client.frames for token in frame["tokens"])
    assert client.frames[-1] == {
        "tokens": [],
        "final_audio_proc_ms": len(data) // 8,
        "total_audio_proc_ms": len(data) // 8,
        "finished": True,
    }
    assert client.close_code == 1000
    check_laws(client.frames)


async def test_two_utterances_have_two_ends(listen, clips):
    client = await listen(ENDPOINTS, clips[CLIP][0], clips["go_forward"][0], "")
    assert client.finals.count("<end>") == 2
    first, second = "".join(client.finals).split("<end>")[:2]
    assert plain(first) == clips[CLIP][1]
    assert plain(second).strip().startswith("go forward")
    assert second.startswith(" ")
    check_laws(client.frames)


async def test_the_end_comes_earlier_when_the_settings_ask_for_it(listen, clips):
    data, _ = clips[CLIP]
    patient = await listen({**ENDPOINTS, "endpoint_sensitivity": -1}, data, SILENCE, "")
    quick = await listen(
        {**ENDPOINTS, "endpoint_sensitivity": 1, "endpoint_latency_adjustment_level": 3}, data, SILENCE, ""
    )

    def ended(client):
        return next(
            frame["total_audio_proc_ms"]
            for frame in client.frames
            if any(t["text"] == "<end>" for t in frame["tokens"])
        )

    assert 700 <= ended(patient) - ended(quick) <= 1000


async def test_without_endpoint_detection_words_come_but_no_end(listen, clips):
    data, text = clips[CLIP]
    client = await listen(MULAW, data, "")
    assert plain(client.spoken) == text
    assert "<end>" not in client.finals


async def test_finalize_settles_words_before_the_silence_would(listen, clips):
    data, text = clips[CLIP]
    until = len(data) - 8 * 1300
    client = await listen(ENDPOINTS, data[:until], {"type": "finalize"}, data[until:], "")
    assert client.finals[-2:] == ["<fin>", "<end>"]
    assert plain(client.spoken) == text
    check_laws(client.frames)


async def test_finalize_in_the_middle_of_speech_neither_doubles_nor_loses_what_was_settled(listen, clips):
    data, _ = clips["austen_leisure"]
    middle = len(data) // 2
    client = await listen(ENDPOINTS, data[:middle], {"type": "finalize"}, data[middle:], {"type": "finalize"}, "")
    first, second = "".join(client.finals).split("<fin>")[:2]
    assert plain(first).startswith("and mr john dashwood")
    assert plain(second.replace("<end>", "")).endswith("in his power to do for them")
    check_laws(client.frames)


async def test_silence_is_answered_by_nothing(listen):
    client = await listen(ENDPOINTS, SILENCE * 3, {"type": "finalize"}, "")
    assert client.finals == ["<fin>"]
    assert len(client.frames) == 3


async def test_speaker_and_language_when_asked_for(listen, clips):
    config = {
        **ENDPOINTS,
        "enable_speaker_diarization": True,
        "enable_language_identification": True,
        "language_hints": ["en"],
    }
    client = await listen(config, clips["go_forward"][0], "")
    words = [token for frame in client.frames for token in frame["tokens"] if token["text"] != "<end>"]
    assert {(token["speaker"], token["language"]) for token in words} == {("1", "en")}
    assert {frozenset(token) for frame in client.frames for token in frame["tokens"] if token["text"] == "<end>"} == {
        frozenset({"text", "is_final"})
    }


async def test_no_tentative_words_when_not_wanted(listen, clips):
    client = await listen({**ENDPOINTS, "enable_non_final_tokens": False}, clips[CLIP][0], "")
    assert all(token["is_final"] for frame in client.frames for token in frame["tokens"])


@pytest.mark.parametrize(
    "change", [{"language_hints": ["de"]}, {"translation": {"type": "one_way", "target_language": "es"}}]
)
async def test_what_the_engines_cannot_do_is_refused(listen, change):
    client = await listen({**ENDPOINTS, **change})
    assert client.frames[-1]["error_code"] == 400
    assert "local engines" in client.frames[-1]["error_message"]


def as_file(mulaw, kind):
    samples = np.frombuffer(audioop.ulaw2lin(mulaw, 2), dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 8_000, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "MP3", "OGG", "FLAC"])
async def test_a_whole_file_sent_at_once(listen, clips, kind):
    data, text = clips[CLIP]
    client = await listen(
        {"model": "stt-rt-v5", "audio_format": "auto", "enable_endpoint_detection": True}, as_file(data, kind), ""
    )
    assert plain(client.spoken) == text
    check_laws(client.frames)


@pytest.mark.parametrize(
    ("config", "convert"),
    [
        pytest.param(("alaw", 8000, 1), lambda pcm: audioop.lin2alaw(pcm, 2), id="alaw"),
        pytest.param(("pcm_s16le", 8000, 1), lambda pcm: pcm, id="s16le"),
        pytest.param(
            ("pcm_s16be", 8000, 2), lambda pcm: audioop.byteswap(audioop.tostereo(pcm, 2, 1, 1), 2), id="s16be, stereo"
        ),
        pytest.param(
            ("pcm_s16le", 48_000, 1), lambda pcm: audioop.ratecv(pcm, 2, 1, 8000, 48_000, None)[0], id="48 kHz"
        ),
    ],
)
async def test_raw_formats(listen, clips, config, convert):
    data, text = clips[CLIP]
    name, rate, channels = config
    raw = convert(audioop.ulaw2lin(data, 2))
    settings = {"model": "stt-rt-v5", "audio_format": name, "sample_rate": rate, "num_channels": channels}
    client = await listen(settings, raw, "")
    assert plain(client.spoken) == text


@pytest.mark.parametrize(
    ("audio", "end", "expected"),
    [
        pytest.param(b"\x00" * 4000, False, (408, "Audio data decode timeout"), id="no header"),
        pytest.param(b"\x00" * 4000, True, (400, "Audio decode error"), id="no header, and the end"),
        pytest.param(
            b"\x1a\x45\xdf\xa3" + bytes(40),
            False,
            (400, "Audio decode error: the local server cannot decode webm"),
            id="webm",
        ),
    ],
)
async def test_files_that_cannot_be_decoded(serve, open_stt, engines, audio, end, expected):
    server = await serve(engines=engines, timeouts=Timeouts(decode_s=30 if end else 0.1))
    client = await open_stt(server, {"model": "stt-rt-v5", "audio_format": "auto"})
    await client.send(audio)
    if end:
        await client.send("")
    error = (await client.rest())[-1]
    assert (error["error_code"], error["error_message"][: len(expected[1])]) == expected
    assert client.close_code == 1000


async def test_several_calls_at_once_each_get_their_own_words(serve, open_stt, engines, clips):
    server = await serve(engines=engines)
    names = [CLIP, "go_forward", "austen_young_man"]
    clients = [await open_stt(server, ENDPOINTS) for _ in names]

    async def call(client, data):
        for at in range(0, len(data), 1600):
            await client.send(data[at : at + 1600])
        await client.send("")
        await client.rest()

    async with asyncio.TaskGroup() as group:
        for client, name in zip(clients, names, strict=True):
            group.create_task(call(client, clips[name][0]))
    assert plain(clients[0].spoken) == clips[CLIP][1]
    assert plain(clients[1].spoken).startswith("go forward")
    assert plain(clients[2].spoken).startswith("he was not an ill")
