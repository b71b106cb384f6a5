"""The caller over the bot, as the policy and the language say; nobody is left waiting for ever."""

import pytest

from voicebot.core.actions import BargeInPolicy, Expect
from voicebot.core.events import (
    BotStarted,
    BotStopped,
    Endpoint,
    Finalized,
    FloorGiven,
    Heard,
    SpeechStarted,
    SpeechStopped,
    Token,
)
from voicebot.core.turns import TurnPolicy, TurnState, step

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
SAYS = "Your appointment is on Monday at ten. Please bring your card."
BOT, QUIET, FLOOR = BotStarted(text=SAYS), BotStopped(), FloorGiven()
# A stop is followed by the news that the bot is silent.
BARGED = [(0, BOT), (1_000, START), (1_260, QUIET)]
BARGE_IN = (1_250, "barge-in by speech")


def said(text):
    return Heard(settled=(Token(text),))


def maybe(text):
    return Heard(tentative=(Token(text),))


SWITCHED = [
    pytest.param(
        {"resume": False},
        None,
        [*BARGED, (1_600, STOP), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize")],
        id="resume off: the bot stays silent",
    ),
    pytest.param(
        {"resume": False},
        None,
        [*BARGED, (1_600, STOP), (1_650, said("mhm")), (1_660, END)],
        [BARGE_IN, (1_660, "turn 1 endpoint: mhm")],
        id="resume off: what has stopped the bot is answered",
    ),
    pytest.param(
        {"resume_after_ms": 2_000},
        None,
        [*BARGED, (1_600, STOP), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize"), (3_400, "resume")],
        id="resume later",
    ),
    pytest.param(
        {"backchannels": ()},
        None,
        [*BARGED, (1_600, STOP), (1_650, said("mhm")), (1_660, END)],
        [BARGE_IN, (1_660, "turn 1 endpoint: mhm")],
        id="no backchannels",
    ),
    pytest.param(
        {"backchannels": ("hear hear",)},
        None,
        [*BARGED, (1_600, STOP), (1_650, said("Hear, hear!")), (1_660, END)],
        [BARGE_IN, (1_660, "backchannel: Hear, hear!"), (1_660, "resume")],
        id="other backchannels",
    ),
    pytest.param(
        {},
        "yes_no",
        [*BARGED, (1_600, STOP), (1_650, said("okay")), (1_660, END)],
        [BARGE_IN, (1_660, "turn 1 endpoint: okay = yes")],
        id="a yes or no is expected: okay is one",
    ),
    pytest.param(
        {"min_ms": 600},
        None,
        [
            (0, BOT),
            (1_000, START),
            (1_400, maybe("mhm")),
            (1_700, said("mhm")),
            (1_710, END),
            (1_900, STOP),
            (2_100, FIN),
        ],
        [(1_710, "backchannel: mhm"), (2_000, "finalize")],
        id="sound that is known for a sign of listening does not stop the bot",
    ),
    pytest.param(
        {"min_ms": 600},
        None,
        [(0, BOT), (1_000, START), (1_400, maybe("mhm")), (1_700, maybe("mhm stop")), (1_800, QUIET)],
        [(1_700, "barge-in by words"), (3_600, "finalize")],
        id="until something else follows",
    ),
    pytest.param(
        {"min_words": 3},
        None,
        [
            (0, BOT),
            (1_000, START),
            (1_100, maybe("no wait")),
            (1_260, QUIET),
            (1_400, Heard()),
            (1_600, STOP),
            (1_800, FIN),
        ],
        [BARGE_IN, (1_700, "finalize")],
        id="words were there already, and it is no cough",
    ),
]


@pytest.mark.parametrize(("barge_in", "kind", "script", "effects"), SWITCHED)
def test_as_the_policy_says(play, barge_in, kind, script, effects):
    policy = TurnPolicy(barge_in=BargeInPolicy(**barge_in), expect=Expect(kind=kind or "free"))
    assert play(script, policy, until=6_000) == effects


@pytest.mark.parametrize(
    ("languages", "tag", "text", "aside"),
    [
        pytest.param(("de",), None, "alles klar", True, id="the language that is expected"),
        pytest.param(("en",), None, "alles klar", False, id="another"),
        pytest.param(("en",), "de", "alles klar", True, id="the recogniser knows better"),
        pytest.param(("en", "de"), None, "okay genau", True, id="either"),
        pytest.param((), None, "got it", True, id="none: English"),
    ],
)
def test_each_language_has_its_signs(languages, tag, text, aside):
    state = TurnState(languages=languages)
    told = []
    for event in (BOT, Heard((Token(text, language=tag),)), END):
        state, effects = step(state, event, 1.0)
        told += [type(effect).__name__ for effect in effects]
    assert told == (["NotATurn"] if aside else ["BargeIn", "TurnCompleted"])


NO_INPUT = [
    pytest.param(
        [*BARGED, (1_260, FLOOR), (1_600, STOP), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize"), (2_200, "resume"), (10_200, "no input 1")],
        id="a bot that does not go on leaves the floor to the caller",
    ),
    pytest.param(
        [*BARGED, (1_260, FLOOR), (1_600, STOP), (1_800, FIN), (2_210, BOT), (4_000, QUIET), (4_000, FLOOR)],
        [BARGE_IN, (1_700, "finalize"), (2_200, "resume"), (12_000, "no input 1")],
        id="one that does is heard first",
    ),
    pytest.param(
        [*BARGED, (1_260, FLOOR), (1_400, maybe("no wait")), (1_600, Heard()), (1_700, STOP), (1_900, FIN)],
        [BARGE_IN, (1_800, "finalize"), (9_700, "no input 1")],
        id="words that were taken back: nothing is said any more, and the caller is waited for",
    ),
]


@pytest.mark.parametrize(("script", "effects"), NO_INPUT)
def test_nobody_is_left_waiting_for_ever(play, script, effects):
    assert play(script, until=15_000) == effects
