"""Speech-to-text over a real socket, answered by scripts: every observable detail of the protocol."""

import asyncio
import base64
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from voicebot.local.soniox.server import Faults, LocalSonioxOptions, Script, Timeouts, local_soniox

MULAW = {"model": "stt-rt-v5", "audio_format": "mulaw", "sample_rate": 8000, "num_channels": 1}
ENDPOINTS = {**MULAW, "enable_endpoint_detection": True}
SAY = Script.parse([{"at_ms": 500, "say": "book it", "until_ms": 1100, "end_ms": 1800}])
SILENT = Script.parse([])
ACK = {"tokens": [], "final_audio_proc_ms": 0, "total_audio_proc_ms": 0}
ERROR_KEYS = {"error_code", "error_type", "error_message", "more_info", "request_id"}


def silence(ms):
    return b"\xff" * (8 * ms)


async def refusal(client):
    """The error frame and the close that must follow it."""
    *_, frame = await client.rest()
    assert client.close_code == 1000
    assert frame.keys() >= ERROR_KEYS
    return frame["error_code"], frame["error_message"]


# Authentication


async def test_a_key_in_the_header(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, key="right"), MULAW, headers={"Authorization": "Bearer right"})
    assert await client.frame() == ACK


async def test_a_key_in_the_subprotocol_is_echoed_without_the_key(serve, open_stt):
    client = await open_stt(
        await serve(script=SILENT, key="right"), MULAW, headers={}, subprotocols=["soniox-api-key", "right"]
    )
    assert client.socket.subprotocol == "soniox-api-key"
    assert await client.frame() == ACK


async def test_a_key_in_the_message(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, key="right"), {**MULAW, "api_key": "right"}, headers={})
    assert await client.frame() == ACK


@pytest.mark.parametrize(
    ("headers", "config", "strict", "expected"),
    [
        pytest.param({"Authorization": "Bearer wrong"}, None, False, (401, "Incorrect API key"), id="wrong, at once"),
        pytest.param({}, {**MULAW, "api_key": "wrong"}, False, (401, "Incorrect API key"), id="wrong, in message"),
        pytest.param({}, MULAW, False, (401, "Missing API key."), id="missing"),
        pytest.param(
            {"Authorization": "Bearer right"}, {**MULAW, "api_key": "right"}, False, (400, "The API key"), id="both"
        ),
        pytest.param({}, {**MULAW, "api_key": "right"}, True, (401, "The API key must be sent"), id="2027"),
    ],
)
async def test_a_bad_key_opens_the_socket_and_then_is_refused(serve, open_stt, headers, config, strict, expected):
    client = await open_stt(await serve(script=SILENT, key="right", strict_2027=strict), config, headers=headers)
    code, text = await refusal(client)
    assert (code, text.startswith(expected[1])) == (expected[0], True)
    assert len(client.frames) == 1


# The start request


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param(b"\xff\xff", (400, "Start request must be a text message."), id="binary first"),
        pytest.param("{", (400, "Start request is malformed."), id="bad JSON"),
        pytest.param("", (400, "Start request is malformed."), id="empty"),
        pytest.param('{"type":"keepalive"}', (400, "Missing model."), id="keepalive first"),
        pytest.param(
            json.dumps({**MULAW, "sample_rate": None}),
            (400, "Audio data sample rate must be specified for PCM formats"),
            id="no rate",
        ),
    ],
)
async def test_a_bad_start(serve, open_stt, first, expected):
    client = await open_stt(await serve(script=SILENT))
    await client.send(first)
    assert await refusal(client) == expected


async def test_no_start_request_for_too_long(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, timeouts=Timeouts(start_s=0.05)))
    assert await refusal(client) == (408, "Start request timeout")


async def test_the_first_frame_is_empty_and_can_be_switched_off(serve, open_stt):
    with_ack = await open_stt(await serve(script=SILENT), MULAW)
    assert await with_ack.frame() == ACK
    without = await open_stt(await serve(script=SILENT, ack=False), MULAW)
    await without.send({"type": "finalize"})
    assert [token["text"] for token in (await without.frame())["tokens"]] == ["<fin>"]


# Audio, control, end


async def test_words_grow_settle_and_end(serve, open_stt):
    client = await open_stt(await serve(script=SAY), ENDPOINTS)
    for _ in range(100):
        await client.send(silence(20))
    await client.send("")
    ack, one, two, settled, finished = await client.rest()
    assert ack == ACK
    assert [token["text"] for token in one["tokens"]] == [" book"]
    assert [(token["text"], token["is_final"]) for token in two["tokens"]] == [(" book", False), (" it", False)]
    assert settled["tokens"][0] == {
        "text": " book",
        "start_ms": 500,
        "end_ms": 800,
        "confidence": 0.9,
        "is_final": True,
    }
    assert settled["tokens"][-1] == {"text": "<end>", "is_final": True}
    assert finished == {"tokens": [], "final_audio_proc_ms": 2000, "total_audio_proc_ms": 2000, "finished": True}
    assert client.close_code == 1000
    assert not any(ERROR_KEYS & frame.keys() for frame in client.frames)


async def test_without_endpoint_detection_there_is_no_end_token(serve, open_stt):
    client = await open_stt(await serve(script=SAY), MULAW)
    await client.send(silence(3000))
    await client.send("")
    await client.rest()
    assert client.finals == [" book", " it"]


async def test_finalize_settles_what_was_heard_and_never_twice(serve, open_stt):
    client = await open_stt(await serve(script=SAY), ENDPOINTS)
    await client.send(silence(900))
    await client.send({"type": "finalize", "trailing_silence_ms": 200})
    fin = await client.until_token("<fin>")
    assert [token["text"] for token in fin["tokens"]] == [" book", "<fin>"]
    await client.send(silence(1500))
    await client.send("")
    await client.rest()
    assert client.finals == [" book", "<fin>", " it", "<end>"]


async def test_every_finalize_is_answered_even_with_nothing_to_settle(serve, open_stt):
    client = await open_stt(await serve(script=SILENT), ENDPOINTS)
    for _ in range(3):
        await client.send({"type": "finalize"})
    await client.send("")
    frames = await client.rest()
    assert client.finals == ["<fin>"] * 3
    assert all(frame["tokens"][0] == {"text": "<fin>", "is_final": True} for frame in frames[1:4])


async def test_the_end_settles_what_is_pending(serve, open_stt):
    client = await open_stt(await serve(script=SAY), ENDPOINTS)
    await client.send(silence(900))
    await client.send("")
    frames = await client.rest()
    assert client.finals == [" book"]
    assert frames[-1]["finished"] is True


async def test_empty_audio_is_ignored_and_a_second_end_does_no_harm(serve, open_stt):
    client = await open_stt(await serve(script=SILENT), MULAW)
    await client.send(b"")
    await client.send(silence(20))
    await client.send("")
    await client.send("")
    frames = await client.rest()
    assert [frame.get("finished") for frame in frames] == [None, True]
    assert client.close_code == 1000


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param({"type": "flush"}, "Control request invalid type.", id="unknown type"),
        pytest.param(MULAW, "Control request invalid type.", id="second start request"),
        pytest.param("{", "Control request is malformed.", id="bad JSON"),
        pytest.param("[]", "Control request is malformed.", id="no object"),
        pytest.param(
            {"type": "finalize", "trailing_silence_ms": "x"}, "trailing_silence_ms must be an integer.", id="field"
        ),
    ],
)
async def test_a_bad_control_message(serve, open_stt, message, text):
    client = await open_stt(await serve(script=SILENT), MULAW)
    await client.send(message)
    assert await refusal(client) == (400, text)


async def test_a_silent_client_is_closed(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, timeouts=Timeouts(idle_s=0.1)), MULAW)
    assert await refusal(client) == (408, "Request timeout.")
    assert client.frames[-1]["error_type"] == "request_timeout"


async def test_keepalives_keep_a_session_alive_and_are_not_answered(serve, open_stt):
    client = await open_stt(await serve(script=SILENT, timeouts=Timeouts(idle_s=1.5)), MULAW)
    for _ in range(10):
        await client.send({"type": "keepalive"})
        await asyncio.sleep(0.3)
    await client.send("")
    assert [frame.get("finished") for frame in await client.rest()] == [None, True]


async def test_pings_are_answered_and_compression_is_negotiated(serve):
    server = await serve(script=SILENT)
    async with connect(server.stt_url, additional_headers={"Authorization": "Bearer k"}, proxy=None) as socket:
        assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
        async with asyncio.timeout(10):
            await (await socket.ping())
        await socket.send(json.dumps(MULAW))
        assert json.loads(await socket.recv()) == ACK


async def test_a_client_that_just_leaves_is_no_trouble(serve, open_stt, caplog):
    told = asyncio.Queue()
    server = await serve(script=SAY, notify=told.put_nowait)
    client = await open_stt(server, ENDPOINTS)
    await client.send(silence(1000))
    await client.socket.close()
    async with asyncio.timeout(10):
        while "ended: client left" not in await told.get():
            pass
    assert caplog.records == []


async def test_two_sessions_do_not_disturb_each_other(serve, open_stt):
    server = await serve(script=SAY)
    one, two = await open_stt(server, ENDPOINTS), await open_stt(server, MULAW)
    await one.send(silence(1000))
    await two.send("{")
    assert await refusal(two) == (400, "Control request is malformed.")
    await one.send(silence(1000))
    await one.send("")
    await one.rest()
    assert one.finals == [" book", " it", "<end>"]


# Scripts


async def test_a_script_may_send_anything(serve, open_stt):
    translated = {"text": "reserva", "translation_status": "translation", "language": "es", "source_language": "en"}
    script = Script.parse(
        [
            {
                "at_ms": 100,
                "tokens": [
                    {"text": "book", "is_final": True},
                    {**translated, "is_final": True},
                    {"text": " it", "is_final": False},
                ],
            },
            {"at_ms": 200, "frame": "not json"},
            {"at_ms": 300, "error": 503},
        ]
    )
    client = await open_stt(
        await serve(script=script), {**MULAW, "translation": {"type": "one_way", "target_language": "es"}}
    )
    await client.frame()
    await client.send(silence(100))
    assert (await client.frame())["tokens"] == [
        {"text": "book", "is_final": True},
        {**translated, "is_final": True},
        {"text": " it", "is_final": False},
    ]
    await client.send(silence(100))
    assert await client.socket.recv() == "not json"
    await client.send(silence(100))
    code, text = await refusal(client)
    assert (code, text.startswith("Cannot continue request")) == (503, True)


async def test_a_script_may_close_without_a_word(serve, open_stt):
    client = await open_stt(await serve(script=Script.parse([{"at_ms": 100, "close": 1011}])), MULAW)
    await client.send(silence(100))
    assert await client.rest() == [ACK]
    assert client.close_code == 1011


async def test_a_script_counts_the_audio_of_files_too(serve, open_stt):
    header = (
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\xff\xff\xff\xff"
    )
    client = await open_stt(
        await serve(script=SAY), {"model": "stt-rt-v5", "audio_format": "auto", "enable_endpoint_detection": True}
    )
    await client.send(header + bytes(16_000 * 2))
    await client.send("")
    await client.rest()
    assert client.finals == [" book", " it", "<end>"]


# The server


async def test_leaving_the_server_closes_its_connections(open_stt):
    options = LocalSonioxOptions(script=SAY, faults=Faults(half_close_at_ms=20))
    async with asyncio.timeout(15):
        async with local_soniox(options) as server:
            half, whole = await open_stt(server, MULAW), await open_stt(server, MULAW)
            await half.send(silence(20))
            for client in (half, whole):
                await client.frame()
        for client in (half, whole):
            with pytest.raises(ConnectionClosed):
                await client.socket.recv()
    assert whole.close_code == 1001


async def test_a_port_that_is_taken_is_a_wrong_setting(serve):
    server = await serve(script=SILENT)
    with pytest.raises(Exception, match=f"cannot listen on 127.0.0.1:{server.port}"):
        await serve(script=SILENT, port=server.port)


async def test_base64_is_not_audio(serve, open_stt):
    client = await open_stt(await serve(script=SILENT), MULAW)
    await client.send(base64.b64encode(silence(20)).decode())
    assert await refusal(client) == (400, "Control request is malformed.")
