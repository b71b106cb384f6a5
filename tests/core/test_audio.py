"""Holes in the stream, and speech activity on recorded human speech in the noise of a line."""

from pathlib import Path

import audioop
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.audio import SILENCE, SpeechDetector, Timeline, duration_ms, frame_levels, silence
from voicebot.core.events import SpeechStarted, SpeechStopped

SPEECH = Path(__file__).parents[2] / "voicebot" / "local" / "speech"
FRAME = 160
# (first and last sound in ms, by ear and waveform; breath and echo left out)
CLIPS = {
    "five_digits": (270, 1_600),
    "go_forward": (520, 2_640),
    "four_queen_of_clubs": (140, 1_640),
    "austen_selfish": (270, 5_150),
    "three_cards": (220, 3_220),
}


def frame(value=1):
    return bytes([value]) * FRAME


# --- the timeline ---------------------------------------------------------------------------------


def test_silence_is_mu_law_zero():
    assert (silence(3), duration_ms(silence(3))) == (b"\xff" * 24, 3)
    assert audioop.ulaw2lin(SILENCE, 2) == b"\0\0"


@pytest.mark.parametrize(
    ("stamps", "filled", "dropped"),
    [
        pytest.param([0, 20, 40], 0, 0, id="regular"),
        pytest.param([155, 175, 195], 0, 0, id="the first timestamp is not 0"),
        pytest.param([0, 19, 39, 59, 78], 0, 0, id="steps of a little less"),
        pytest.param([0, 29, 49], 0, 0, id="less than the slack is rounding"),
        pytest.param([0, 30, 50], 10, 0, id="a hole as long as the slack"),
        pytest.param([0, 60], 40, 0, id="two frames missing"),
        pytest.param([0, 20, 20, 40], 0, 1, id="twice"),
        pytest.param([0, 40, 20, 60], 20, 1, id="late: its place was filled already"),
        pytest.param([0, 5_000], 1_000, 0, id="no more than the longest hole is filled"),
        pytest.param([0, 20, 10**15, 40, 60, 100], 1_020, 0, id="a wild timestamp does not make us deaf"),
        pytest.param([5_000, 0, 20], 0, 0, id="a new clock"),
    ],
)
def test_timeline(stamps, filled, dropped):
    timeline = Timeline(max_gap_ms=1_000)
    audio = b"".join(timeline.place(stamp, frame()) for stamp in stamps)
    assert (timeline.filled_ms, timeline.dropped) == (filled, dropped)
    assert duration_ms(audio) == filled + 20 * (len(stamps) - dropped)
    assert audio.count(SILENCE) == filled * 8


def test_silence_is_put_in_front_of_what_comes_after_the_hole():
    timeline = Timeline(max_gap_ms=1_000)
    assert timeline.place(100, frame(1)) == frame(1)
    assert timeline.place(160, frame(2)) == silence(40) + frame(2)


def test_an_hour_of_shortened_steps_adds_nothing():
    """Twilio's frames are 19.97 ms apart by their timestamps, so they never stand where 20 ms each would put them."""
    timeline = Timeline(max_gap_ms=1_000)
    for index in range(180_000):
        assert len(timeline.place(155 + round(index * 19.97), frame())) == FRAME


@pytest.mark.parametrize("size", [0, 1, 7, 159, 161, 800, 8_001])
def test_odd_payloads_pass_as_they_are(size):
    timeline = Timeline(max_gap_ms=1_000)
    payload = b"\x01" * size
    assert timeline.place(0, payload) == payload
    assert timeline.place(duration_ms(payload) or 1, payload) == payload


@settings(max_examples=200, deadline=None)
@given(stamps=st.lists(st.integers(0, 3_000), max_size=60), max_gap=st.sampled_from([0, 100, 10_000]))
def test_what_comes_in_goes_out_once_or_is_counted(stamps, max_gap):
    timeline = Timeline(max_gap)
    out = [timeline.place(stamp, bytes([index]) * FRAME) for index, stamp in enumerate(stamps)]
    passed = [index for index, audio in enumerate(out) if audio]
    assert len(passed) + timeline.dropped == len(stamps)
    assert all(out[index].endswith(bytes([index]) * FRAME) for index in passed)
    assert sum(map(len, out)) == (timeline.filled_ms * 8) + len(passed) * FRAME


# --- speech activity ------------------------------------------------------------------------------


def noise(kind, count, rms, seed=1):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(count)
    if kind == "pink":
        spectrum = np.fft.rfft(samples)
        spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
        samples = np.fft.irfft(spectrum, count)
    return samples * rms / np.sqrt(np.mean(samples**2))


def ulaw(samples):
    return audioop.lin2ulaw(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes(), 2)


def activity(samples, size=FRAME):
    """Feed samples in payloads; return (ms, event) with the time at which the last payload had been heard."""
    detector = SpeechDetector()
    data = ulaw(samples)
    starts = range(0, len(data), size)
    return [((start + size) // 8, event) for start in starts if (event := detector.feed(data[start : start + size]))]


def phone_call(clip, level_db, background, before_ms=3_000, after_ms=2_000):
    """Put a clip at a level (dBFS, RMS) into a background; return the samples, and its first and last sound in ms."""
    samples = soundfile.read(SPEECH / f"{clip}.wav", dtype="int16")[0].astype(float)
    first, last = CLIPS[clip]
    spoken = samples[first * 8 : last * 8]
    samples *= 32_768 * 10 ** (level_db / 20) / np.sqrt(np.mean(spoken**2))
    line = np.zeros(len(samples) + 8 * (before_ms + after_ms))
    line[before_ms * 8 : before_ms * 8 + len(samples)] = samples
    return line + background(len(line)), before_ms + first, before_ms + last


BACKGROUNDS = {
    "digital silence": np.zeros,
    "comfort noise": lambda count: noise("white", count, 40),
    "street": lambda count: noise("pink", count, 120),
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("level_db", [-20, -28])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_speech_is_noticed_soon_and_its_end_is_not_called_early(clip, level_db, background):
    samples, first, last = phone_call(clip, level_db, BACKGROUNDS[background])
    events = activity(samples)
    started, stopped = events[0], events[-1]
    assert isinstance(started[1], SpeechStarted) and isinstance(stopped[1], SpeechStopped)
    assert -100 <= started[0] - first <= 350
    # On a digitally silent line, the room in the recording itself is a sound.
    assert -300 <= stopped[1].at_ms - last <= (450 if background == "digital silence" else 300)
    assert len(events) <= 8, "a phrase does not fall to pieces"


@pytest.mark.parametrize("rms", [20, 150, 500, 2_000])
@pytest.mark.parametrize("kind", ["white", "pink"])
def test_steady_noise_from_the_start_is_not_speech(kind, rms):
    assert activity(noise(kind, 8_000 * 20, rms)) == []


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("rms", [300, 800, 3_000])
def test_steady_noise_that_sets_in_is_known_after_a_second(kind, rms):
    samples = np.concatenate([noise("white", 8_000 * 5, 30), noise(kind, 8_000 * 10, rms)])
    (started, _), (stopped, _) = activity(samples)
    assert 5_000 < started < 5_200
    assert stopped < 6_000


def test_steady_noise_that_stops_leaves_no_deafness():
    """A fan, a tone, a held vowel: what comes after it is heard at its usual level."""
    tone = 3_000 * np.sin(np.arange(8_000 * 2) * 2 * np.pi * 1_000 / 8_000)
    samples, first, _ = phone_call("five_digits", -28, BACKGROUNDS["comfort noise"], before_ms=500)
    events = activity(np.concatenate([noise("white", 8_000, 40), tone, samples]))
    after = [event.at_ms for _, event in events if isinstance(event, SpeechStarted) and event.at_ms > 3_000]
    assert after[0] - (3_000 + first) <= 200


def voices(count, level_db, seed=5):
    rng = np.random.default_rng(seed)
    talk = np.concatenate([soundfile.read(SPEECH / f"{clip}.wav", dtype="int16")[0].astype(float) for clip in CLIPS])
    mixed = sum(np.resize(np.roll(talk, int(rng.integers(len(talk)))), count) for _ in range(6))
    return mixed * 32_768 * 10 ** (level_db / 20) / np.sqrt(np.mean(mixed**2))


def spans(events, end_ms):
    starts = [event.at_ms for _, event in events if isinstance(event, SpeechStarted)]
    stops = [event.at_ms for _, event in events if isinstance(event, SpeechStopped)]
    return list(zip(starts, [*stops, end_ms][: len(starts)], strict=True))


def test_sound_without_a_pause_is_not_one_endless_utterance():
    """A crowd or music: never steady, never silent."""
    rng = np.random.default_rng(3)
    crowd = noise("white", 8_000 * 60, 300) * np.repeat(rng.uniform(1, 5, 600), 800)
    samples = np.concatenate([noise("white", 8_000 * 2, 30), crowd])
    assert max(end - start for start, end in spans(activity(samples), 62_000)) < 9_000


def test_caller_is_heard_over_voices_in_the_room():
    samples, first, last = phone_call("three_cards", -24, lambda count: voices(count, -42), before_ms=20_000)
    heard = spans(activity(samples), len(samples) // 8)
    assert sum(max(0, min(end, last) - max(start, first)) for start, end in heard) > 0.8 * (last - first)


@pytest.mark.parametrize("level_db", [-36, -44])
@pytest.mark.parametrize("clip", CLIPS)
def test_soft_voice_on_a_quiet_line_is_heard(clip, level_db):
    samples, first, last = phone_call(clip, level_db, lambda count: noise("white", count, 8))
    events = activity(samples)
    assert events[0][0] - first <= 350
    assert events[-1][1].at_ms - last >= -400


def test_noise_that_comes_back_after_a_hole_is_not_speech():
    """The carrier may send digital silence, or nothing, in the pauses of a noisy line."""
    samples = noise("pink", 8_000 * 10, 500)
    samples[8_000 * 3 : 8_000 * 5] = 0
    assert activity(samples) == []


def test_a_click_is_not_speech():
    samples = noise("white", 8_000 * 4, 20)
    samples[16_000:16_160] += 8_000 * np.sin(np.arange(160))
    assert activity(samples) == []


def test_digital_silence_alone_is_not_speech():
    assert activity(np.zeros(8_000 * 5)) == []


def test_speech_from_the_first_frame_on_is_noticed():
    samples, first, _ = phone_call("four_queen_of_clubs", -22, BACKGROUNDS["digital silence"], before_ms=0)
    assert activity(samples)[0][0] - first <= 350


def test_the_hangover_is_told():
    samples, _, _ = phone_call("five_digits", -22, BACKGROUNDS["digital silence"])
    assert activity(samples)[-1][1].silent_ms == 200


def test_events_say_where_on_the_audio_clock():
    """A second of sound between two of silence."""
    samples = noise("white", 8_000 * 3, 12)
    samples[8_000:16_000] = noise("white", 8_000, 2_000) * (2 + np.sin(np.arange(8_000) / 250))
    assert activity(samples) == [(1_060, SpeechStarted(at_ms=1_000)), (2_200, SpeechStopped(200, at_ms=2_000))]


def test_audio_that_stops_coming_ends_the_speech_where_it_ended():
    detector = SpeechDetector()
    detector.feed_all(ulaw(noise("white", 8_000, 2_000) * np.linspace(0.1, 4, 8_000)) + silence(60))
    assert detector.speaking
    assert detector.stall(400) == SpeechStopped(400, at_ms=1_000)
    assert not detector.speaking
    assert detector.feed(ulaw(noise("white", 160, 8_000)) + silence(100)) is None, "one click does not begin it again"


CALL = phone_call("three_cards", -24, BACKGROUNDS["street"])[0]
AUDIO = ulaw(np.concatenate([CALL, noise("pink", 16_000, 900), CALL]))


def heard(pieces):
    detector = SpeechDetector()
    return [event for piece in pieces for event in detector.feed_all(piece)], detector.speaking, detector.position_ms


WHOLE = heard([AUDIO[at : at + FRAME] for at in range(0, len(AUDIO), FRAME)])


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=40), unit=st.sampled_from([FRAME, 37]))
def test_how_the_audio_is_cut_does_not_matter(sizes, unit):
    pieces, at = [], 0
    while at < len(AUDIO):
        size = sizes[len(pieces) % len(sizes)] * unit
        pieces.append(AUDIO[at : at + size])
        at += size
    assert heard(pieces) == WHOLE
    assert len(WHOLE[0]) >= 4


def test_a_stop_and_a_start_in_one_payload():
    """Only `feed_all` tells them; for `feed` nothing is different afterwards."""
    loud, quiet = ulaw(noise("white", 4_000, 2_000)), ulaw(noise("white", 4_000, 12))
    payload = quiet[:3_200] + loud[:800]
    both, net = SpeechDetector(), SpeechDetector()
    for detector in (both, net):
        detector.feed_all(quiet + loud[:1_600])
        assert detector.speaking
    assert [type(event) for event in both.feed_all(payload)] == [SpeechStopped, SpeechStarted]
    assert net.feed(payload) is None
    assert net.speaking


def test_levels_are_those_of_whole_frames():
    audio = ulaw(noise("white", 1_600, 1_000))
    assert frame_levels(audio[: FRAME - 1]) == []
    assert frame_levels(audio) == [
        level for at in range(0, 1_600, FRAME) for level in frame_levels(audio[at : at + FRAME])
    ]
    assert all(900 < level < 1_700 for level in frame_levels(audio))
    detector = SpeechDetector()
    detector.feed(audio)
    assert detector.levels == frame_levels(audio)


@pytest.mark.parametrize("hz", [50, 100, 3_900])
def test_hum_and_hiss_count_less_than_voices(hz):
    def level(frequency):
        return frame_levels(ulaw(5_000 * np.sin(np.arange(160) * 2 * np.pi * frequency / 8_000)))[0]

    assert level(hz) < level(1_500) / 5


@settings(max_examples=100, deadline=None)
@given(payloads=st.lists(st.binary(max_size=400), max_size=60))
def test_starts_and_stops_alternate_whatever_comes_in(payloads):
    detector = SpeechDetector()
    speaking = False
    for payload in payloads:
        event = detector.feed(payload)
        assert event is None or isinstance(event, SpeechStopped) == speaking
        speaking = speaking != (event is not None)
        assert detector.speaking == speaking
