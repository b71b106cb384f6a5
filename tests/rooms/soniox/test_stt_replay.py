"""A new session hears what the lost one had not settled, and answers what it was asked."""

import asyncio

from voicebot.core.events import Finalized, Finished, Heard
from voicebot.stt import Recognition
from voicebot.wire.soniox_stt import FINALIZE, SttOptions

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


async def test_settled_audio_is_not_heard_again_and_its_words_not_repeated(soniox, settings, events, running):
    async def settles(peer):
        await peer.start()
        await peer.audio(16_000)
        await peer.say(
            word("one ", 1_000, 1_500), {"text": "tw", "is_final": False, "start_ms": 1_600, "end_ms": 1_900}
        )
        await peer.error(503)

    async def goes_on(peer):
        await peer.start()
        audio = await peer.until("")
        await peer.say(word("ne ", 0, 480), word("two", 620, 950), word(f" {len(audio)}", 1_000, 1_100), finished=True)

    double = await soniox(settles, goes_on)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(FRAME * 33 + b"\x7f" * 160)
        await events.until(Heard)
        async with asyncio.timeout(10):
            while len(double.peers) < 2:
                await asyncio.sleep(0.01)
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["one ", "two", " 8000"], "from half a second before the last settled word on"
    heard = [token for event in events.all if isinstance(event, Heard) for token in event.settled]
    assert [token.start_ms for token in heard] == [1_000, 1_620, 2_000], "one clock"


async def test_polite_close_in_mid_call(soniox, settings, events, running):
    async def leaves(peer):
        await peer.start()
        await peer.say(word("one "), {"text": "tw", "is_final": False})
        await peer.until(FINALIZE)
        await peer.socket.close(1000, "bye")

    async def answers(peer):
        await peer.start()
        audio = await peer.until(FINALIZE)
        await peer.say(word("two "), FIN)
        audio = await peer.until("")
        await peer.say(word(f"{len(audio)} bytes"), finished=True)

    double = await soniox(leaves, answers)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(FRAME)
        await events.until(Heard)
        recognition.finalize()
        await events.until(Finalized)
        assert events.words() == ["one ", "two "], "the new session hears what was tentative, and answers"
        recognition.feed(FRAME)
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["one ", "two ", "480 bytes"]
    assert events.kinds().count("Finalized") == 1


async def test_the_line_breaks_while_the_last_words_are_awaited(soniox, settings, events, running):
    async def leaves(peer):
        await peer.start()
        await peer.until("")
        await peer.socket.close(1001)

    double = await soniox(leaves, polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(FRAME)
        recognition.finalize()
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["480 bytes"]
    assert [kind for kind in events.kinds() if kind != "Heard"] == ["Finalized", "Finished"]


async def test_the_line_breaks_while_options_change(soniox, settings, events, running):
    async def leaves(peer):
        await peer.start()
        await peer.until("")
        await peer.socket.close(1001)

    double = await soniox(leaves, polite)
    recognition = Recognition(settings(double), SttOptions(), events.deliver)
    async with running(recognition):
        recognition.feed(FRAME)
        recognition.reconfigure(SttOptions(language_hints=("es",)))
        recognition.feed(FRAME * 2)
        recognition.finish()
        await events.until(Finished)
    assert events.words() == ["480 bytes", "960 bytes"]
    assert [peer.config.get("language_hints") for peer in double.peers] == [None, None, ["es"]]
