"""The bot's own voice on the caller's track, on recorded human speech: known for what it is, and no caller taken for it."""

from pathlib import Path

import audioop
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.audio import FRAME, SpeechDetector, frame_levels
from voicebot.core.echo import AHEAD, LEAST_WINDOW, EchoGuard

SPEECH = Path(__file__).parents[2] / "voicebot" / "local" / "speech"
BOT = ["austen_selfish", "austen_young_man", "austen_married"]
CALLERS = {"five_digits": 270, "go_forward": 520, "four_queen_of_clubs": 140, "three_cards": 220}
"""Where the voice begins, in ms."""
START = 100.0
"""Any time of the clock."""


def voice(clip, level_db=-24):
    samples = soundfile.read(SPEECH / f"{clip}.wav", dtype="int16")[0].astype(float)
    loud = samples[np.abs(samples) > np.max(np.abs(samples)) / 100]
    return samples * 32_768 * 10 ** (level_db / 20) / np.sqrt(np.mean(loud**2))


def bot(first=0, seconds=6):
    parts = [voice(BOT[(first + index) % len(BOT)]) for index in range(len(BOT))]
    return np.concatenate(parts)[: seconds * 8_000]


def hiss(count, rms=10, seed=1):
    return np.random.default_rng(seed).standard_normal(count) * rms


def returned(samples, gain_db, delay_ms):
    return np.concatenate([np.zeros(delay_ms * 8), samples])[: len(samples)] * 10 ** (gain_db / 20)


def ulaw(samples):
    return audioop.lin2ulaw(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes(), 2)


def answers(sent, inbound, *, piece=1_000, size=FRAME):
    """Ask after every payload while there seems to be speech; return [(second, echo?)]."""
    guard, detector, found = EchoGuard(), SpeechDetector(), []
    played, audio = ulaw(sent), ulaw(inbound)
    for at in range(0, len(played), piece):
        guard.sent(played[at : at + piece], START + at / 8_000)
    for at in range(0, len(audio) - size + 1, size):
        detector.feed(audio[at : at + size])
        second = (at + size) / 8_000
        guard.heard(detector.levels, START + second)
        if detector.speaking:
            found.append((second, guard.is_echo(START + second)))
    return found


def noticed_ms(found, began):
    """Return how long after `began` a caller is first taken for one."""
    return min((second - began) * 1_000 for second, echo in found if not echo and second > began + 0.04)


@pytest.mark.parametrize("gain_db", [-10, -20, -30])
@pytest.mark.parametrize("delay_ms", [40, 90, 150, 300])
def test_echo_is_known_for_what_it_is(gain_db, delay_ms):
    sent = bot(delay_ms % 3)
    found = answers(sent, returned(sent, gain_db, delay_ms) + hiss(len(sent)))
    assert len(found) > 100
    assert np.mean([echo for _, echo in found]) >= 0.95


@pytest.mark.parametrize("delay_ms", [40, 150, 240])
def test_soft_echo_is_known_in_the_noise_of_the_line(delay_ms):
    """Its soft parts drown: only the loud ones can be compared."""
    sent = bot()
    found = answers(sent, returned(sent, -30, delay_ms) + hiss(len(sent), rms=20))
    assert np.mean([echo for _, echo in found]) >= 0.85


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        pytest.param(333, FRAME, id="sent in odd pieces"),
        pytest.param(48_000, FRAME, id="sent all at once"),
        pytest.param(1_000, 5 * FRAME, id="heard in batches"),
    ],
)
def test_how_audio_is_cut_does_not_matter(piece, size):
    sent = bot()
    found = answers(sent, returned(sent, -20, 130) + hiss(len(sent)), piece=piece, size=size)
    assert np.mean([echo for _, echo in found]) >= 0.95


@pytest.mark.parametrize("clip", CALLERS)
@pytest.mark.parametrize("caller_db", [-24, -34])
@pytest.mark.parametrize(
    "under_db", [pytest.param(None, id="no echo"), pytest.param(-20, id="soft echo"), pytest.param(-10, id="loud echo")]
)
@pytest.mark.parametrize("began", [1.5, 2.37])
def test_caller_who_talks_over_the_bot_is_no_echo(clip, caller_db, under_db, began):
    sent = bot(int(began))
    line = hiss(len(sent)) + (0 if under_db is None else returned(sent, under_db, 150))
    caller = voice(clip, caller_db)[CALLERS[clip] * 8 :]
    start = int(began * 8_000)
    line[start : start + len(caller)] += caller[: len(line) - start]
    assert noticed_ms(answers(sent, line), began) <= 400


@pytest.mark.parametrize("clip", CALLERS)
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5, 1.0])
def test_caller_who_answers_right_away_is_no_echo(clip, after_s):
    sent = np.concatenate([bot(seconds=3), np.zeros(3 * 8_000)])
    line = hiss(len(sent)) + returned(sent, -20, 150)
    began = 3 + after_s
    caller = voice(clip, -30)[CALLERS[clip] * 8 :]
    line[int(began * 8_000) :][: len(caller)] += caller[: len(line) - int(began * 8_000)]
    assert noticed_ms(answers(sent[: 3 * 8_000], line), began) <= 400


ENVELOPE = np.random.default_rng(11).uniform(-30, 0, 60)
"""A voice in dB; it has no two frames alike."""
FLAT = ENVELOPE / 60
LAG = 10


def copied(envelope, change):
    """Play an envelope; return whether its levels, changed in dB frame by frame, pass for its echo 200 ms later."""
    tone = 12_000 * np.sin(np.arange(len(envelope) * FRAME) * 2 * np.pi * 1_500 / 8_000)
    played = ulaw(tone * 10 ** (np.repeat(envelope, FRAME) / 20))
    guard = EchoGuard()
    guard.sent(played, START)
    levels = np.array(frame_levels(played))
    inbound = np.concatenate([np.full(LAG, 10.0), levels * 10 ** (change(len(levels)) / 20)])[: len(levels)]
    guard.heard([round(level) for level in np.hypot(inbound, 10)], START + len(envelope) * 0.02)
    return guard.is_echo(START + len(envelope) * 0.02)


def loud_frames(count, above_db=10):
    return lambda frames: np.where(np.arange(frames) % 5 == 0, above_db, 0) * (np.arange(frames) >= 50 - 5 * count) - 20


@pytest.mark.parametrize(
    ("envelope", "change", "echo"),
    [
        pytest.param(ENVELOPE, lambda frames: np.full(frames, -20), True, id="copy"),
        pytest.param(ENVELOPE, lambda frames: np.full(frames, -9), True, id="loud copy"),
        pytest.param(ENVELOPE, lambda frames: np.full(frames, -3), False, id="too loud to be a copy"),
        pytest.param(ENVELOPE, lambda frames: np.full(frames, -35), True, id="half drowned in the noise"),
        pytest.param(ENVELOPE, lambda frames: np.arange(frames) % 2 * 3 - 20, True, id="rough copy"),
        pytest.param(ENVELOPE, lambda frames: np.arange(frames) % 2 * 8 - 20, False, id="another voice, much alike"),
        pytest.param(ENVELOPE, loud_frames(3), True, id="few frames louder"),
        pytest.param(ENVELOPE, loud_frames(5), False, id="more frames louder: somebody else as well"),
        pytest.param(FLAT, lambda frames: np.full(frames, -20), False, id="too flat to tell"),
    ],
)
def test_what_passes_for_an_echo(envelope, change, echo):
    assert copied(envelope, change) is echo


def test_echo_between_two_frames():
    """An echo keeps to no raster: here it lags by half a frame."""
    tone = 12_000 * np.sin(np.arange(60 * FRAME) * 2 * np.pi * 1_500 / 8_000) * 10 ** (np.repeat(ENVELOPE, FRAME) / 20)
    guard = EchoGuard()
    guard.sent(ulaw(tone), START)
    guard.heard(frame_levels(ulaw(returned(tone, -15, 210) + hiss(len(tone)))), START + 1.2)
    assert guard.is_echo(START + 1.2)


def test_nothing_sent_lately_is_no_echo():
    sent = bot(seconds=2)
    line = np.concatenate([hiss(3 * 8_000), returned(sent, -20, 150)])
    late = [echo for second, echo in answers(sent, line) if second > 3]
    assert late
    assert not any(late)


def test_what_was_cleared_was_not_played():
    sent = bot(seconds=5)
    guard, detector = EchoGuard(), SpeechDetector()
    guard.sent(ulaw(sent), START)
    guard.cleared(START + 1)
    audio, told = ulaw(returned(sent, -20, 150) + hiss(len(sent))), []
    for at in range(0, len(audio), FRAME):
        detector.feed(audio[at : at + FRAME])
        guard.heard(detector.levels, START + (at + FRAME) / 8_000)
        if detector.speaking and at > 3 * 8_000:
            told.append(guard.is_echo(START + (at + FRAME) / 8_000))
    assert told
    assert not any(told)


def test_sent_far_ahead_is_not_heard_yet():
    sent = bot(seconds=5)
    guard, detector = EchoGuard(), SpeechDetector()
    guard.sent(ulaw(sent), START + 60)
    audio = ulaw(returned(sent, -20, 150))
    for at in range(0, len(audio), FRAME):
        detector.feed(audio[at : at + FRAME])
        guard.heard(detector.levels, START + (at + FRAME) / 8_000)
        assert not guard.is_echo(START + (at + FRAME) / 8_000)


def test_memory_is_bounded():
    guard = EchoGuard()
    payload = ulaw(bot(seconds=5))
    for index in range(100):
        guard.sent(payload, START + index * 5)
    assert sum(len(levels) for _, levels in guard._played) == AHEAD
    assert guard._played[0][0] == START, "what is heard first is what is kept"
    guard.heard([100] * 10_000, START + 1_000)
    assert not guard._played
    guard.sent(payload, START + 1_000)
    assert guard._played[0][0] == START + 1_000, "there is room again"
    assert len(guard._heard) <= 200


def test_a_fresh_guard_says_no():
    guard = EchoGuard()
    assert not guard.is_echo(START)
    guard.sent(ulaw(bot(seconds=1)), START)
    assert not guard.is_echo(START + 0.5)
    guard.heard([500] * (LEAST_WINDOW - 1), START + 0.5)
    assert not guard.is_echo(START + 0.5)


@settings(max_examples=150, deadline=None)
@given(
    data=st.lists(
        st.one_of(
            st.tuples(st.just("sent"), st.binary(max_size=4_000), st.floats(0, 5)),
            st.tuples(st.just("heard"), st.lists(st.integers(0, 32_767), max_size=40), st.floats(0, 5)),
            st.tuples(st.just("cleared"), st.none(), st.floats(0, 5)),
        ),
        max_size=30,
    )
)
def test_anything_goes_in_any_order(data):
    guard = EchoGuard()
    for name, argument, at in data:
        match name:
            case "sent":
                guard.sent(argument, at)
            case "heard":
                guard.heard(argument, at)
            case _:
                guard.cleared(at)
        assert guard.is_echo(at) in (True, False)
