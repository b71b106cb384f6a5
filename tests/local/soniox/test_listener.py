import itertools

import numpy as np
import pytest

from voicebot.local.engines.base import HeardWord, Hearing
from voicebot.local.soniox.listener import Endpoint, Listener, Settled, Sketch
from voicebot.local.soniox.segment import Segment, spread

RATE = 8_000


def audio(*parts):
    """Alternating silence and speech, in ms, beginning with silence."""
    levels = itertools.cycle([0.0, 0.5])
    return np.concatenate(
        [np.full(RATE * ms // 1000, level, dtype=np.float32) for ms, level in zip(parts, levels, strict=False)]
    )


class LoudnessGate:
    """A gate for made-up audio: a frame is speech when it is loud."""

    def probability(self, frame):
        return 1.0 if len(frame) and float(np.abs(frame).max()) > 0.1 else 0.0


class CountingRecogniser:
    """Hears one word per 200 ms of loud audio and keeps what it was given."""

    finals_only = False

    def __init__(self):
        self.decoded = []

    def decode(self, samples, rate):
        self.decoded.append(samples)
        loud = int((np.abs(samples) > 0.1).sum())
        return tuple(HeardWord(f"w{number}", 0.9) for number in range(1, loud * 5 // rate + 1))


class Rig:
    def __init__(self, endpoint_ms=800):
        self.recogniser = CountingRecogniser()
        self.listener = Listener(Hearing(self.recogniser, lambda _rate: LoudnessGate()), RATE, endpoint_ms)

    def hear(self, *parts, piece=160):
        samples = audio(*parts)
        found = []
        for at in range(0, len(samples), piece):
            found += self.listener.hear(samples[at : at + piece])
        return found


def words(found, kind=Settled):
    return [word.text for finding in found if isinstance(finding, kind) for word in finding.words]


def test_speech_grows_settles_and_ends():
    found = Rig().hear(500, 1000, 1500)
    sketches = [finding for finding in found if isinstance(finding, Sketch)]
    settled, ended = found[-2:]
    assert [len(sketch.words) for sketch in sketches] == sorted(len(sketch.words) for sketch in sketches)
    assert len(sketches) >= 3
    assert [word.text for word in settled.words] == ["w1", "w2", "w3", "w4", "w5"]
    assert isinstance(ended, Endpoint)
    assert 1500 + 500 <= settled.upto_ms <= 1500 + 600
    assert 1500 + 800 <= ended.at_ms <= 1500 + 900


def test_words_lie_inside_the_speech_one_after_the_other():
    settled = next(finding for finding in Rig().hear(500, 1000, 1500) if isinstance(finding, Settled))
    times = [(word.start_ms, word.end_ms) for word in settled.words]
    assert 450 <= times[0][0] <= 550
    assert 1450 <= times[-1][1] <= 1550
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))


def test_how_the_audio_is_cut_makes_no_difference():
    whole = Rig().hear(500, 1000, 700, 600, 1500, piece=10_000_000)
    assert whole == Rig().hear(500, 1000, 700, 600, 1500, piece=77)


def test_a_short_pause_settles_words_but_ends_nothing():
    found = Rig().hear(500, 600, 600, 600, 1500)
    assert [type(finding) for finding in found if not isinstance(finding, Sketch)] == [Settled, Settled, Endpoint]


def test_without_endpoints_words_are_settled_all_the_same():
    found = Rig(endpoint_ms=None).hear(500, 600, 3000)
    assert [type(finding) for finding in found if not isinstance(finding, Sketch)] == [Settled]


@pytest.mark.parametrize("endpoint_ms", [246, 450, 800, 1120])
def test_the_setting_decides_when_it_ends(endpoint_ms):
    ended = next(finding for finding in Rig(endpoint_ms).hear(512, 1024, 2000) if isinstance(finding, Endpoint))
    assert 0 <= ended.at_ms - 1536 - endpoint_ms < 32


def test_silence_clicks_and_nothing_are_never_decoded():
    rig = Rig()
    assert rig.hear(1000, 40, 1000, 30, 2000) == []
    assert rig.recogniser.decoded == []


def test_only_what_the_gate_passed_is_decoded():
    rig = Rig()
    rig.hear(5000, 1000, 3000)
    assert max(map(len, rig.recogniser.decoded)) <= RATE * (320 + 1000 + 256 + 64) / 1000


def test_a_flush_settles_at_once_and_the_end_still_comes():
    rig = Rig()
    rig.hear(500, 1000, 100)
    flushed = rig.listener.flush()
    assert words(flushed) == ["w1", "w2", "w3", "w4", "w5"]
    assert rig.listener.flush() == []
    after = rig.hear(1500)
    assert [type(finding) for finding in after] == [Endpoint]


def test_a_flush_in_the_middle_of_speech_doubles_and_loses_nothing():
    rig = Rig()
    rig.hear(500, 1000)
    first = words(rig.listener.flush())
    rest = words(rig.hear(0, 1000, 1500))
    assert len(first) + len(rest) in {9, 10}


def test_a_flush_of_silence_or_a_click_settles_nothing():
    rig = Rig()
    assert rig.listener.flush() == []
    rig.hear(500, 70)
    assert rig.listener.flush() == []
    assert words(rig.hear(0, 600, 1500)) == ["w1", "w2", "w3"]


def test_speech_without_a_pause_is_cut_before_it_gets_too_long():
    rig = Rig()
    found = rig.hear(500, 40_000, 1500)
    settled = [finding for finding in found if isinstance(finding, Settled)]
    assert len(settled) >= 3
    assert max(map(len, rig.recogniser.decoded)) <= RATE * 15.4
    assert sum(len(finding.words) for finding in settled) == pytest.approx(200, abs=4)
    assert [type(finding) for finding in found][-1] is Endpoint
    starts = [word.start_ms for finding in settled for word in finding.words]
    assert starts == sorted(starts)


def test_a_cut_is_made_where_it_is_quietest():
    chances = [0.9] * 100
    chances[80] = 0.4
    before, after = Segment(7, [np.zeros(256, dtype=np.float32)] * 100, chances, 0.35).cut()
    assert (len(before), len(after), after.first) == (80, 20, 87)


def test_when_audio_is_waiting_there_are_fewer_partial_words():
    samples = audio(500, 6000, 1500)
    calm, hurried = Rig(), Rig()
    often = calm.listener.hear(samples)
    rarely = hurried.listener.hear(samples, behind_ms=60_000)
    assert len(rarely) < len(often)
    assert words(rarely) == words(often)


def test_an_engine_for_final_words_is_not_asked_while_speech_grows():
    rig = Rig()
    rig.recogniser.finals_only = True
    found = rig.hear(500, 3000, 1500)
    assert len(rig.recogniser.decoded) == 1
    assert len(words(found)) == 15


def test_words_that_vanish_in_the_last_decode_are_settled_as_nothing():
    rig = Rig()
    sketched = rig.hear(500, 1000)
    assert words(sketched, Sketch)
    rig.recogniser.decode = lambda _samples, _rate: ()
    settled = [finding for finding in rig.hear(2000) if not isinstance(finding, Sketch)]
    assert [type(finding) for finding in settled] == [Settled]
    assert words(settled) == []


def test_spreading_nothing_gives_nothing():
    assert spread([], 0, 100) == ()


def test_words_are_spread_by_their_length():
    long, short = spread([HeardWord("abcdefgh", 1), HeardWord("ab", 1)], 1000, 2200)
    assert (long.start_ms, long.end_ms, short.start_ms, short.end_ms) == (1000, 1900, 1900, 2200)
