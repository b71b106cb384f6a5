"""Recognition against a scripted server: order, batches, ends and settings."""

import asyncio

import pytest

from voicebot.core.events import Endpoint, Finalized, Finished, Heard, SttFailed, Token
from voicebot.stt import Recognition
from voicebot.wire.soniox_stt import FINALIZE, KEEPALIVE, SttOptions

FRAME = b"\x7f" * 160
END, FIN = {"text": "<end>", "is_final": True}, {"text": "<fin>", "is_final": True}


def word(text, start=None, end=None):
    times = {} if start is None else {"start_ms": start, "end_ms": end}
    return {"text": text, "is_final": True, **times}


async def polite(peer):
    """Settle one word per finalize, and finish as Soniox does."""
    await peer.start()
    while (message := await peer.next()) != "":
        if message == FINALIZE:
            await peer.say(word("word"), FIN)
    await peer.say(word("last"))
    await peer.say(finished=True)
    await peer.socket.close()


async def test_whole_conversation(soniox, settings, events, running):
    double = await soniox(polite)
    recognition = Recognition(settings(double), SttOptions(language_hints=("en",)), events.deliver)
    async with running(recognition) as task:
        recognition.feed(FRAME)
        recognition.finalize()
        await events.until(Finalized)
        assert recognition.ready
        recognition.finish()
        await events.until(Finished)
        await asyncio.wait_for(task, 10)
    assert events.words() == ["word", "last"]
    assert events.kinds() == ["Heard", "Finalized", "Heard", "Finished"]
    assert recognition.complete and recognition.dropped_ms == 0
    assert double.headers[0]["Authorization"] == "Bearer the-soniox-key"
    config = double.peers[0].config
    assert (config["audio_format"], config["sample_rate"], config["num_channels"]) == ("mulaw", 8000, 1)
    assert config["language_hints"] == ["en"]
    assert "api_key" not in config and None not in config.values()


async def test_order_of_audio_and_finalize_is_kept(soniox, settings, events, running):
    double = await soniox(polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(b"a" * 160)
        recognition.finalize()
        recognition.feed(b"b" * 480)
        recognition.feed(b"c" * 160)
        recognition.finalize()
        recognition.feed(b"d" * 160)
        recognition.finish()
        await events.until(Finished)
    sent = double.peers[0].received[1:]
    assert sent == [b"a" * 160, FINALIZE, b"b" * 480, b"c" * 160, FINALIZE, b"d" * 160, ""]


async def test_batches_and_flush_by_timer(soniox, settings, events, running):
    got = asyncio.Queue()

    async def script(peer):
        await peer.start()
        while True:
            got.put_nowait(await peer.next())

    double = await soniox(script)
    recognition = Recognition(settings(double, batch_ms=60), SttOptions(), events.deliver)
    async with running(recognition), asyncio.timeout(10):
        for _ in range(4):
            recognition.feed(FRAME)
        assert len(await got.get()) == 480
        assert len(await got.get()) == 160, "the rest of a batch leaves although nothing follows"


async def test_oldest_audio_is_dropped_and_counted(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        audio = await peer.until("")
        await peer.say(word(audio.decode(), 0, 10), finished=True)

    double = await soniox(script)
    recognition = Recognition(settings(double, replay_ms=200, batch_ms=20), SttOptions(), events.deliver)
    for letter in b"abcdefghijklmno":  # 15 frames of 20 ms, kept for 200 ms
        recognition.feed(bytes([letter]) * 160)
    assert recognition.dropped_ms == 100
    async with running(recognition):
        recognition.finish()
        await events.until(Finished)
    (text,) = events.words()
    assert text == "".join(letter * 160 for letter in "fghijklmno")
    heard = next(event for event in events.all if isinstance(event, Heard))
    assert heard.settled[0].start_ms == 100, "times count from the first byte fed, dropped ones included"


async def test_words_that_stand_are_told_once(soniox, settings, events, running):
    tail = {"text": "so", "is_final": False, "start_ms": 0, "end_ms": 100}

    async def script(peer):
        await peer.start()
        for total in (100, 200, 300):
            await peer.say(tail, total=total)
        await peer.say(total=400)
        await peer.say(total=500)
        await peer.say(tail, total=600)
        await peer.say(word("so", 0, 100), total=700)
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        await events.until(Heard, 4)
    so = Token("so", 0, 100)
    assert events.all == [Heard((), (so,)), Heard(), Heard((), (so,)), Heard((so,))]


async def test_events_are_offered_before_they_are_delivered(soniox, settings, running):
    async def script(peer):
        await peer.start()
        for number in range(6):
            await peer.say(word(str(number)), END)
        await peer.hold()

    told, everything = [], asyncio.Event()

    def tell(how, event):
        told.append((how, event))
        if len(told) == 2 * 6:
            everything.set()

    def take(event):
        if len(told) % 3 == 2:
            return False
        tell("taken", event)
        return True

    async def deliver(event):
        for _ in range(5):
            await asyncio.sleep(0)  # others could overtake
        tell("delivered", event)

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), deliver)
    recognition.offer_first(take)
    async with running(recognition), asyncio.timeout(10):
        await everything.wait()
    assert [event for _, event in told] == [e for n in range(6) for e in (Heard((Token(str(n)),)), Endpoint())]
    assert [how for how, _ in told[:3]] == ["taken", "taken", "delivered"]


async def test_tokens_behind_end_belong_to_the_next_utterance(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        await peer.say(word("yes"), END, {"text": "but", "is_final": False})
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        await events.until(Heard, 2)
    assert events.all == [Heard((Token("yes"),)), Endpoint(), Heard((), (Token("but"),))]


async def test_keepalive_without_audio(soniox, settings, events, running):
    alive = asyncio.Event()

    async def script(peer):
        await peer.start()
        await peer.until(KEEPALIVE)
        await peer.until(KEEPALIVE)
        alive.set()
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double, keepalive_s=0.02), SttOptions(), events.deliver)
    async with running(recognition), asyncio.timeout(10):
        await alive.wait()


@pytest.mark.parametrize("fed", [b"", FRAME], ids=["silent-call", "with-audio"])
async def test_finish_before_run(soniox, settings, events, fed):
    double = await soniox(polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    recognition.feed(fed)
    recognition.finalize()
    recognition.finish()
    await asyncio.wait_for(recognition.run(), 10)
    assert events.kinds()[-2:] == (["Heard", "Finished"] if fed else ["Finalized", "Finished"])
    assert events.kinds().count("Finalized") == 1
    recognition.feed(FRAME)
    recognition.finalize()
    recognition.finish()
    assert events.kinds().count("Finished") == 1


async def test_finish_without_audio_does_not_wait(soniox, settings, events, running):
    connected = asyncio.Event()

    async def script(peer):
        await peer.start()
        connected.set()
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double, finish_timeout_s=60), SttOptions(), events.deliver)
    async with running(recognition):
        await connected.wait()
        recognition.finish()
        await events.until(Finished)
    assert recognition.complete
    assert "" not in double.peers[0].received, "Soniox would answer with an error: no audio received"


async def test_finished_never_comes(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        await peer.say({"text": "half", "is_final": False})
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double, finish_timeout_s=0.2), SttOptions(), events.deliver)
    async with running(recognition):
        await events.until(Heard)
        recognition.feed(FRAME)
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["half"], "tentative words are all that will ever be known"
    assert events.kinds() == ["Heard", "Heard", "Finished"]
    assert not recognition.complete


async def test_finalize_unanswered_then_answered_late(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        await peer.say({"text": "x", "is_final": False})
        await peer.until(FINALIZE)
        await peer.until(FINALIZE)
        await peer.say(FIN)  # the first one, long overdue
        await peer.say(word("x"), FIN)
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double, finish_timeout_s=0.2), SttOptions(), events.deliver)
    async with running(recognition):
        await events.until(Heard)
        await asyncio.sleep(0)  # the receiver waits again, without a deadline
        recognition.finalize()
        await events.until(Finalized)
        recognition.feed(FRAME)
        recognition.finalize()
        await events.until(Finalized, 2)
    assert events.kinds() == ["Heard", "Finalized", "Heard", "Heard", "Finalized"]


async def test_unasked_fin_is_left_out(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        await peer.say(FIN, word("x"))
        await peer.hold()

    double = await soniox(script)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        await events.until(Heard)
    assert events.kinds() == ["Heard"]


async def test_reconfigure(soniox, settings, events, running):
    async def script(peer):
        await peer.start()
        audio = await peer.until("")
        number = len(double.peers)
        await peer.say(word(f"session {number}: {len(audio)}", 0, 20))
        await peer.say(finished=True)
        await peer.socket.close()

    double = await soniox(script)
    options = SttOptions()
    recognition = Recognition(settings(double), options, events.deliver)
    async with running(recognition):
        recognition.feed(FRAME * 2)
        recognition.reconfigure(options)  # no change, no session
        recognition.reconfigure(SttOptions(language_hints=("es",)))
        recognition.feed(FRAME * 3)
        recognition.finish()
        await events.until(Finished)
    assert [event.settled[0] for event in events.all if isinstance(event, Heard)] == [
        Token("session 1: 320", 0, 20),
        Token("session 2: 480", 40, 60),
    ], "the old session's last words come first, and its time goes on"
    assert double.peers[1].config["language_hints"] == ["es"]
    assert len(double.peers) == 2 and recognition.complete


async def test_reconfigure_before_audio_costs_no_session(soniox, settings, events, running):
    double = await soniox(polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    recognition.reconfigure(SttOptions(language_hints=("fr",)))
    recognition.reconfigure(SttOptions(language_hints=("es",)))
    recognition.feed(FRAME)
    async with running(recognition):
        recognition.finish()
        await events.until(Finished)
    (peer,) = double.peers
    assert peer.config["language_hints"] == ["es"]


async def test_reconfigure_with_an_old_session_that_never_finishes(soniox, settings, events, running):
    async def stubborn(peer):
        await peer.start()
        await peer.say({"text": "old", "is_final": False})
        await peer.hold()

    double = await soniox(stubborn, polite)
    recognition = Recognition(settings(double, finish_timeout_s=0.2), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(FRAME * 3)
        await events.until(Heard)
        recognition.reconfigure(SttOptions(language_hints=("es",)))
        recognition.feed(FRAME * 3)
        recognition.finalize()
        await events.until(Finalized)
    assert events.words() == ["old", "word"]


async def test_slow_consumer_loses_nothing_at_the_deadline(soniox, settings):
    async def script(peer):
        await peer.start()
        await peer.say(word("a"), END, word("b"), END, {"text": "c", "is_final": False})
        await peer.hold()

    double = await soniox(script)
    mailbox = asyncio.Queue(1)
    recognition = Recognition(settings(double, finish_timeout_s=0.1), SttOptions(), mailbox.put)
    recognition.feed(FRAME)
    task = asyncio.create_task(recognition.run())
    async with asyncio.timeout(10):
        while not mailbox.full():
            await asyncio.sleep(0.01)
        recognition.finish()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.3)
        got = []
        while not got or not isinstance(got[-1], Finished | SttFailed):
            got.append(await mailbox.get())
        await task
    assert [token.text for event in got for token in getattr(event, "settled", ())] == ["a", "b", "c"]
