"""The bot's side of turn-taking: barge-in, and waiting for a caller who says nothing."""

import pytest

from voicebot.core.actions import BargeInPolicy, Listen
from voicebot.core.events import (
    BotStarted,
    BotStopped,
    Digit,
    Endpoint,
    Finalized,
    FloorGiven,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    Tick,
    Token,
    TurnRequested,
)
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
BOT, QUIET, FLOOR = BotStarted(), BotStopped(), FloorGiven()


def said(text):
    return Heard(settled=(Token(text),))


def maybe(text):
    return Heard(tentative=(Token(text),))


BARGE_INS = [
    pytest.param({}, [(0, BOT), (1_000, START)], [(1_250, "barge-in by speech")], id="after 250 ms of speech"),
    pytest.param({}, [(0, BOT), (1_000, START), (1_200, STOP)], [(1_300, "finalize")], id="not after a click"),
    pytest.param({"min_ms": 0}, [(0, BOT), (1_000, START)], [(1_000, "barge-in by speech")], id="at the first sound"),
    pytest.param({}, [(0, BOT), (1_000, maybe("no"))], [(1_000, "barge-in by words")], id="by one word"),
    pytest.param(
        {"min_words": 3},
        [(0, BOT), (1_000, maybe("oh")), (1_100, maybe("oh no")), (1_200, Heard((Token("oh no"),), (Token(" wait"),)))],
        [(1_200, "barge-in by words")],
        id="by three words",
    ),
    pytest.param({"min_ms": 600_000}, [(0, BOT), (10, START), (300, Heard())], [], id="silence is no word"),
    pytest.param({}, [(0, BOT), (1_000, Digit("*"))], [(1_000, "barge-in by digit")], id="by a key"),
    pytest.param({}, [(0, BOT), (1_000, START), (1_100, QUIET)], [], id="nobody left to interrupt"),
    pytest.param(
        {},
        [(0, BOT), (1_000, START), (1_100, maybe("no")), (1_200, maybe("no no")), (1_300, Digit("1")), (1_400, END)],
        [(1_100, "barge-in by words")],
        id="once",
    ),
    pytest.param(
        {},
        [(0, START), (1_000, BOT)],
        [(1_250, "barge-in by speech")],
        id="who talks over the greeting from before it began",
    ),
    pytest.param(
        {"min_ms": 600_000},
        [(0, START), (500, maybe("hello")), (1_000, BOT), (1_100, said("Hello.")), (1_200, maybe(" you"))],
        [(1_200, "barge-in by words")],
        id="words from before the greeting do not count",
    ),
    pytest.param(
        {"min_ms": 600_000},
        [(0, maybe("one two")), (100, BOT), (200, said("one two")), (210, END), (1_000, maybe("three"))],
        [(210, "turn 1 endpoint: one two"), (1_000, "barge-in by words")],
        id="words of the turn before do not count",
    ),
    pytest.param(
        {"enabled": False},
        [(0, BOT), (500, START), (600, maybe("no")), (700, Digit("1")), (800, said("no")), (810, END)],
        [(810, "turn 1 endpoint: no")],
        id="off: the caller is heard all the same",
    ),
    pytest.param(
        {},
        [(0, BotStarted(interruptible=False)), (500, START), (600, maybe("no")), (900, said("no")), (910, END)],
        [(910, "turn 1 endpoint: no")],
        id="speech that may not be interrupted",
    ),
    pytest.param(
        {},
        [(0, BotStarted(interruptible=False)), (500, START), (1_000, BOT)],
        [(1_250, "barge-in by speech")],
        id="the next utterance may be interrupted",
    ),
    pytest.param(
        {},
        [(0, BOT), (500, START), (700, BOT)],
        [(750, "barge-in by speech")],
        id="its next sentence gives it no new time",
    ),
    pytest.param(
        {}, [(0, BOT), (10, HungUp()), (20, BOT), (30, START), (40, maybe("no"))], [], id="not after a hang-up"
    ),
    pytest.param(
        {},
        [(0, Listen(barge_in=BargeInPolicy(min_ms=1_000))), (10, BOT), (20, START)],
        [(1_020, "barge-in by speech")],
        id="as the last reply wants it",
    ),
]

NO_INPUTS = [
    pytest.param([(0, FLOOR)], [(8_000, "no input 1")], id="silent from the start"),
    pytest.param(
        [(0, BOT), (3_000, QUIET), (3_010, FLOOR)], [(11_010, "no input 1")], id="from the end of the bot's speech"
    ),
    pytest.param(
        [(0, BOT), (500, FLOOR), (3_000, QUIET)],
        [(11_000, "no input 1")],
        id="when it has been heard, not when it was sent",
    ),
    pytest.param([(0, BOT), (3_000, QUIET)], [], id="not while the application has more to say"),
    pytest.param([(0, FLOOR), (5_000, BOT)], [], id="not while the bot speaks"),
    pytest.param([(0, FLOOR), (5_000, START)], [], id="not while the caller speaks"),
    pytest.param(
        [(0, FLOOR), (5_000, START), (5_900, STOP), (6_050, FIN)],
        [(6_000, "finalize"), (13_900, "no input 1")],
        id="a cough starts it anew",
    ),
    pytest.param(
        [(0, FLOOR), (5_000, maybe("well")), (6_000, said("well")), (6_010, END)],
        [(6_010, "turn 1 endpoint: well")],
        id="not while the application thinks",
    ),
    pytest.param([(0, FLOOR), (7_500, maybe("well"))], [(9_400, "finalize")], id="not while words are open"),
    pytest.param(
        [(0, FLOOR), (1_000, maybe("uh")), (2_000, Heard())],
        [(10_000, "no input 1")],
        id="words that were taken back start it anew",
    ),
    pytest.param(
        [(0, FLOOR), (8_100, FLOOR), (16_200, FLOOR)],
        [(8_000, "no input 1"), (16_100, "no input 2"), (24_200, "no input 3")],
        id="counted",
    ),
    pytest.param([(0, FLOOR), (1_000, FLOOR)], [(8_000, "no input 1")], id="once per floor"),
    pytest.param(
        [(0, FLOOR), (8_100, said("yes")), (8_110, END), (8_200, FLOOR)],
        [(8_000, "no input 1"), (8_110, "turn 1 endpoint: yes"), (16_200, "no input 1")],
        id="a turn starts the count anew",
    ),
    pytest.param(
        [(0, FLOOR), (7_000, Digit("1")), (10_100, FLOOR)],
        [(10_000, "digits timeout: 1"), (18_100, "no input 1")],
        id="keys are input",
    ),
    pytest.param(
        [(0, FLOOR), (100, START), (400, STOP), (450, Digit("#")), (9_000, FIN)],
        [(450, "finalize"), (9_000, "digits finish_key: ")],
        id="not while a complete entry waits for its words",
    ),
    pytest.param(
        [(0, START), (500, Heard((Token("one"),), (Token(" two"),))), (510, END), (520, FLOOR), (600, STOP)],
        [(510, "turn 1 endpoint: one"), (700, "finalize")],
        id="not while the next words are open already",
    ),
    pytest.param([(0, FLOOR), (4_000, TurnRequested())], [(8_000, "no input 1")], id="a command ends nothing"),
    pytest.param([(0, FLOOR), (4_000, HungUp()), (4_100, FLOOR)], [], id="nobody left to wait for"),
    pytest.param([(0, FLOOR), (4_000, Listen(no_input_ms=0))], [], id="switched off while it ran"),
    pytest.param(
        [(0, FLOOR), (4_000, Listen(no_input_ms=3_000))], [(4_000, "no input 1")], id="shortened while it ran"
    ),
]


@pytest.mark.parametrize(("barge_in", "script", "effects"), BARGE_INS)
def test_barge_in(play, barge_in, script, effects):
    assert play(script, TurnPolicy(barge_in=BargeInPolicy(**barge_in)), until=2_000) == effects


@pytest.mark.parametrize(("script", "effects"), NO_INPUTS)
def test_no_input(play, script, effects):
    assert play(script) == effects


def test_no_input_can_be_off():
    state, effects = step(TurnState(policy=TurnPolicy(no_input_ms=0)), FLOOR, 0.0)
    assert (effects, wake_at(state)) == ((), None)
    assert step(state, Tick(), 1e9)[1] == ()
