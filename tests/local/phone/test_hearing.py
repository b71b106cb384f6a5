import pytest

from voicebot.local.phone.expectations import Evidence, judge
from voicebot.local.phone.hearing import SpeechLog
from voicebot.local.phone.scenario import Expectation


def spoke(*stretches: tuple[float, float]) -> SpeechLog:
    log = SpeechLog()
    for begin, end in stretches:
        at = begin
        while at < end:
            log.add(at, 20)
            at += 20
    return log


def test_short_gaps_join_and_long_ones_split():
    log = spoke((0, 100), (180, 300), (400, 500))
    assert [(run.start, run.end, run.loud_ms) for run in log.runs] == [(0, 300, 220), (400, 500, 100)]


def test_a_cut_begins_a_new_run():
    log = spoke((0, 100))
    log.cut()
    log.add(100, 20)
    log.add(120, 20)
    assert [(run.start, run.end) for run in log.runs] == [(0, 100), (100, 140)]


def test_speaking_lasts_as_long_as_the_hangover():
    log = spoke((0, 100))
    assert log.speaking(150, 60)
    assert not log.speaking(160, 60)
    assert not SpeechLog().speaking(0, 60)


def test_sound_since_a_moment():
    log = spoke((0, 100), (300, 500))
    assert log.loud_ms() == 300
    assert log.loud_ms(200) == 200
    assert log.loud_ms(400) == 100


def test_silence_is_found_between_and_after_runs():
    log = spoke((0, 1000), (1600, 2000))
    assert log.fell_silent(100, 500, 3000) == 1000
    assert log.fell_silent(100, 700, 2500) is None
    assert log.fell_silent(100, 700, 2700) == 2000


BOT = spoke((100, 1500), (3000, 4000))
CALLER = spoke((1000, 1400), (2000, 2500))


def evidence(**changes) -> Evidence:
    base = {"now_ms": 5000, "answered_ms": 0, "spoke_ms": None, "bot": BOT, "caller": CALLER}
    return Evidence(**(base | changes))


@pytest.mark.parametrize(
    ("wanted", "known", "found"),
    [
        pytest.param({"heard_ms": 2400}, {}, None, id="heard-all"),
        pytest.param({"heard_ms": 1100}, {"spoke_ms": 2000}, "1000 ms", id="heard-since-he-spoke"),
        pytest.param({"total_heard_ms": 2400}, {"spoke_ms": 2000}, None, id="total"),
        pytest.param({"first_audio_within_ms": 100}, {}, None, id="greeting"),
        pytest.param({"first_audio_within_ms": 500}, {"spoke_ms": 2000}, None, id="reply-from-his-last-sound"),
        pytest.param({"first_audio_within_ms": 499}, {"spoke_ms": 2000}, "500 ms", id="reply-late"),
        pytest.param({"first_audio_within_ms": 9}, {"spoke_ms": 4500}, "no sound yet", id="no-reply"),
        pytest.param({"stopped_within_ms": 500}, {"spoke_ms": 1000}, None, id="stopped"),
        pytest.param({"stopped_within_ms": 499}, {"spoke_ms": 1000}, "500 ms", id="stopped-late"),
        pytest.param({"stopped_within_ms": 60}, {"spoke_ms": 1000, "clears": (1050.0,)}, None, id="cleared"),
        pytest.param({"stopped_within_ms": 60}, {"spoke_ms": 1000, "clears": (900.0,)}, "500 ms", id="cleared-before"),
        pytest.param({"stopped_within_ms": 900}, {"spoke_ms": 2000}, "nothing was playing", id="no-barge-in"),
        pytest.param({"stopped_within_ms": 900}, {"spoke_ms": 3500, "now_ms": 4000}, "it went on", id="goes-on"),
        pytest.param({"marks_echoed": 2}, {"marks_echoed": 2}, None, id="marks"),
        pytest.param({"marks_echoed": 3}, {"marks_echoed": 2}, "2", id="marks-missing"),
        pytest.param({"clears": 1}, {}, "0", id="clears"),
        pytest.param({"verb": "Dial"}, {"verbs": ("Connect", "Dial")}, None, id="verb"),
        pytest.param({"verb": "Dial"}, {"verbs": ("Connect",)}, "Connect", id="verb-missing"),
        pytest.param({"dialed": "+49"}, {"dialled": ("+49",)}, None, id="dialed"),
        pytest.param({"dialed": "+49"}, {}, "none", id="not-dialed"),
        pytest.param({"dial_status": "busy"}, {"dial_status": "busy"}, None, id="dial-status"),
        pytest.param({"dial_status": "busy"}, {}, "no dial", id="no-dial-status"),
        pytest.param({"said": "GOOD day"}, {"said": ("Good day to you",)}, None, id="said"),
        pytest.param({"said": "bye"}, {"said": ("hi", "ho")}, "'hi / ho'", id="not-said"),
        pytest.param({"ended_by": "service"}, {"ended_by": "service"}, None, id="ended"),
        pytest.param({"ended_by": "service"}, {}, "nobody", id="not-ended"),
        pytest.param({"error": 31951}, {"codes": (31951,)}, None, id="error"),
        pytest.param({"error": 31951}, {"codes": (11200,)}, "11200", id="other-error"),
    ],
)
def test_judge(wanted, known, found):
    failures = judge(Expectation(**wanted), evidence(**known), 4)
    assert [failure.found for failure in failures] == ([] if found is None else [found])
    assert all(failure.message.startswith(f"step 4: {next(iter(wanted))}: expected ") for failure in failures)


def test_every_expectation_that_fails_is_named():
    failures = judge(Expectation(heard_ms=9999, verb="Say", ended_by="caller"), evidence(), None)
    assert [failure.what for failure in failures] == ["heard_ms", "verb", "ended_by"]
    assert failures[0].message == "after the call: heard_ms: expected at least 9999 ms of sound, found 2400 ms"
