import itertools

import numpy as np
import pytest

from voicebot.local.engines.base import HeardWord, Hearing
from voicebot.local.soniox.endpoint import EndpointSettings
from voicebot.local.soniox.listener import Endpoint, Listener, Settled, Sketch
from voicebot.local.soniox.segment import Segment, spread

RATE = 8_000


def audio(*parts):
    """Alternating silence and speech, in ms, beginning with silence."""
    shapes = itertools.cycle([np.zeros, speech])
    return np.concatenate(
        [shape(RATE * ms // 1000).astype(np.float32) for ms, shape in zip(parts, shapes, strict=False)]
    )


def speech(samples):
    """Loud, fading from 0.8 to 0.11 in its last 192 ms: a voice at the end of a sentence."""
    fade = min(samples, RATE * 192 // 1000)
    return np.concatenate([np.full(samples - fade, 0.8), np.linspace(0.11, 0.101, fade)])


def hanging(ms):
    """Silence, loud speech that ends as loud as it was, and two seconds of silence."""
    return np.concatenate([np.zeros(RATE // 2), np.full(RATE * ms // 1000, 0.8), np.zeros(RATE * 2)]).astype(np.float32)


class LoudnessGate:
    """A gate for made-up audio: a frame is speech when it is loud."""

    def probability(self, frame):
        return 1.0 if len(frame) and float(np.abs(frame).max()) > 0.1 else 0.0


class CountingRecogniser:
    """Hears one word per 200 ms of loud audio and keeps what it was given."""

    finals_only = False

    def __init__(self, text="w"):
        self.decoded = []
        self.text = text

    def decode(self, samples, rate):
        self.decoded.append(samples)
        loud = int((np.abs(samples) > 0.1).sum())
        return tuple(HeardWord(f"{self.text}{number}", 0.9) for number in range(1, loud * 5 // rate + 1))


class Rig:
    def __init__(self, endpoint=EndpointSettings()):  # noqa: B008 - a frozen value
        self.recogniser = CountingRecogniser()
        self.listener = Listener(Hearing(self.recogniser, lambda _rate: LoudnessGate()), RATE, endpoint)

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
    found = Rig(endpoint=None).hear(500, 600, 3000)
    assert [type(finding) for finding in found if not isinstance(finding, Sketch)] == [Settled]


def end_of(found):
    return next(finding.at_ms for finding in found if isinstance(finding, Endpoint))


@pytest.mark.parametrize(
    ("settings", "wait_ms"),
    [
        pytest.param(EndpointSettings(2000, 1.0, 3), 246, id="least patient"),
        pytest.param(EndpointSettings(1500, 0.3, 2), 451, id="responsive voice"),
        pytest.param(EndpointSettings(), 800, id="defaults"),
        pytest.param(EndpointSettings(2000, -1.0, 0), 1120, id="most patient"),
    ],
)
def test_the_settings_decide_when_it_ends(settings, wait_ms):
    assert 0 <= end_of(Rig(settings).hear(512, 1024, 2000)) - 1536 - wait_ms < 32


def test_a_voice_that_does_not_fade_is_waited_for_longer():
    assert 1600 <= end_of(Rig().listener.hear(hanging(1012))) - 1512 < 1600 + 32


def test_a_word_that_asks_for_another_is_waited_for_longest():
    rig = Rig()
    rig.recogniser.decode = lambda _samples, _rate: (HeardWord("to", 0.9), HeardWord("the.", 0.9))
    assert 2000 <= end_of(rig.hear(512, 1024, 2500)) - 1536 < 2000 + 32


def test_the_words_before_a_pause_count_and_those_before_an_end_do_not():
    rig = Rig()
    digits = iter(["two", "nine", "four"])
    rig.recogniser.finals_only = True
    rig.recogniser.decode = lambda _samples, _rate: (HeardWord(next(digits), 0.9),)
    first = rig.hear(512, 512, 640, 512, 2200)
    assert 2000 <= end_of(first) - 2176 < 2000 + 32, "two digits: a number that has only begun"
    assert 1600 <= end_of(rig.hear(0, 512, 2200)) - 4376 - 512 < 1600 + 64, "one digit, not three"


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
