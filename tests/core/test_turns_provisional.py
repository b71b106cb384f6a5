"""A head start: turns told before their end is sure, confirmed when their words stand, taken back when they do not."""

import pytest

from voicebot.core.actions import Expect, Listen
from voicebot.core.events import (
    BotStarted,
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
    TurnCompleted,
    TurnProvisional,
    TurnRequested,
)
from voicebot.core.turns import TurnPolicy, TurnState, step

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
GONE = SttFailed(0, "gone", "no session could be opened")


def said(*texts):
    return Heard(settled=tuple(Token(text) for text in texts))


def maybe(*texts):
    return Heard(tentative=tuple(Token(text) for text in texts))


# Speech ends at 700, is asked about at 1,000 and, without an endpoint, is a turn at 2,300.
HELLO = [(0, START), (400, maybe("hel")), (900, STOP), (1_050, said("Hello")), (1_050, FIN)]
ASKED, AHEAD = (1_000, "finalize"), (1_050, "turn 1.1 ahead: Hello")

STANDS = [
    pytest.param([*HELLO, (1_300, END)], [ASKED, AHEAD, (1_300, "turn 1 endpoint: Hello (confirmed)")], id="endpoint"),
    pytest.param(HELLO, [ASKED, AHEAD, (2_300, "turn 1 finalize: Hello (confirmed)")], id="silence"),
    pytest.param(
        [*HELLO, (1_200, said(".")), (1_300, END)],
        [ASKED, AHEAD, (1_300, "turn 1 endpoint: Hello. (confirmed)")],
        id="punctuation changes nothing",
    ),
    pytest.param(
        [*HELLO, (1_200, START), (1_500, STOP), (1_650, FIN)],
        [ASKED, AHEAD, (1_600, "finalize"), (2_900, "turn 1 finalize: Hello (confirmed)")],
        id="a cough puts the end off and takes nothing back",
    ),
    pytest.param(
        [*HELLO, (1_200, TurnRequested()), (1_250, FIN)],
        [ASKED, AHEAD, (1_200, "finalize"), (1_250, "turn 1 command: Hello (confirmed)")],
        id="a command",
    ),
    pytest.param(
        [*HELLO, (1_200, HungUp()), (1_300, Finished())],
        [ASKED, AHEAD, (1_300, "turn 1 hangup: Hello (confirmed)")],
        id="a hang-up",
    ),
    pytest.param(
        [*HELLO, (1_200, GONE)], [ASKED, AHEAD, (1_200, "turn 1 finalize: Hello (confirmed)")], id="a lost recogniser"
    ),
    pytest.param(
        [*HELLO, (1_100, Listen(provisional=False)), (1_300, END)],
        [ASKED, AHEAD, (1_300, "turn 1 endpoint: Hello (confirmed)")],
        id="switched off meanwhile",
    ),
    pytest.param(
        [*HELLO, (1_300, END), (1_310, FIN), (1_400, END)],
        [ASKED, AHEAD, (1_300, "turn 1 endpoint: Hello (confirmed)")],
        id="once, whatever comes later",
    ),
]

TAKEN_BACK = [
    pytest.param(
        [*HELLO, (1_200, maybe(" you")), (1_300, said(" you")), (1_310, END)],
        [
            ASKED,
            AHEAD,
            (1_200, "turn 1.1 taken back: hello"),
            (1_310, "turn 1 endpoint: Hello you (version 2)"),
        ],
        id="the caller goes on",
    ),
    pytest.param(
        [*HELLO, (1_200, START), (1_400, maybe(" you")), (1_900, STOP), (2_050, said(" you")), (2_050, FIN)],
        [
            ASKED,
            AHEAD,
            (1_400, "turn 1.1 taken back: hello"),
            (2_000, "finalize"),
            (2_050, "turn 1.2 ahead: Hello you"),
            (3_300, "turn 1 finalize: Hello you (confirmed)"),
        ],
        id="and falls silent again",
    ),
    pytest.param(
        [*HELLO, (1_200, maybe(" you")), (1_300, Heard()), (1_500, FIN), (3_300, FIN), (3_400, END)],
        [
            ASKED,
            AHEAD,
            (1_200, "turn 1.1 taken back: hello"),
            (3_200, "finalize"),
            (3_300, "turn 1.2 ahead: Hello"),
            (3_400, "turn 1 endpoint: Hello (confirmed)"),
        ],
        id="words that were none: told again",
    ),
    pytest.param(
        [*HELLO, (1_200, Digit("1")), (1_300, END)],
        [
            ASKED,
            AHEAD,
            (1_200, "turn 1.1 taken back: hello"),
            (1_300, "turn 1 endpoint: Hello (version 2)"),
            (4_200, "digits timeout: 1"),
        ],
        id="a key",
    ),
    pytest.param(
        [*HELLO, (1_200, maybe(" you")), (1_250, HungUp()), (1_300, Finished())],
        [
            ASKED,
            AHEAD,
            (1_200, "turn 1.1 taken back: hello"),
            (1_300, "turn 1 hangup: Hello you (version 2)"),
        ],
        id="a hang-up in the middle of it",
    ),
    pytest.param(
        [*HELLO, (1_200, Listen(expect=Expect(kind="yes_no"))), (1_300, END)],
        [
            ASKED,
            AHEAD,
            (1_300, "turn 1.1 taken back: hello"),
            (1_300, "turn 1 endpoint: Hello =  (version 2)"),
        ],
        id="another answer is expected now: it was not told what is read from it",
    ),
    pytest.param(
        [
            *HELLO,
            (1_300, END),
            (2_000, START),
            (2_900, STOP),
            (3_050, said("Bye")),
            (3_050, FIN),
            (3_100, maybe(" bye")),
            (3_200, said(" bye")),
            (3_200, END),
        ],
        [
            ASKED,
            AHEAD,
            (1_300, "turn 1 endpoint: Hello (confirmed)"),
            (3_000, "finalize"),
            (3_050, "turn 2.1 ahead: Bye"),
            (3_100, "turn 2.1 taken back: bye"),
            (3_200, "turn 2 endpoint: Bye bye (version 2)"),
        ],
        id="each turn counts its own versions",
    ),
]

NOT_TOLD = [
    pytest.param(
        [(0, START), (900, STOP), (950, said("Hello")), (960, END)],
        [(960, "turn 1 endpoint: Hello")],
        id="the endpoint came first",
    ),
    pytest.param([(0, START), (900, STOP), (1_050, FIN)], [ASKED], id="no words"),
    pytest.param(
        [(0, START), (900, STOP), (950, said("Hello")), (1_020, START), (1_050, FIN)],
        [ASKED, (2_850, "finalize")],
        id="the caller is speaking again",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_050, Heard((Token("Hello"),), (Token(" you"),))), (1_050, FIN), (1_500, FIN)],
        [ASKED, (1_300, "finalize"), (1_600, "finalize")],
        id="words are open",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_010, HungUp()), (1_050, said("Hello")), (1_050, FIN), (1_100, Finished())],
        [ASKED, (1_100, "turn 1 hangup: Hello")],
        id="nobody is left to answer",
    ),
    pytest.param(
        [(0, Digit("1")), *[(at + 100, event) for at, event in HELLO], (2_000, END)],
        [(1_100, "finalize"), (2_000, "turn 1 endpoint: Hello"), (3_000, "digits timeout: 1")],
        id="keys are under way that may belong to it",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_010, TurnRequested()), (1_050, said("Hello")), (1_050, FIN), (1_060, FIN)],
        [ASKED, (1_010, "finalize"), (1_060, "turn 1 command: Hello")],
        id="its end is sure already",
    ),
    pytest.param(
        [(0, BotStarted(interruptible=False)), (10, START), (900, STOP), (1_050, said("mhm")), (1_050, FIN)],
        [ASKED, (2_300, "backchannel: mhm")],
        id="a sign of listening",
    ),
]


@pytest.mark.parametrize(("script", "effects"), [*STANDS, *TAKEN_BACK, *NOT_TOLD])
def test_a_head_start(play, script, effects):
    assert play(script, TurnPolicy(provisional=True), until=8_000) == effects


def test_off_by_default(play):
    assert play(HELLO) == [ASKED, (2_300, "turn 1 finalize: Hello")]


def test_half_an_entry_is_not_told_early(play):
    script = [(0, START), (900, STOP), (1_050, said("one two")), (1_050, FIN), (2_000, said(" three")), (2_010, END)]
    policy = TurnPolicy(provisional=True, expect=Expect(kind="digits", digits=3))
    assert play(script, policy, until=2_500) == [ASKED, (2_010, "turn 1 endpoint: one two three = 123")]


def test_a_whole_entry_is_told_with_its_keys(play):
    script = [(0, Digit("1")), (100, START), (900, STOP), (1_050, said("two three")), (1_050, FIN)]
    policy = TurnPolicy(provisional=True, expect=Expect(kind="digits", digits=3))
    assert play(script, policy) == [
        ASKED,
        (1_050, "turn 1.1 ahead: two three + 1 = 123"),
        (1_050, "turn 1 finalize: two three + 1 = 123 (confirmed)"),
    ]


def test_the_turn_that_is_confirmed_is_the_one_that_was_told():
    state = TurnState(policy=TurnPolicy(provisional=True))
    told = []
    for at, event in ((0.0, START), (0.9, STOP), (1.05, said("Hello")), (1.05, FIN), (1.3, END)):
        state, effects = step(state, event, at)
        told += [effect for effect in effects if isinstance(effect, TurnProvisional | TurnCompleted)]
    ahead, completed = told
    assert (ahead.revision, completed.revision, completed.confirms) == (1, 1, True)
    assert (ahead.turn.number, ahead.turn.text, ahead.turn.tokens, ahead.turn.settled_at) == (
        completed.turn.number,
        completed.turn.text,
        completed.turn.tokens,
        completed.turn.settled_at,
    )
    assert (state.told, state.revision) == (None, 0)
