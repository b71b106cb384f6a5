"""Recognition when the other side fails: error frames, broken lines, nonsense, silence, cancellation."""

import asyncio
import gc
import http
import json

import pytest
import structlog
from structlog.testing import LogCapture
from websockets.asyncio.server import serve

from voicebot.core.events import Finalized, Finished, Heard, SttFailed, Token
from voicebot.stt import Recognition
from voicebot.stt import recognition as stt_recognition
from voicebot.stt import session as stt_session
from voicebot.wire.soniox_stt import FINALIZE, SttOptions
from voicebot.wire.soniox_upstream import AudioFormat

FRAME = b"\x7f" * 480
FIN = {"text": "<fin>", "is_final": True}


def word(text, start=None, end=None):
    times = {} if start is None else {"start_ms": start, "end_ms": end}
    return {"text": text, "is_final": True, **times}


async def polite(peer):
    await peer.start()
    audio = await peer.until("")
    await peer.say(word(f"{len(audio)} bytes", 0, 60))
    await peer.say(finished=True)
    await peer.socket.close()


def failing(code, kind=""):
    async def script(peer):
        await peer.start()
        await peer.audio(480)
        await peer.error(code, kind)
        await peer.socket.close(1000)

    return script


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, "invalid_request"), (401, "unauthenticated"), (402, "organization_balance_exhausted"), (403, "")],
)
async def test_refusals_are_final(soniox, settings, events, code, kind):
    double = await soniox(failing(code, kind))
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    recognition.feed(FRAME)
    await asyncio.wait_for(recognition.run(), 10)
    assert events.all == [SttFailed(code, kind or f"error_{code}", "no")]
    assert len(double.peers) == 1


@pytest.mark.parametrize("code", [408, 413, 429, 500, 503, 599])
async def test_other_errors_open_a_new_session(soniox, settings, events, running, code):
    double = await soniox(failing(code), polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    recognition.feed(FRAME)
    async with running(recognition):
        async with asyncio.timeout(10):
            while len(double.peers) < 2:
                await asyncio.sleep(0.01)
        recognition.feed(FRAME * 2)
        recognition.finish()
        await events.until(Finished)
    heard = next(event for event in events.all if isinstance(event, Heard))
    assert heard.settled == (Token("1440 bytes", 0, 60),), "what the lost session had not settled is heard again"
    assert recognition.complete and recognition.dropped_ms == 0


async def test_error_frame_of_older_servers(soniox, settings, events):
    async def script(peer):
        await peer.start()
        await peer.socket.send(json.dumps({"error_code": 402, "error_message": "No balance."}))
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    await asyncio.wait_for(recognition.run(), 10)
    assert events.all == [SttFailed(402, "error_402", "No balance.")]


async def test_attempts_are_counted_until_one_brings_recognition_on(soniox, settings, events, running):
    async def shut(peer):
        await peer.start()
        await peer.error(503)

    async def only_speaks(peer):
        await peer.start()
        await peer.say(word("noise"), total=20)
        await peer.error(503)

    async def settles(peer):
        await peer.start()
        await peer.audio(8_000)
        await peer.say(word("hello", 0, 400), final_audio_proc_ms=800, total=1_000)
        await peer.error(503)

    double = await soniox(shut, only_speaks, settles, shut)
    recognition = Recognition(settings(double, connect_attempts=3), SttOptions(), events.deliver)
    recognition.feed(b"\xff" * 8_000)
    async with running(recognition):
        failure = await events.until(SttFailed)
    assert failure.code == 503
    assert "3 attempts" in failure.message
    assert "hello" in events.words()
    assert len(double.peers) == 5, "the third session settled audio, so two more were tried after it"


async def test_finalize_that_waited_goes_to_the_next_session(soniox, settings, events, running):
    async def leaves(peer):
        await peer.start()
        await peer.socket.close(1001)

    async def answers(peer):
        await peer.start()
        await peer.until(FINALIZE)
        await peer.say(word("x"), FIN)
        await peer.hold()

    double = await soniox(leaves, answers)
    recognition = Recognition(settings(double, retry_wait_s=0.3), SttOptions(), events.deliver)
    async with running(recognition):
        async with asyncio.timeout(10):
            while not double.peers or double.peers[0].socket.state.name != "CLOSED":
                await asyncio.sleep(0.01)
        recognition.feed(FRAME)
        recognition.finalize()
        await events.until(Finalized)
    assert events.kinds() == ["Heard", "Finalized"]


@pytest.mark.parametrize(
    ("nonsense", "complaint"),
    [
        pytest.param("{", "not JSON", id="no-json"),
        pytest.param("[" * 100_000, "not JSON", id="too-deep"),
        pytest.param("[]", "expected an object, got list", id="no-object"),
        pytest.param('{"tokens":{}}', "tokens: expected a list, got dict", id="no-list"),
        pytest.param('{"tokens":[1]}', "tokens[0]: expected an object", id="no-token"),
        pytest.param('{"tokens":[{"text":1}]}', "tokens[0].text: expected a string", id="no-text"),
        pytest.param('{"tokens":[{"text":"a","start_ms":"1"}]}', "tokens[0].start_ms: expected an integer", id="time"),
        pytest.param(b"\x00\x01", "binary message of 2 bytes", id="binary"),
        pytest.param(" " * 300_000, "more than 200000 bytes", id="oversized"),
        pytest.param('{"tokens":[],"finished":true}', "finished although audio goes on", id="finished-early"),
    ],
)
async def test_nonsense_is_named(soniox, settings, events, nonsense, complaint):
    async def script(peer):
        await peer.start()
        await peer.socket.send(nonsense)
        await peer.hold()

    double = await soniox(script)
    chosen = settings(double, connect_attempts=2, max_message_bytes=200_000)
    recognition = Recognition(chosen, SttOptions(), events.deliver)
    await asyncio.wait_for(recognition.run(), 10)
    (failure,) = events.all
    assert complaint in failure.message
    assert failure.code == 0


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (404, 1), (429, 3), (503, 3)])
async def test_refused_handshake(settings, events, status, attempts):
    tried = []

    def refuse(connection, request):
        tried.append(request.path)
        return connection.respond(http.HTTPStatus(status), "no\n")

    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, process_request=refuse) as server:

        class Address:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/transcribe-websocket"

        recognition = Recognition(settings(Address, connect_attempts=3), SttOptions(), events.deliver)
        await asyncio.wait_for(recognition.run(), 10)
    (failure,) = events.all
    assert str(status) in failure.message
    assert tried == ["/transcribe-websocket"] * attempts


async def test_unreachable(settings, events):
    class Address:
        url = "ws://127.0.0.1:1"

    recognition = Recognition(settings(Address, connect_attempts=2), SttOptions(), events.deliver)
    recognition.feed(FRAME)
    recognition.finalize()
    await asyncio.wait_for(recognition.run(), 10)
    assert events.kinds() == ["Finalized", "SttFailed"]
    assert "cannot be reached" in events.all[-1].message


async def test_server_that_accepts_and_never_answers(settings, events):
    async def mute(_reader, writer):
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:

        class Address:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        chosen = settings(Address, connect_attempts=2, connect_timeout_s=0.1)
        recognition = Recognition(chosen, SttOptions(), events.deliver)
        await asyncio.wait_for(recognition.run(), 10)
        gone.set()
    assert "timed out" in events.all[0].message


@pytest.mark.parametrize("key", ["sonioxé", "a\nb"])
async def test_impossible_key(soniox, settings, events, key):
    double = await soniox(polite)
    recognition = Recognition(settings(double, api_key=key), SttOptions(), events.deliver)
    await asyncio.wait_for(recognition.run(), 10)
    assert events.all[0].code == 401
    assert key not in events.all[0].message


async def test_container_cannot_go_on_in_a_new_session(soniox, settings, events):
    double = await soniox(failing(503), polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver, AudioFormat("auto"))
    recognition.feed(FRAME * 10)
    await asyncio.wait_for(recognition.run(), 10)
    assert events.all == [SttFailed(503, "error_503", "no")]
    assert "sample_rate" not in double.peers[0].config


async def test_audio_that_a_dead_socket_did_not_take_is_heard_by_the_next(soniox, settings, events, running):
    async def leaves(peer):
        await peer.start()
        await peer.say(word("x"))
        await peer.socket.close()

    async def slowly(event):
        delivering.set()
        await go_on.wait()
        await events.deliver(event)

    delivering, go_on = asyncio.Event(), asyncio.Event()
    double = await soniox(leaves, polite)
    recognition = Recognition(settings(double), SttOptions(), slowly)
    async with running(recognition), asyncio.timeout(10):
        await delivering.wait()
        await double.peers[0].socket.wait_closed()
        recognition.feed(FRAME)
        recognition.feed(FRAME)
        for _ in range(10):
            await asyncio.sleep(0)  # the sender tries, while the receiver is still busy
        go_on.set()
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["x", "960 bytes"]


async def test_server_that_stops_reading(soniox, settings, events):
    stuck = asyncio.Event()

    async def stops(peer):
        await peer.start()
        peer.socket.transport.pause_reading()
        await stuck.wait()

    double = await soniox(stops)
    loud = AudioFormat("pcm_f64le", 48_000, 8)  # fills every buffer on the way
    recognition = Recognition(
        settings(double, finish_timeout_s=0.3, replay_ms=10_000), SttOptions(), events.deliver, loud
    )
    recognition.feed(bytes(loud.bytes_per_second * 5))
    task = asyncio.create_task(recognition.run())
    async with asyncio.timeout(10):
        while not recognition.ready:
            await asyncio.sleep(0.01)
        recognition.finish()
        await task
    stuck.set()
    double.peers[0].socket.transport.resume_reading()
    assert events.all == [Finished()]
    assert not recognition.complete


async def test_logs_carry_neither_key_nor_words(soniox, settings, events, running, monkeypatch):
    logs = LogCapture()
    for module in (stt_recognition, stt_session):  # their own loggers may be cached, so they are replaced
        monkeypatch.setattr(module, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[logs]))

    async def script(peer):
        await peer.start()
        await peer.say(word("secret words"))
        await peer.socket.send(json.dumps({"error_code": 401, "error_message": "Incorrect API key the-soniox-key."}))
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        failure = await events.until(SttFailed)
    assert failure.message == "Incorrect API key ***."
    assert "stt.failed" in str(logs.entries)
    assert "the-soniox-key" not in str(logs.entries) and "secret words" not in str(logs.entries)


async def test_deliver_that_fails_fails_the_room(soniox, settings):
    async def deliver(_event):
        raise RuntimeError("mailbox")

    async def script(peer):
        await peer.start()
        await peer.say(word("x"))
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), deliver)
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(recognition.run(), 10)
    assert raised.group_contains(RuntimeError, match="mailbox")


async def test_cancelled_at_any_step_nothing_is_left(soniox, settings, events):
    async def endless(peer):
        await peer.start()
        while True:
            await peer.say({"text": "and", "is_final": False}, total=10)
            await peer.next()

    double = await soniox(endless)
    own = asyncio.all_tasks()
    for step in range(60):
        recognition = Recognition(settings(double), SttOptions(), events.deliver)
        task = asyncio.create_task(recognition.run())
        for turn in range(step):
            recognition.feed(FRAME)
            if turn == step // 2:
                recognition.finalize()
            await asyncio.sleep(0)
        if step > 40:
            await asyncio.sleep(0.005)  # past the handshake
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    async with asyncio.timeout(10):
        for peer in double.peers:
            await peer.socket.wait_closed()
        while left := [
            t for t in asyncio.all_tasks() - own if "Server" not in repr(t) and "conn_handler" not in repr(t)
        ]:
            assert all("keepalive" in repr(t) or "handshake" in repr(t) for t in left), left
            await asyncio.sleep(0.01)
    gc.collect()  # an unclosed socket would warn, and warnings are errors
