"""When a turn ends, and why: the rules of the turn machine as tables."""

import pytest

from voicebot.core.events import (
    Endpoint,
    Finalized,
    Heard,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Token,
    Turn,
    TurnCompleted,
    TurnRequested,
)
from voicebot.core.turns import TurnPolicy, TurnState, step

# The default policy: finalize 300 ms after speech, commit 1,600 ms after it. The local detector's hangover is 200 ms,
# so speech that ends at 700 is reported as stopped at 900, finalized at 1,000 and committed at 2,300.
START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
GONE = SttFailed(0, "gone", "no session could be opened")


def said(*texts):
    return Heard(settled=tuple(Token(text) for text in texts))


def maybe(*texts):
    return Heard(tentative=tuple(Token(text) for text in texts))


# Tentative, asked for at 1,000, settled by the answer.
HELLO = [(0, START), (400, maybe("hello")), (900, STOP), (1_020, said("hello")), (1_020, FIN)]

ENDPOINTS = [
    pytest.param(
        [(0, START), (400, maybe("he")), (900, STOP), (950, said("hello")), (960, END)],
        [(960, "turn 1 endpoint: hello")],
        id="the endpoint ends the turn and spares the finalize",
    ),
    pytest.param(
        [(0, START), (500, said("hello")), (510, END)],
        [(510, "turn 1 endpoint: hello")],
        id="an endpoint counts although the line is not silent",
    ),
    pytest.param(
        [(0, START), (500, STOP), (550, END)],
        [(600, "finalize")],
        id="an endpoint without words is no turn",
    ),
    pytest.param(
        [(0, START), (500, maybe("uh")), (700, STOP), (750, maybe()), (760, END)],
        [(800, "finalize")],
        id="an endpoint after retracted words is no turn",
    ),
    pytest.param([(0, said(" ")), (10, END)], [], id="an endpoint after blanks is no turn"),
    pytest.param(
        [
            (0, START),
            (500, said("one")),
            (510, END),
            (510, maybe(" two")),
            (900, STOP),
            (950, said(" two")),
            (960, END),
        ],
        [(510, "turn 1 endpoint: one"), (960, "turn 2 endpoint: two")],
        id="text behind the endpoint in the same message is the next turn",
    ),
    pytest.param(
        [(0, START), (500, Heard((Token("one"),), (Token(" two"),))), (510, END), (600, said(" two")), (610, END)],
        [(510, "turn 1 endpoint: one"), (610, "turn 2 endpoint: two")],
        id="what is tentative at the endpoint is the next turn",
    ),
    pytest.param(
        [(0, START), (500, said("one")), (510, END), (520, END), (530, END)],
        [(510, "turn 1 endpoint: one")],
        id="three endpoints, one turn",
    ),
]

FINALIZES = [
    pytest.param(
        [(0, START), (400, maybe("hello")), (900, STOP), (1_050, said("hello")), (1_050, FIN)],
        [(1_000, "finalize"), (2_300, "turn 1 finalize: hello")],
        id="without an endpoint, silence commits what finalize settled",
    ),
    pytest.param(
        [(0, START), (900, STOP), (950, START), (2_000, STOP)],
        [(2_100, "finalize")],
        id="no finalize before 300 ms of silence are over",
    ),
    pytest.param(
        [(0, START), (400, maybe("hello")), (900, STOP), (1_020, said("hello")), (1_020, END), (1_060, FIN)],
        [(1_000, "finalize"), (1_020, "turn 1 endpoint: hello")],
        id="end before fin, one turn",
    ),
    pytest.param(
        [*HELLO, (1_500, END)],
        [(1_000, "finalize"), (1_500, "turn 1 endpoint: hello")],
        id="end after fin, one turn",
    ),
    pytest.param(
        [*HELLO, (2_400, END)],
        [(1_000, "finalize"), (2_300, "turn 1 finalize: hello")],
        id="end after the commit, one turn",
    ),
    pytest.param(
        [*HELLO, (2_350, said(" again")), (4_300, FIN)],
        [
            (1_000, "finalize"),
            (2_300, "turn 1 finalize: hello"),
            (4_250, "finalize"),
            (5_550, "turn 2 finalize: again"),
        ],
        id="a final that comes late, after the commit, is the next turn",
    ),
    pytest.param(
        [*HELLO, (2_350, said(".")), (4_300, FIN)],
        [(1_000, "finalize"), (2_300, "turn 1 finalize: hello"), (4_250, "finalize")],
        id="punctuation that comes late is no turn",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_080, said("Yes.")), (1_080, FIN)],
        [(1_000, "finalize"), (2_300, "turn 1 finalize: Yes.")],
        id="a short answer after finalize, that comes with the fin alone",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_080, FIN)],
        [(1_000, "finalize")],
        id="a cough is finalized once and is no turn",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_050, said("I want")),
            (1_050, FIN),
            (1_500, START),
            (2_500, STOP),
            (2_650, said(" a taxi")),
            (2_650, FIN),
        ],
        [(1_000, "finalize"), (2_600, "finalize"), (3_900, "turn 1 finalize: I want a taxi")],
        id="who goes on after a pause is still in the same turn",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_020, START),
            (1_050, said("I")),
            (1_050, FIN),
            (2_700, said(" see")),
            (2_710, END),
        ],
        [(1_000, "finalize"), (2_710, "turn 1 endpoint: I see")],
        id="a fin that comes while the caller speaks again does not start the commit",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_020, said("one")),
            (1_020, END),
            (1_030, START),
            (1_050, maybe(" two")),
            (1_060, FIN),
            (1_500, STOP),
            (1_650, said(" two")),
            (1_650, FIN),
        ],
        [
            (1_000, "finalize"),
            (1_020, "turn 1 endpoint: one"),
            (1_600, "finalize"),
            (2_900, "turn 2 finalize: two"),
        ],
        id="a late fin of the turn before says nothing about this one",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_020, said("one")),
            (1_020, END),
            (1_040, said(" two")),
            (1_060, FIN),
            (3_100, FIN),
        ],
        [
            (1_000, "finalize"),
            (1_020, "turn 1 endpoint: one"),
            (2_940, "finalize"),
            (4_240, "turn 2 finalize: two"),
        ],
        id="not even when no sound was noticed since",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_020, START),
            (1_300, STOP),
            (1_310, said("one")),
            (1_310, FIN),
            (3_000, said(" two")),
            (3_000, FIN),
        ],
        [(1_000, "finalize"), (1_400, "finalize"), (3_000, "turn 1 finalize: one two")],
        id="sound that the finalize did not cover must be answered for too",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_050, Heard((Token("one"),), (Token(" two"),))),
            (1_050, FIN),
            (2_500, said(" two")),
            (2_500, FIN),
        ],
        [(1_000, "finalize"), (1_300, "finalize"), (2_500, "turn 1 finalize: one two")],
        id="words that the answer left tentative are asked for again",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_050, said("one")),
            (1_050, FIN),
            (1_500, START),
            (5_000, said(" two")),
            (5_000, FIN),
            (5_100, STOP),
            (5_250, FIN),
        ],
        [(1_000, "finalize"), (2_950, "finalize"), (5_200, "finalize"), (6_500, "turn 1 finalize: one two")],
        id="sound holds the commit back until it is answered for",
    ),
    pytest.param(
        [(0, START), (900, STOP), (950, said("one")), (960, FIN), (970, FIN)],
        [(1_000, "finalize")],
        id="a fin that nobody asked for says nothing",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_020, said("one")),
            (1_020, END),
            (1_030, START),
            (1_040, TurnRequested()),
            (1_050, said(" two")),
            (1_050, END),
            (1_060, TurnRequested()),
            (1_070, FIN),
            (1_080, FIN),
            (1_090, said(" three")),
            (1_100, FIN),
        ],
        [
            (1_000, "finalize"),
            (1_020, "turn 1 endpoint: one"),
            (1_040, "finalize"),
            (1_050, "turn 2 command: two"),
            (1_060, "finalize"),
            (1_100, "turn 3 command: three"),
        ],
        id="three finalizes, three fins, each in its own turn",
    ),
]

NO_LOCAL_SILENCE = [
    pytest.param(
        [(0, START), (500, maybe("hello")), (1_000, maybe("hello you")), (3_000, said("hello you")), (3_000, FIN)],
        [(2_900, "finalize"), (4_200, "turn 1 finalize: hello you")],
        id="steady noise and no endpoint: words that stand still are silence",
    ),
    pytest.param(
        [(500, maybe("hello")), (1_000, maybe("hello you")), (3_000, said("hello you")), (3_000, FIN)],
        [(2_900, "finalize"), (4_200, "turn 1 finalize: hello you")],
        id="a voice too soft for the local detector",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (950, said("one")),
            (950, END),
            (9_000, maybe(" two")),
            (9_800, maybe(" two three")),
            (10_400, said(" two three")),
            (10_410, END),
        ],
        [(950, "turn 1 endpoint: one"), (10_410, "turn 2 endpoint: two three")],
        id="a soft voice long after a loud one is not finalized at its first word",
    ),
    pytest.param(
        [
            (0, START),
            (900, STOP),
            (1_050, said("my number")),
            (1_050, FIN),
            (2_200, maybe(" is")),
            (3_500, said(" is five")),
            (3_510, END),
        ],
        [(1_000, "finalize"), (3_510, "turn 1 endpoint: my number is five")],
        id="soft words after the fin put the commit off",
    ),
    pytest.param(
        [(0, START), (900, STOP), (1_050, said("one")), (1_050, FIN), (1_200, said(" two")), (4_900, FIN)],
        [(1_000, "finalize"), (3_100, "finalize"), (4_900, "turn 1 finalize: one two")],
        id="settled words after the fin are asked for too",
    ),
    pytest.param(
        [(0, START), (500, maybe("uh")), (2_450, Heard()), (2_500, FIN), (2_900, STOP), (3_050, FIN)],
        [(2_400, "finalize"), (3_000, "finalize")],
        id="sound behind a finalize is answered for although the words were taken back",
    ),
    pytest.param([(0, START)], [], id="noise without words asks for nothing"),
]


@pytest.mark.parametrize(("script", "effects"), [*ENDPOINTS, *FINALIZES, *NO_LOCAL_SILENCE])
def test_turns_end(play, script, effects):
    assert play(script) == effects


@pytest.mark.parametrize("after_ms", [200, 300, 1_000, 10_000])
def test_finalize_waits_for_the_policys_silence(play, after_ms):
    policy = TurnPolicy(finalize_after_ms=after_ms)
    assert play([(0, START), (1_000, STOP)], policy) == [(800 + after_ms, "finalize")]


def test_a_turn_carries_its_tokens_times_and_translation():
    tokens = (
        Token(" Guten", 600, 780, 0.9, "1", "de"),
        Token(" Tag", 800, 960, 0.8, "1", "de"),
        Token(" Good", language="en", source_language="de", translation=True),
        Token(" day", language="en", source_language="de", translation=True),
    )
    state, effects = step(TurnState(), Heard(tokens[:3], (Token(" days", translation=True),)), 1.0)
    assert effects == ()
    state, effects = step(state, Heard(tokens[3:]), 1.1)
    state, effects = step(state, Endpoint(), 1.2)
    assert effects == (
        TurnCompleted(
            Turn(
                1, "Guten Tag", "endpoint", tokens, translation="Good day", settled_at=1.0, started_ms=600, ended_ms=960
            )
        ),
    )


def test_a_translation_alone_is_no_turn(play):
    translated = Heard(settled=(Token("Good day", translation=True),))
    assert play([(0, START), (400, translated), (500, END), (900, STOP), (1_050, FIN)]) == [(1_000, "finalize")]


def test_a_tentative_translation_does_not_hold_the_commit_back(play):
    both = Heard((Token("Guten Tag"),), (Token("Good day", translation=True),))
    script = [(0, START), (900, STOP), (1_050, both), (1_050, FIN)]
    assert play(script) == [(1_000, "finalize"), (2_300, "turn 1 finalize: Guten Tag")]


def test_a_late_tick_catches_up(play):
    script = [(0, START), (900, STOP), (1_050, said("hello")), (1_050, FIN)]
    log = play(script, until=1_060)
    assert log == [(1_000, "finalize")]
    state = TurnState(settled=(Token("hello"),), quiet_since=0.7, words_at=1.05, opened_at=1.05, finalized=True)
    _, effects = step(state, Tick(), 100.0)
    assert [type(effect) for effect in effects] == [TurnCompleted]
