"""Turns that end otherwise: cut by length or command, by the end of the call, or of the recogniser."""

import pytest

from voicebot.core.actions import Listen
from voicebot.core.events import (
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


def said(*texts):
    return Heard(settled=tuple(Token(text) for text in texts))


def maybe(*texts):
    return Heard(tentative=tuple(Token(text) for text in texts))


PATIENT = [
    pytest.param(
        [(0, START), (100, said("la")), (700, STOP), (900, END)],
        [(800, "finalize"), (1_700, "turn 1 endpoint: la")],
        id="an endpoint waits for enough silence",
    ),
    pytest.param(
        [(0, START), (100, said("la")), (700, STOP), (1_800, END)],
        [(800, "finalize"), (1_800, "turn 1 endpoint: la")],
        id="one behind enough silence counts at once",
    ),
    pytest.param(
        [
            (0, START),
            (100, said("la")),
            (700, STOP),
            (850, FIN),
            (900, END),
            (1_000, START),
            (1_200, said(" li")),
            (1_500, STOP),
        ],
        [(800, "finalize"), (1_600, "finalize")],
        id="the caller goes on and the endpoint is taken back",
    ),
    pytest.param(
        [(0, START), (100, said("la")), (900, END), (1_000, said(" li")), (1_600, END)],
        [(2_800, "turn 1 endpoint: la li")],
        id="in noise it waits for words to stay away",
    ),
    pytest.param(
        [(0, START), (100, said("la")), (700, STOP), (900, END), (1_000, HungUp()), (1_010, Finished())],
        [(800, "finalize"), (1_010, "turn 1 hangup: la")],
        id="nobody waits on behind a hang-up",
    ),
]


@pytest.mark.parametrize(("script", "effects"), PATIENT)
def test_an_endpoint_may_need_silence(play, script, effects):
    policy = TurnPolicy(endpoint_after_ms=1_200, commit_after_ms=5_000)
    assert play(script, policy, until=3_000) == effects


LIMITS = [
    pytest.param(
        [
            (0, START),
            (100, maybe("la")),
            (1_000, maybe("la la")),
            (1_150, said("la la")),
            (1_150, FIN),
            (1_160, maybe(" la")),
        ],
        [(1_100, "finalize"), (1_150, "turn 1 max_turn: la la"), (2_160, "finalize")],
        id="the longest turn is cut by finalize and the next begins",
    ),
    pytest.param(
        [(0, START), (100, maybe("la")), (1_110, said("la")), (1_120, END), (1_150, FIN)],
        [(1_100, "finalize"), (1_120, "turn 1 max_turn: la")],
        id="an endpoint that comes before the answer ends the cut turn",
    ),
    pytest.param(
        [(0, START), (100, maybe("uh")), (500, maybe()), (1_400, maybe("la")), (1_900, said("la")), (1_900, END)],
        [(1_900, "turn 1 endpoint: la")],
        id="words that were taken back do not start the longest turn",
    ),
]

COMMANDS = [
    pytest.param([(0, TurnRequested())], [], id="nothing said, nothing to end"),
    pytest.param(
        [(0, START), (400, maybe("he")), (500, TurnRequested()), (550, said("hello")), (550, FIN)],
        [(500, "finalize"), (550, "turn 1 command: hello")],
        id="a command ends the turn with the answer to its finalize",
    ),
    pytest.param(
        [
            (0, START),
            (500, TurnRequested()),
            (550, said("one")),
            (550, FIN),
            (900, STOP),
            (1_050, said("two")),
            (1_050, END),
        ],
        [(500, "finalize"), (550, "turn 1 command: one"), (1_000, "finalize"), (1_050, "turn 2 endpoint: two")],
        id="the rest of the sound is finalized too",
    ),
    pytest.param(
        [(0, START), (500, TurnRequested()), (510, TurnRequested()), (550, said("hello")), (550, FIN)],
        [(500, "finalize"), (550, "turn 1 command: hello")],
        id="a second command changes nothing",
    ),
    pytest.param(
        [(0, START), (500, TurnRequested()), (520, END), (550, said("hello")), (550, FIN)],
        [(500, "finalize"), (550, "turn 1 command: hello")],
        id="an empty endpoint does not swallow the command",
    ),
    pytest.param(
        [(0, START), (500, TurnRequested()), (520, said("hello")), (520, END), (550, FIN)],
        [(500, "finalize"), (520, "turn 1 command: hello")],
        id="an endpoint with words carries the command out",
    ),
    pytest.param(
        [(0, START), (500, TurnRequested()), (550, FIN), (700, STOP), (850, FIN)],
        [(500, "finalize"), (800, "finalize")],
        id="sound without words is no turn",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_010, TurnRequested()), (1_050, FIN), (1_060, said("yes")), (1_060, FIN)],
        [(1_000, "finalize"), (1_010, "finalize"), (1_060, "turn 1 command: yes")],
        id="words under way count as something said",
    ),
]

ENDINGS = [
    pytest.param(
        [(0, START), (400, maybe("good")), (500, HungUp()), (600, said("good bye")), (610, Finished())],
        [(610, "turn 1 hangup: good bye")],
        id="a hang-up flushes the last words",
    ),
    pytest.param(
        [(0, START), (400, Heard((Token("good"),), (Token(" bye"),))), (500, HungUp()), (3_500, Finished())],
        [(3_500, "turn 1 hangup: good bye")],
        id="what stays tentative is the best there is",
    ),
    pytest.param(
        [(0, START), (400, said("good")), (500, HungUp()), (600, said(" bye")), (600, END), (610, Finished())],
        [(600, "turn 1 hangup: good bye")],
        id="an endpoint during the flush",
    ),
    pytest.param(
        [(0, START), (400, said("bye")), (410, END), (500, HungUp()), (610, Finished())],
        [(410, "turn 1 endpoint: bye")],
        id="nothing left to flush",
    ),
    pytest.param(
        [(0, START), (400, said("bye")), (500, HungUp()), (510, TurnRequested()), (610, Finished()), (620, Finished())],
        [(610, "turn 1 hangup: bye")],
        id="nothing is asked for after a hang-up",
    ),
    pytest.param([(0, HungUp()), (100, Finished())], [], id="a call without a word"),
    pytest.param(
        [(0, START), (500, Heard((Token("one"),), (Token(" two"),))), (510, END), (600, HungUp()), (610, Finished())],
        [(510, "turn 1 endpoint: one"), (610, "turn 2 hangup: two")],
        id="what stays tentative behind an endpoint",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_010, said("one")),
            (1_020, Finished()),
            (2_000, START),
            (2_900, STOP),
            (3_050, said("two")),
            (3_050, FIN),
        ],
        [
            (1_000, "finalize"),
            (1_020, "turn 1 finalize: one"),
            (3_000, "finalize"),
            (4_300, "turn 2 finalize: two"),
        ],
        id="one media stream ends and the call goes on with another",
    ),
    pytest.param(
        [(0, GONE), (1_000, maybe("he")), (1_100, START), (1_900, STOP), (2_050, said("hello")), (2_050, END)],
        [(2_000, "finalize"), (2_050, "turn 1 endpoint: hello")],
        id="a recogniser that comes back is asked again",
    ),
    pytest.param(
        [
            (0, START),
            (400, Heard((Token("he"),), (Token("llo"),))),
            (500, GONE),
            (900, STOP),
            (2_000, START),
            (2_500, STOP),
        ],
        [(500, "turn 1 finalize: hello")],
        id="a recogniser that is gone leaves its words and is asked no more",
    ),
    pytest.param(
        [(0, START), (400, maybe("hello")), (450, TurnRequested()), (500, GONE), (600, HungUp()), (610, GONE)],
        [(450, "finalize"), (500, "turn 1 command: hello")],
        id="a command that the recogniser did not live to answer",
    ),
]

CHANGES = [
    pytest.param(
        [(0, START), (100, Listen(finalize_after_ms=700)), (900, STOP), (1_450, said("hello")), (1_450, FIN)],
        [(1_400, "finalize"), (2_300, "turn 1 finalize: hello")],
        id="finalize later",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_050, said("hello")), (1_050, FIN), (1_100, Listen(commit_after_ms=3_000))],
        [(1_000, "finalize"), (3_700, "turn 1 finalize: hello")],
        id="commit later, from the next moment on",
    ),
    pytest.param(
        [(0, START), (100, maybe("la")), (200, Listen(max_turn_ms=1_000)), (1_150, said("la")), (1_150, FIN)],
        [(1_100, "finalize"), (1_150, "turn 1 max_turn: la")],
        id="a shorter longest turn",
    ),
]


@pytest.mark.parametrize(("script", "effects"), [*COMMANDS, *ENDINGS, *CHANGES])
def test_turns_end(play, script, effects):
    assert play(script) == effects


@pytest.mark.parametrize(("script", "effects"), LIMITS)
def test_the_longest_turn(play, script, effects):
    assert play(script, TurnPolicy(max_turn_ms=1_000), until=2_500) == effects


def test_listen_changes_only_what_it_names():
    policy = TurnPolicy(finalize_after_ms=400, no_input_ms=5_000)
    assert policy.changed_by(Listen()) == policy
    assert policy.changed_by(Listen(no_input_ms=0)) == TurnPolicy(finalize_after_ms=400, no_input_ms=0)
