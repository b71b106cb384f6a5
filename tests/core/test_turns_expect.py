"""What an expected answer does to the patience of the turn machine, and what is read from the words and the keys."""

import pytest

from voicebot.core.actions import Expect, Listen
from voicebot.core.events import (
    BotStarted,
    BotStopped,
    Digit,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Token,
    TurnRequested,
)
from voicebot.core.turns import TurnPolicy

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
GONE = SttFailed(0, "gone", "no session could be opened")


def said(text):
    return Heard(settled=(Token(text),))


def maybe(text):
    return Heard(tentative=(Token(text),))


def spoken(text):
    """Words whose sound ends at 700; they are settled by the answer to `finalize`, at 1,050."""
    return [(0, START), (900, STOP), (1_050, said(text)), (1_050, FIN)]


def keys(digits, at, every=100):
    return [(at + every * index, Digit(digit)) for index, digit in enumerate(digits)]


ASKS = "Please read out the four digits of your card."
ASKED = (1_000, "finalize")

YES_NO = [
    pytest.param(spoken("Yes."), [ASKED, (1_300, "turn 1 finalize: Yes. = yes")], id="a clear answer: 600 ms"),
    pytest.param(spoken("no way"), [ASKED, (1_300, "turn 1 finalize: no way = no")], id="a clear no too"),
    pytest.param(spoken("well"), [ASKED, (2_300, "turn 1 finalize: well = ")], id="neither: the usual patience"),
    pytest.param(
        [*spoken("yes"), (1_200, maybe(" but")), (1_400, said(" but no")), (1_400, END)],
        [ASKED, (1_400, "turn 1 endpoint: yes but no = no")],
        id="who goes on is not cut off",
    ),
    pytest.param(
        [*spoken("well"), (1_200, END)], [ASKED, (1_200, "turn 1 endpoint: well = ")], id="an endpoint ends anything"
    ),
    pytest.param(
        [*keys("1", 0), (100, said("yes")), (110, END)],
        [(110, "turn 1 endpoint: yes = yes"), (3_000, "digits timeout: 1")],
        id="keys are another matter",
    ),
]

DIGITS = [
    pytest.param(
        [*spoken("one two"), (1_100, END), (2_500, said(" three four")), (2_510, END)],
        [ASKED, (2_510, "turn 1 endpoint: one two three four = 1234")],
        id="an endpoint between groups is a pause",
    ),
    pytest.param(
        [*spoken("one two"), (1_100, END)],
        [ASKED, (3_700, "turn 1 finalize: one two = 12")],
        id="half an entry: 3 s of silence",
    ),
    pytest.param(
        spoken("one two three four"),
        [ASKED, (1_050, "turn 1 finalize: one two three four = 1234")],
        id="all of them: at once when they are settled",
    ),
    pytest.param(
        [*spoken("I do not know"), (1_100, END)],
        [ASKED, (1_100, "turn 1 endpoint: I do not know = ")],
        id="no digits: the usual end",
    ),
    pytest.param(
        [*keys("12", 0), (200, START), (900, STOP), (1_050, said("three four")), (1_050, FIN)],
        [ASKED, (1_050, "turn 1 finalize: three four + 12 = 1234")],
        id="keys, then words",
    ),
    pytest.param(
        [(0, START), (500, said("one two")), (510, END), (700, STOP), *keys("34", 710, 10), (900, FIN)],
        [(720, "finalize"), (900, "turn 1 digits: one two + 34 = 1234")],
        id="words, then keys, then the answer",
    ),
    pytest.param(
        [(0, START), (500, maybe("one two")), *keys("34", 550, 10), (600, said("one two")), (600, FIN)],
        [(560, "finalize"), (600, "turn 1 digits: one two + 34 = 1234")],
        id="words that are still tentative count towards the number",
    ),
    pytest.param(
        [
            *keys("1", 0),
            (100, START),
            (500, said("two")),
            (510, END),
            (700, STOP),
            *keys("3", 750),
            (800, FIN),
            (850, START),
            (900, said(" four")),
            (910, END),
        ],
        [(800, "finalize"), (910, "turn 1 endpoint: two four + 13 = 1234")],
        id="in any order",
    ),
    pytest.param(
        [*keys("1", 0), (100, START), (500, said("two")), (700, STOP), *keys("#", 750), (800, said(" no")), (810, FIN)],
        [(750, "finalize"), (810, "turn 1 digits: two no + 1 = 12")],
        id="the finish key ends it before its time",
    ),
    pytest.param(
        [
            *keys("1", 0),
            (2_000, START),
            (2_500, maybe("two")),
            (3_500, maybe("two three")),
            (5_000, maybe("two three f")),
            (5_100, STOP),
            (5_200, said("two three four")),
            (5_210, END),
        ],
        [(5_200, "finalize"), (5_210, "turn 1 endpoint: two three four + 1 = 1234")],
        id="the pause between keys does not cut words off that are being said",
    ),
    pytest.param(
        [
            (0, BotStarted(text=ASKS)),
            (500, maybe("read out the four")),
            (600, Digit("9")),
            (610, BotStopped()),
            (700, said("read out the four")),
            (710, END),
            (1_000, START),
            (1_500, said(" one two three")),
            (1_510, END),
        ],
        [
            (600, "barge-in by digit"),
            (710, "echo: read out the four"),
            (1_510, "turn 1 endpoint: one two three + 9 = 9123"),
        ],
        id="digits in the bot's echo are none, and a key keeps its place",
    ),
    pytest.param([*keys("12", 0)], [(3_100, "digits timeout: 12")], id="keys alone are no turn"),
    pytest.param([*keys("1234", 0)], [(300, "digits count: 1234")], id="all keys alone neither"),
    pytest.param(
        [*spoken("one two"), (1_500, *keys("3", 0)[0][1:])],
        [ASKED, (4_500, "turn 1 finalize: one two + 3 = 123")],
        id="a key renews the patience",
    ),
    pytest.param(
        [*spoken("one two"), (1_200, TurnRequested()), (1_250, FIN)],
        [ASKED, (1_200, "finalize"), (1_250, "turn 1 command: one two = 12")],
        id="a command ends half an entry",
    ),
    pytest.param(
        [*keys("1", 0), *[(at + 50, event) for at, event in spoken("two")], (1_200, HungUp()), (1_300, Finished())],
        [(1_050, "finalize"), (1_300, "turn 1 hangup: two + 1 = 12")],
        id="a hang-up in the middle",
    ),
    pytest.param(
        [*keys("1", 0), *[(at + 50, event) for at, event in spoken("two")], (1_200, GONE)],
        [(1_050, "finalize"), (1_200, "turn 1 finalize: two + 1 = 12")],
        id="the recogniser goes in the middle",
    ),
    pytest.param(
        [*spoken("one two"), (1_100, END), (1_200, Listen(expect=Expect())), (1_300, END)],
        [ASKED, (1_300, "turn 1 endpoint: one two")],
        id="expected no longer",
    ),
    pytest.param(
        [*spoken("one two"), (1_200, Listen(expect=Expect(kind="digits", digits=2))), (1_300, Heard())],
        [ASKED, (1_200, "turn 1 finalize: one two = 12")],
        id="fewer are expected now",
    ),
]

SPELLING = [
    pytest.param(
        Expect(kind="spelling"),
        [*spoken("S M I"), (1_100, END), (2_500, said(" T H")), (2_510, END), (4_500, FIN)],
        [ASKED, (4_400, "finalize"), (7_100, "turn 1 finalize: S M I T H = smith")],
        id="nobody knows how many letters: patience decides",
    ),
    pytest.param(
        Expect(kind="spelling", digits=5),
        [*spoken("S M I"), (1_100, END), (2_500, said(" T H")), (2_510, END)],
        [ASKED, (2_510, "turn 1 endpoint: S M I T H = smith")],
        id="so many letters",
    ),
    pytest.param(
        Expect(kind="spelling", digits=3),
        [(0, START), (500, said("A B")), (510, END), (700, STOP), (710, Digit("7")), (900, FIN)],
        [(710, "finalize"), (900, "turn 1 digits: A B + 7 = ab7")],
        id="keys are signs like others",
    ),
]

EMAIL = [
    pytest.param(
        [*spoken("anna @"), (1_100, END), (2_000, said(" example dot com")), (2_010, END)],
        [ASKED, (2_010, "turn 1 endpoint: anna @ example dot com = anna@example.com")],
        id="whole at the endpoint",
    ),
    pytest.param(
        [*spoken("anna @"), (1_100, END)],
        [ASKED, (3_700, "turn 1 finalize: anna @ = anna@")],
        id="half an address: 3 s of silence",
    ),
    pytest.param(
        spoken("anna at example dot com"),
        [ASKED, (2_300, "turn 1 finalize: anna at example dot com = anna@example.com")],
        id="a whole one: the usual patience, for .co.uk",
    ),
]


@pytest.mark.parametrize(("script", "effects"), YES_NO)
def test_yes_or_no(play, script, effects):
    assert play(script, TurnPolicy(expect=Expect(kind="yes_no"))) == effects


@pytest.mark.parametrize(("script", "effects"), DIGITS)
def test_four_digits(play, script, effects):
    assert play(script, TurnPolicy(expect=Expect(kind="digits", digits=4))) == effects


@pytest.mark.parametrize(("expect", "script", "effects"), SPELLING)
def test_letters(play, expect, script, effects):
    assert play(script, TurnPolicy(expect=expect)) == effects


@pytest.mark.parametrize(("script", "effects"), EMAIL)
def test_an_address(play, script, effects):
    assert play(script, TurnPolicy(expect=Expect(kind="email"))) == effects
