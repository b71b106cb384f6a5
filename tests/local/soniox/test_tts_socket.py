"""Text-to-speech over a real socket: streams, formats, errors."""

import asyncio
import base64
import io
import json
from contextlib import suppress

import aiohttp
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed

from voicebot.local.soniox.server import Faults, Script, Timeouts

SILENT = Script.parse([])
START = {
    "model": "tts-rt-v2",
    "language": "en",
    "voice": "Maya",
    "audio_format": "pcm_mulaw",
    "sample_rate": 8000,
    "stream_id": "s1",
}
BEARER = {"Authorization": "Bearer k"}


def text(words, *, end=True, stream_id="s1"):
    return {"stream_id": stream_id, "text": words, "text_end": end}


def audio(frames, stream_id="s1"):
    return b"".join(
        base64.b64decode(frame["audio"]) for frame in frames if frame["stream_id"] == stream_id and "audio" in frame
    )


async def terminated(client, stream_id="s1"):
    await client.until(lambda frame: frame.get("terminated") and frame["stream_id"] == stream_id)
    return client.frames


@pytest.fixture
def tts(serve, open_tts):
    async def start(**options):
        return await open_tts(await serve(**{"script": SILENT, **options}))

    return start


async def test_a_stream_speaks_and_is_terminated(tts):
    client = await tts()
    await client.send(START)
    await client.send(text("Hello there. How are you?"))
    frames = await terminated(client)
    assert all(set(frame) == {"audio", "audio_end", "stream_id"} for frame in frames[:-1])
    assert frames[-1] == {"terminated": True, "stream_id": "s1"}
    assert [frame["audio_end"] for frame in frames[:-1]] == [False] * (len(frames) - 2) + [True]
    assert len(audio(frames)) == pytest.approx(8 * 60 * len("Hello there.How are you?"), abs=16)
    assert max(len(base64.b64decode(frame["audio"])) for frame in frames[:-1]) <= 8 * 200


async def test_speech_begins_before_the_text_ends(tts):
    client = await tts()
    await client.send(START)
    await client.send(text("One sentence. And the beginning of", end=False))
    frame = await client.frame()
    assert frame["audio"]
    await client.send(text(" another", end=False))
    await client.send(text("", end=True))
    frames = await terminated(client)
    assert len(audio(frames)) == pytest.approx(8 * 60 * len("One sentence.And the beginning of another"), abs=16)


async def test_nothing_to_say_still_ends(tts):
    client = await tts()
    await client.send(START)
    await client.send(text(""))
    assert await terminated(client) == [
        {"audio": "", "audio_end": True, "stream_id": "s1"},
        {"terminated": True, "stream_id": "s1"},
    ]


async def test_characters_have_times(tts):
    client = await tts()
    await client.send({**START, "return_timestamps": True})
    await client.send(text("Hello there. Yes."))
    frames = await terminated(client)
    characters = [c for frame in frames[:-1] for c in frame["timestamps"]["characters"]]
    starts = [t for frame in frames[:-1] for t in frame["timestamps"]["character_start_times_seconds"]]
    ends = [t for frame in frames[:-1] for t in frame["timestamps"]["character_end_times_seconds"]]
    assert "".join(characters) == "Hello there. Yes."
    assert starts == sorted(starts)
    assert len(characters) == len(starts) == len(ends)
    assert ends[-1] == pytest.approx(len(audio(frames)) / 8000, abs=0.01)


async def test_streams_share_a_socket_and_a_name_is_free_again_after_the_end(tts):
    client = await tts()
    for name in "abcde":
        await client.send({**START, "stream_id": name})
        await client.send(text(f"This is stream {name}.", stream_id=name))
    for name in "abcde":
        if not any(frame.get("terminated") and frame["stream_id"] == name for frame in client.frames):
            await terminated(client, name)
    lengths = {name: len(audio(client.frames, name)) for name in "abcde"}
    assert set(lengths.values()) == {8 * 60 * len("This is stream a.")}
    await client.send({**START, "stream_id": "a"})
    await client.send(text("Again.", stream_id="a"))
    await terminated(client, "a")


async def test_a_cancelled_stream_says_nothing_more(tts):
    client = await tts()
    await client.send(START)
    await client.send(text("One sentence. And", end=False))
    await client.frame()
    await client.send({"stream_id": "s1", "cancel": True})
    await terminated(client)
    await client.send({**START, "stream_id": "s2"})
    await client.send(text("Next.", stream_id="s2"))
    await terminated(client, "s2")
    at = next(place for place, frame in enumerate(client.frames) if frame.get("terminated"))
    assert {frame["stream_id"] for frame in client.frames[at + 1 :]} == {"s2"}


@pytest.mark.parametrize(
    ("messages", "kind", "said", "over"),
    [
        pytest.param(
            [text("Hi", stream_id="x")],
            "invalid_stream_state",
            "Stream x not found. Send a start message first.",
            False,
            id="unknown",
        ),
        pytest.param(
            [{"stream_id": "x", "cancel": True}],
            "invalid_stream_state",
            "Stream x not found.",
            False,
            id="cancel of nothing",
        ),
        pytest.param([START, START], "invalid_stream_state", "Stream s1 already exists.", False, id="second start"),
        pytest.param(
            [START, text("a"), text("b")], "invalid_stream_state", "Stream s1 ", False, id="text after the end"
        ),
        pytest.param([{**START, "voice": None}], "invalid_request", "Missing voice.", True, id="bad start"),
        pytest.param([START, text("x" * 5001)], "invalid_request", "Text is too long", True, id="long text"),
        pytest.param(
            [START, text("x" * 3000, end=False), text("x" * 3000)],
            "invalid_request",
            "Text is too long",
            True,
            id="long in all",
        ),
        pytest.param(
            [{**START, "stream_id": str(number)} for number in range(6)],
            "max_concurrent_streams_reached",
            "Maximum concurrent streams (5) reached.",
            True,
            id="sixth stream",
        ),
    ],
)
async def test_a_stream_error_leaves_the_connection_and_other_streams_alone(tts, messages, kind, said, over):
    client = await tts()
    for message in messages:
        await client.send(message)
    error = await client.until(lambda frame: "error_code" in frame)
    assert (error["error_code"], error["error_type"]) == (400, kind)
    assert error["error_message"].startswith(said)
    assert error.keys() == {"error_code", "error_type", "error_message", "more_info", "request_id", "stream_id"}
    if over:
        assert await client.until(lambda frame: frame.get("stream_id") == error["stream_id"]) == {
            "terminated": True,
            "stream_id": error["stream_id"],
        }
    await client.send({"keep_alive": True})
    if kind != "max_concurrent_streams_reached":
        await client.send({**START, "stream_id": "fresh"})
        await client.send(text("Still here.", stream_id="fresh"))
        await terminated(client, "fresh")


async def test_more_than_two_minutes_are_too_long(tts):
    client = await tts()
    await client.send(START)
    await client.send(text("word " * 500))
    error = await client.until(lambda frame: "error_code" in frame)
    assert (error["error_code"], error["error_type"]) == (413, "max_audio_duration_reached")
    await terminated(client)


async def test_a_stream_without_text_starves_but_its_connection_lives(tts):
    client = await tts(timeouts=Timeouts(tts_text_s=0.1))
    await client.send(START)
    error = await client.frame()
    assert (error["error_code"], error["error_type"], error["stream_id"]) == (408, "request_timeout", "s1")
    await terminated(client)
    await client.send({**START, "stream_id": "s2"})
    await client.send(text("Hi.", stream_id="s2"))
    await terminated(client, "s2")


async def test_a_silent_connection_is_closed(tts):
    client = await tts(timeouts=Timeouts(tts_idle_s=0.1))
    frames = await client.rest()
    assert [(frame["error_code"], frame.get("stream_id")) for frame in frames] == [(408, None)]
    assert client.close_code == 1000


@pytest.mark.parametrize("message", ["{", "[]", b"\x00", json.dumps({"text": "for nobody"})])
async def test_a_message_that_belongs_to_no_stream_ends_the_connection(tts, message):
    client = await tts()
    await client.send(message)
    (error,) = await client.rest()
    assert error["error_code"] == 400
    assert "stream_id" not in error
    assert client.close_code == 1000


@pytest.mark.parametrize(
    ("headers", "key", "code"),
    [
        pytest.param({"Authorization": "Bearer right"}, None, None, id="header"),
        pytest.param({}, "right", None, id="message"),
        pytest.param({"Authorization": "Bearer wrong"}, None, 401, id="wrong header"),
        pytest.param({}, "wrong", 401, id="wrong message"),
        pytest.param({}, None, 401, id="missing"),
        pytest.param({"Authorization": "Bearer right"}, "right", 400, id="both"),
    ],
)
async def test_keys(serve, open_tts, headers, key, code):
    client = await open_tts(await serve(script=SILENT, key="right"), headers=headers)
    start = START if key is None else {**START, "api_key": key}
    with suppress(ConnectionClosed):  # a wrong key in the handshake is refused before anything is sent
        await client.send(start)
    if code is None:
        await client.send({**start, "stream_id": "s2"})
        await client.send(text("Hi.", stream_id="s2"))
        await terminated(client, "s2")
    else:
        assert [frame["error_code"] for frame in await client.rest()] == [code]
        assert client.close_code == 1000


async def test_a_wave_stream_has_one_header(tts):
    client = await tts()
    await client.send({**START, "audio_format": "wav", "sample_rate": 16_000})
    await client.send(text("Hello there. How are you?"))
    data = audio(await terminated(client))
    assert data.count(b"RIFF") == 1
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == 16_000
    assert len(samples) == pytest.approx(16 * 60 * len("Hello there.How are you?"), abs=32)


async def test_the_real_voice_speaks(tts, hearing):
    client = await tts(tts="pico")
    await client.send({**START, "audio_format": "pcm_s16le", "sample_rate": 16_000})
    await client.send(text("Your table is booked. See you at seven."))
    pcm = audio(await terminated(client))
    samples, _ = soundfile.read(
        io.BytesIO(pcm), dtype="float32", samplerate=16_000, channels=1, format="RAW", subtype="PCM_16", endian="LITTLE"
    )
    heard = " ".join(word.text for word in hearing.recogniser.decode(samples, 16_000)).lower()
    assert "table" in heard
    assert "see you at" in heard


async def test_the_real_voice_refuses_languages_it_does_not_speak(tts):
    client = await tts(tts="pico")
    await client.send({**START, "language": "ja"})
    assert (await client.frame())["error_message"].startswith("Invalid language: ja.")


async def test_fault_every_stream_is_refused(tts):
    client = await tts(faults=Faults(tts_error_code=503))
    await client.send(START)
    error = await client.frame()
    assert (error["error_code"], error["error_type"], error["stream_id"]) == (503, "service_unavailable", "s1")
    await terminated(client)


async def test_fault_no_audio(tts):
    client = await tts(faults=Faults(tts_silent=True), timeouts=Timeouts(tts_text_s=30))
    await client.send(START)
    await client.send(text("Hello."))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.socket.recv()


async def test_a_client_that_leaves_in_the_middle_is_no_trouble(tts, caplog):
    told = asyncio.Queue()
    client = await tts(notify=told.put_nowait)
    await client.send(START)
    await client.send(text("A sentence. " * 50, end=False))
    await client.frame()
    await client.socket.close()
    async with asyncio.timeout(10):
        while "ended: client left" not in await told.get():
            pass
    assert caplog.records == []


async def test_one_request_speaks_a_whole_text(serve):
    server = await serve(script=SILENT)
    request = {**START, "audio_format": "wav", "text": "Hello there. How are you?"}
    async with aiohttp.ClientSession(headers=BEARER) as http, http.post(server.tts_rest_url, json=request) as response:
        assert (response.status, response.content_type) == (200, "audio/wav")
        samples, _ = soundfile.read(io.BytesIO(await response.read()))
    assert len(samples) == pytest.approx(8 * 60 * len("Hello there.How are you?"), abs=16)


@pytest.mark.parametrize(
    ("change", "headers", "status", "message"),
    [
        pytest.param({}, {}, 401, "Missing API key.", id="no key"),
        pytest.param({}, {"Authorization": "Bearer wrong"}, 401, "Incorrect API key", id="wrong key"),
        pytest.param({"text": ""}, BEARER, 400, "Missing text.", id="no text"),
        pytest.param({"text": "x" * 5001}, BEARER, 400, "text is too long", id="long text"),
        pytest.param({"voice": None}, BEARER, 400, "Missing voice.", id="bad field"),
        pytest.param({"text": "word " * 600}, BEARER, 413, "The maximum audio duration", id="long speech"),
    ],
)
async def test_bad_requests(serve, change, headers, status, message):
    server = await serve(script=SILENT, key="k")
    request = {**START, "text": "Hello", **change}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(server.tts_rest_url, json=request) as response:
        body = await response.json()
        assert (response.status, body["status_code"]) == (status, status)
    assert body["message"].startswith(message)
    assert body.keys() == {"status_code", "error_type", "message", "validation_errors", "request_id", "more_info"}
