"""A recorded call under other policies: the model of the recogniser, pinned, and what the turn machine makes of it."""

import random
import struct
from copy import replace

import audioop
import pytest

from voicebot.core.actions import Expect
from voicebot.core.events import (
    AskFinalize,
    BotStarted,
    Digit,
    DigitsCompleted,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    Tick,
    Token,
    TurnCompleted,
)
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import Audio, Effect, Head, Input, Leg, PolicyChanged, Recording
from voicebot.core.replay import Speech, recorded, replay
from voicebot.core.replay_recogniser import FINALIZE_MS, Recogniser

ZERO = 50.0
"""The audio clock begins so much later than the recording."""
LIKE = Token("I would like", 100, 1_100)
ORDER = Token(" to order.", 2_100, 3_000)


def told(t_ms, event):
    return Input(t_ms + ZERO, "caller", event)


def asked(t_ms):
    return Effect(t_ms + ZERO, "caller", AskFinalize())


# "I would like", a second of silence, " to order."; the endpoint comes 600 ms after its end.
PAUSE = [
    Leg(ZERO, 1, "caller", ZERO),
    told(100, SpeechStarted()),
    told(500, Heard(tentative=(replace(LIKE, text="I wood"),))),
    told(900, Heard(tentative=(LIKE,))),
    told(1_300, SpeechStopped(200)),
    asked(1_400),
    told(1_550, Heard(settled=(LIKE,))),
    told(1_550, Finalized()),
    told(2_100, SpeechStarted()),
    told(2_500, Heard(tentative=(ORDER,))),
    told(3_200, SpeechStopped(200)),
    asked(3_300),
    told(3_420, Heard(settled=(ORDER,))),
    told(3_420, Finalized()),
    told(3_600, Endpoint()),
    told(9_000, HungUp()),
    told(9_100, Finished()),
]


def recording(lines=PAUSE, policy=None):
    return Recording(Head(call="CA1", policy=policy or TurnPolicy()), tuple(lines))


def turns(replayed):
    return [
        (round(each.t_ms - ZERO), each.effect.turn.reason, each.effect.turn.text)
        for each in replayed.decisions
        if isinstance(each.effect, TurnCompleted)
    ]


def asks(replayed):
    return [round(each.t_ms - ZERO) for each in replayed.decisions if isinstance(each.effect, AskFinalize)]


def under(lines=PAUSE, *, endpoints=True, **knobs):
    return replay(recording(lines), change=lambda policy: replace(policy, **knobs), endpoints=endpoints)


WHOLE = "I would like to order."
POLICIES = [
    pytest.param({}, [(3_600, "endpoint", WHOLE)], id="as it was"),
    pytest.param(
        {"commit_after_ms": 500},
        [(1_600, "finalize", "I would like"), (3_500, "finalize", "to order.")],
        id="less patience cuts the caller off",
    ),
    pytest.param({"endpoints": False}, [(4_600, "finalize", WHOLE)], id="without endpoints silence ends the turn"),
    pytest.param(
        {"finalize_after_ms": 10_000}, [(3_600, "endpoint", WHOLE)], id="the endpoint settles what nobody asked for"
    ),
    pytest.param(
        {"finalize_after_ms": 10_000, "endpoints": False},
        [(9_100, "hangup", WHOLE)],
        id="never asked, words settle with the end of the audio",
    ),
    pytest.param(
        # The words open at 500 and at 2,500; the request at 1,500 settles what was said before it, the endpoint comes
        # before the answer to the one at 3,500.
        {"max_turn_ms": 1_000, "commit_after_ms": 30_000, "finalize_after_ms": 10_000},
        [(1_635, "max_turn", "I would like"), (3_600, "max_turn", "to order.")],
        id="a cut takes the words before it and leaves the rest",
    ),
]


@pytest.mark.parametrize(("change", "expected"), POLICIES)
def test_turns_under_a_policy(change, expected):
    assert turns(under(**change)) == expected


def test_same_policy_asks_at_the_same_times():
    assert asks(under()) == [1_400, 3_300]


def test_replays_are_the_same_every_time():
    assert under(commit_after_ms=700) == under(commit_after_ms=700)


def test_recorded_decisions_are_given_as_they_are():
    decided = Effect(3_650, "caller", TurnCompleted(turn=replaced_turn()))
    assert turns(recorded(recording([*PAUSE, decided]))) == [(3_600, "endpoint", "as it was told")]


def replaced_turn():
    [turn] = [each.effect.turn for each in under().decisions if isinstance(each.effect, TurnCompleted)]
    return replace(turn, text="as it was told")


def test_the_policy_of_a_reply_holds_from_its_moment_and_the_change_lies_over_it():
    lines = [*PAUSE[:5], PolicyChanged(1_340, "caller", TurnPolicy(commit_after_ms=500)), *PAUSE[5:]]
    assert turns(replay(recording(lines)))[0] == (1_600, "finalize", "I would like")
    patient = replay(recording(lines), change=lambda policy: replace(policy, commit_after_ms=3_000))
    assert turns(patient) == [(3_600, "endpoint", WHOLE)]


def test_keys_are_collected_by_the_policy_of_the_replay():
    lines = [PAUSE[0], *(told(1_000 + 100 * at, Digit(str(at))) for at in range(1, 5)), told(9_000, HungUp())]
    found = [
        each.effect
        for each in under(lines, expect=Expect(digits=2)).decisions
        if isinstance(each.effect, DigitsCompleted)
    ]
    assert [each.digits for each in found] == ["12", "34"]


def test_recorded_ticks_are_not_needed():
    lines = sorted([*PAUSE, *(told(at, Tick()) for at in range(0, 9_000, 500))], key=lambda line: line.t_ms)
    assert under(lines) == under()


@pytest.mark.parametrize(
    ("hints", "turn"), [pytest.param(["de"], [], id="German"), pytest.param(["en"], ["genau"], id="English")]
)
def test_signs_of_listening_are_those_of_the_languages_of_the_call(hints, turn):
    word = Token("genau", 1_000, 1_400)
    lines = (
        PAUSE[0],
        told(500, BotStarted(text="Ein Satz.")),
        told(1_500, Heard(settled=(word,))),
        told(1_500, Endpoint()),
    )
    replayed = replay(Recording(Head(call="CA1", stt={"language_hints": hints}), lines))
    assert [text for _, _, text in turns(replayed)] == turn


def test_a_cut_recording_ends_by_itself():
    assert turns(under(PAUSE[:14])) == [(4_600, "finalize", WHOLE)]


def test_an_empty_recording_has_no_turns():
    assert replay(recording([])).decisions == ()


def test_the_other_track_is_left_out():
    assert turns(replay(recording(), "agent")) == []


def test_what_judging_needs_is_given_along():
    replayed = under([*PAUSE[:15], told(4_000, BotStarted()), *PAUSE[15:]])
    assert replayed.zero_ms == ZERO
    assert replayed.bot_began == (4_000 + ZERO,)
    assert replayed.speech == (Speech(150, 1_150), Speech(2_150, 3_050))


# --- the recogniser -------------------------------------------------------------------------------


def model(lines=PAUSE, **options):
    return Recogniser(lines, **options)


def heard_until(recogniser, t_ms):
    return [said for moment in recogniser.moments if moment.t_ms <= t_ms + ZERO for said in recogniser.at(moment)]


def test_a_token_is_tentative_from_its_first_message_until_it_is_asked_for():
    recogniser = model()
    said = heard_until(recogniser, 3_500)
    assert [event.settled for event in said] == [()] * len(said)
    assert said[0].tentative == (replace(LIKE, text="I wood"),)
    assert [event.tentative for event in said[1:]] == [(LIKE,), (LIKE,), (LIKE, ORDER), (LIKE, ORDER)]


def test_the_answer_takes_the_median_of_the_recording():
    assert model().ask(1_700 + ZERO).t_ms == 1_700 + 135 + ZERO
    assert Recogniser([]).ask(1_000).t_ms == 1_000 + FINALIZE_MS


@pytest.mark.parametrize("off_ms", [-40, 0, 40])
def test_a_request_of_the_recording_has_its_own_answer(off_ms):
    assert model().ask(1_400 + off_ms + ZERO).t_ms == 1_550 + ZERO


@pytest.mark.parametrize(
    ("asked_at", "settled"),
    [pytest.param(1_099, (), id="in its midst"), pytest.param(1_100, (LIKE,), id="at its end")],
)
def test_an_answer_settles_what_ended_before_the_request(asked_at, settled):
    recogniser = model()
    heard_until(recogniser, asked_at)
    *heard, end = recogniser.answered(recogniser.ask(asked_at + ZERO))
    assert tuple(token for event in heard for token in event.settled) == settled
    assert end == Finalized()


def test_each_token_settles_once():
    recogniser = model()
    said = heard_until(recogniser, 1_000)
    said += recogniser.answered(recogniser.ask(1_400 + ZERO))
    said += [event for moment in recogniser.moments[2:] for event in recogniser.at(moment)]
    assert [token for event in said if isinstance(event, Heard) for token in event.settled] == [LIKE, ORDER]


def test_what_was_settled_sooner_than_in_the_recording_is_tentative_no_more():
    recogniser = model()
    heard_until(recogniser, 1_000)
    [heard, _] = recogniser.answered(recogniser.ask(1_250 + ZERO))
    assert heard == Heard(settled=(LIKE,))
    [again] = recogniser.at(recogniser.moments[1])
    assert again == Heard()


def test_words_that_settle_by_themselves_do_so_at_their_time():
    lines = [told(600, Heard(settled=(LIKE,), tentative=(ORDER,))), told(900, Heard(tentative=(ORDER,)))]
    assert heard_until(model(lines), 600) == [Heard((LIKE,), (ORDER,))]


def test_without_endpoints_their_words_stay_tentative():
    lines = [told(600, Heard(settled=(LIKE,))), told(600, Endpoint())]
    assert heard_until(model(lines), 600) == [Heard((LIKE,)), Endpoint()]
    assert heard_until(model(lines, endpoints=False), 600) == [Heard(tentative=(LIKE,))]


def test_a_translation_settles_with_the_words_before_it():
    translation = Token("Ich hätte gern", translation=True)
    lines = [told(900, Heard(settled=(LIKE, translation))), told(900, Finalized())]
    recogniser = model(lines)
    heard_until(recogniser, 900)
    [heard, _] = recogniser.answered(recogniser.ask(1_300 + ZERO))
    assert heard.settled == (LIKE, translation)


def test_each_stream_of_a_call_has_its_own_clock():
    later = 20_000
    word = Token("again", 100, 700)
    lines = [*PAUSE[:8], Leg(later, 2, "caller", later), Input(later + 900, "caller", Heard(settled=(word,)))]
    recogniser = model([*lines, Input(later + 900, "caller", Finalized())])
    heard_until(recogniser, later + 900)
    [heard, _] = recogniser.answered(recogniser.ask(later + 699))
    assert heard.settled == (LIKE,)
    [heard, _] = recogniser.answered(recogniser.ask(later + 700))
    assert heard.settled == (word,)


# --- sound ----------------------------------------------------------------------------------------


def line_noise(ms):
    return _noise(8 * ms, lambda _: 30)


def babble(ms):
    """Sound that rises and falls as speech does."""
    return _noise(8 * ms, lambda at: 6_000 if at % (8 * 260) < 8 * 200 else 60)


def _noise(samples, level):
    chance = random.Random(1)
    return audioop.lin2ulaw(
        struct.pack(f"<{samples}h", *(round(level(at) * chance.uniform(-1, 1)) for at in range(samples))), 2
    )


SOUND = Audio(4_000 + ZERO, "caller", 0, line_noise(1_000) + babble(1_500) + line_noise(1_000))


def test_without_recorded_activity_the_sound_is_listened_to():
    words = [
        line
        for line in PAUSE
        if not (isinstance(line, Input) and isinstance(line.event, SpeechStarted | SpeechStopped))
    ]
    [found] = replay(recording([words[0], SOUND, *words[1:]])).speech
    assert found.start_ms == pytest.approx(1_000 + ZERO, abs=150)
    assert found.end_ms == pytest.approx(2_500 + ZERO, abs=200)


def test_recorded_activity_is_preferred_unless_it_is_to_be_found_anew():
    lines = [PAUSE[0], SOUND, *PAUSE[1:]]
    assert len(replay(recording(lines)).speech) == 2
    assert len(replay(recording(lines), detect=True).speech) == 1
