"""The sound of a recording as a WAV file: what any player would hear, and any part of it."""

import io
import wave

import audioop
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.recording import Audio, BotAudio, BotCleared, End, Head, Leg
from voicebot.wire.wav import HEADER_BYTES, StereoSound

LOUD, SOFT = b"\x00", b"\x80"
"""The loudest negative and positive values of µ-law."""
HEAD = Head(call="CA1")


def heard(sound):
    """The samples of both sides, as the standard library reads them."""
    with wave.open(io.BytesIO(sound.part(0, sound.size))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        frames = file.readframes(file.getnframes())
    return audioop.tomono(frames, 2, 1, 0), audioop.tomono(frames, 2, 0, 1)


def pcm(ulaw):
    return audioop.ulaw2lin(ulaw, 2)


def test_each_side_is_in_its_ear_at_its_time():
    lines = [
        HEAD,
        Leg(5, 1, "caller", 2.0),
        Leg(5, 1, "agent", 1.0),
        Audio(20, "caller", 0, LOUD * 8),
        Audio(20, "agent", 3, SOFT * 16),
        End(30, "hangup"),
    ]
    sound = StereoSound(lines)
    left, right = heard(sound)
    assert sound.call == "CA1"
    assert left == pcm(b"\xff" * 16 + LOUD * 8 + b"\xff" * 24)
    assert right == pcm(b"\xff" * 32 + SOFT * 16)


def test_a_second_stream_begins_later():
    lines = [HEAD, Leg(0, 1, "caller", 0.0), Audio(1, "caller", 0, LOUD * 8), Leg(3, 2, "caller", 3.0)]
    left, _ = heard(StereoSound([*lines, Audio(4, "caller", 0, SOFT * 8)]))
    assert left == pcm(LOUD * 8 + b"\xff" * 16 + SOFT * 8)


def test_the_bot_is_heard_until_it_is_silenced():
    lines = [HEAD, BotAudio(0.5, 2.0, LOUD * 8 * 10), BotCleared(5.0), BotAudio(6, 6.0, SOFT * 8)]
    _, right = heard(StereoSound(lines))
    assert right == pcm(b"\xff" * 16 + LOUD * 24 + b"\xff" * 8 + SOFT * 8)


def test_a_recording_without_sound():
    sound = StereoSound([HEAD, End(1, "hangup")])
    assert sound.silent
    assert sound.size == HEADER_BYTES


def test_nothing_is_laid_out_for_a_clock_gone_mad():
    assert StereoSound([HEAD, Audio(1, "caller", 10**12, LOUD)]).silent


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(-5, 300), st.integers(-5, 300))
def test_any_part_is_that_part_of_the_whole(left, right, start, length):
    sound = StereoSound([HEAD, Audio(0, "caller", 0, left), Audio(0, "agent", 1, right)])
    whole = sound.part(0, sound.size)
    start = max(0, start)
    stop = start + max(0, length)
    assert sound.part(start, stop) == whole[start:stop]
