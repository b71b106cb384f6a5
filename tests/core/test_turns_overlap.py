"""The caller over the bot: signs of listening and echoes are set aside, and what came to nothing lets the bot go on."""

import pytest

from voicebot.core.actions import BargeInPolicy, Listen
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

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
GONE = SttFailed(0, "gone", "no session could be opened")
SAYS = "Your appointment is on Monday at ten. Please bring your card."
BOT, QUIET = BotStarted(text=SAYS), BotStopped()
# A stop is followed by the news that the bot is silent.
BARGED = [(0, BOT), (1_000, START), (1_260, QUIET)]
BARGE_IN = (1_250, "barge-in by speech")


def said(text):
    return Heard(settled=(Token(text),))


def maybe(text):
    return Heard(tentative=(Token(text),))


NOTHING = [
    pytest.param(
        [*BARGED, (1_600, STOP), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize"), (2_200, "resume")],
        id="a cough: 800 ms of silence without words",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (2_500, FIN)],
        [BARGE_IN, (1_700, "finalize"), (2_500, "resume")],
        id="not before the recogniser has settled what it was",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_800, FIN), (1_900, START), (2_500, STOP), (2_700, FIN)],
        [BARGE_IN, (1_700, "finalize"), (2_600, "finalize"), (3_100, "resume")],
        id="not while there is sound again",
    ),
    pytest.param(
        [*BARGED, (1_500, maybe("th")), (1_600, STOP), (1_750, Heard()), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize"), (2_200, "resume")],
        id="a piece of a word that was none",
    ),
    pytest.param([*BARGED, (1_600, STOP), (1_650, GONE)], [BARGE_IN, (2_200, "resume")], id="nobody to ask"),
    pytest.param(
        [
            *BARGED,
            (1_600, STOP),
            (1_800, FIN),
            (2_300, BOT),
            (3_000, START),
            (3_260, QUIET),
            (3_300, STOP),
            (3_500, FIN),
        ],
        [
            BARGE_IN,
            (1_700, "finalize"),
            (2_200, "resume"),
            (3_250, "barge-in by speech"),
            (3_400, "finalize"),
            (4_050, "resume"),
        ],
        id="once for each time it was stopped",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_800, FIN), (2_000, BOT), (3_000, QUIET)],
        [BARGE_IN, (1_700, "finalize")],
        id="not when the bot speaks already",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_800, FIN), (2_000, HungUp()), (2_100, Finished())],
        [BARGE_IN, (1_700, "finalize")],
        id="not after a hang-up",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_650, Digit("1")), (1_800, FIN)],
        [BARGE_IN, (1_700, "finalize"), (4_650, "digits timeout: 1")],
        id="not when a key was pressed",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_800, FIN), (2_000, Listen(barge_in=BargeInPolicy(resume=False)))],
        [BARGE_IN, (1_700, "finalize")],
        id="not when it was switched off meanwhile",
    ),
    pytest.param(
        [(0, BOT), (1_000, Digit("1")), (1_000, QUIET)],
        [(1_000, "barge-in by digit"), (4_000, "digits timeout: 1")],
        id="not behind a key that stopped it",
    ),
    pytest.param(
        [(0, BOT), (1_000, maybe("stop")), (1_010, QUIET), (1_200, Heard())],
        [(1_000, "barge-in by words")],
        id="not behind a word that stopped it",
    ),
    pytest.param(
        [(0, BOT), (500, GONE), *BARGED[1:], (1_600, STOP)],
        [BARGE_IN, (2_200, "resume")],
        id="sound that nobody can recognise",
    ),
]

LISTENING = [
    pytest.param(
        [*BARGED, (1_400, maybe("m")), (1_500, maybe("Mhm")), (1_600, STOP), (1_650, said("Mhm.")), (1_660, END)],
        [BARGE_IN, (1_660, "backchannel: Mhm."), (1_660, "resume")],
        id="the bot goes on at once",
    ),
    pytest.param(
        [*BARGED, (1_600, STOP), (1_750, said("Okay, mhm.")), (1_750, FIN), (2_500, END)],
        [BARGE_IN, (1_700, "finalize"), (2_200, "backchannel: Okay, mhm."), (2_200, "resume")],
        id="the endpoint that never comes is not waited for",
    ),
    pytest.param(
        [(0, BOT), (1_000, START), (1_200, STOP), (1_250, maybe("mhm")), (1_310, said("mhm")), (1_320, END)],
        [(1_300, "finalize"), (1_320, "backchannel: mhm")],
        id="too short to stop the bot",
    ),
    pytest.param(
        [
            *BARGED,
            (1_500, maybe("okay")),
            (1_600, maybe("okay but")),
            (1_900, STOP),
            (1_950, said("okay but no")),
            (1_960, END),
        ],
        [BARGE_IN, (1_960, "turn 1 endpoint: okay but no")],
        id="and then something else",
    ),
    pytest.param(
        [*BARGED, (1_500, said("yes")), (1_600, STOP), (1_610, END)],
        [BARGE_IN, (1_610, "turn 1 endpoint: yes")],
        id="a plain yes is an answer",
    ),
    pytest.param(
        [(0, BOT), (1_000, START), (1_100, QUIET), (1_200, STOP), (1_250, said("okay")), (1_260, END)],
        [(1_260, "turn 1 endpoint: okay")],
        id="settled when the bot has ended by itself: an answer",
    ),
    pytest.param(
        [(0, START), (100, maybe("okay")), (300, BOT), (560, QUIET), (700, STOP), (710, said("okay")), (720, END)],
        [(550, "barge-in by speech"), (720, "turn 1 endpoint: okay")],
        id="begun before the bot: an answer",
    ),
    pytest.param(
        [*BARGED, (1_500, said("mhm")), (1_510, END), (1_600, STOP), (1_800, FIN)],
        [BARGE_IN, (1_510, "backchannel: mhm"), (1_700, "finalize"), (2_200, "resume")],
        id="not over the caller's sound",
    ),
    pytest.param(
        [
            *BARGED,
            (1_500, Heard((Token("mhm"),), (Token(" wait"),))),
            (1_510, END),
            (1_600, STOP),
            (1_700, said(" wait")),
            (1_710, END),
        ],
        [BARGE_IN, (1_510, "turn 1 endpoint: mhm"), (1_700, "finalize"), (1_710, "turn 2 endpoint: wait")],
        id="the words behind it show that the caller wants to speak: nothing is set aside",
    ),
    pytest.param(
        [(0, BOT), (500, START), (700, STOP), (800, said("mhm")), (810, END), (850, said("stop")), (860, FIN)],
        [(800, "finalize"), (810, "backchannel: mhm"), (850, "barge-in by words"), (2_750, "finalize")],
        id="the answer to its finalize says nothing about the next words",
    ),
    pytest.param(
        [
            (0, BOT),
            (500, START),
            (700, STOP),
            (800, said("mhm")),
            (810, END),
            (850, FIN),
            (900, QUIET),
            (2_000, START),
            (2_900, STOP),
            (3_050, said("Stop")),
            (3_050, FIN),
        ],
        [(800, "finalize"), (810, "backchannel: mhm"), (3_000, "finalize"), (4_300, "turn 1 finalize: Stop")],
        id="the next words are settled by their own",
    ),
    pytest.param(
        [
            (0, BotStarted(interruptible=False)),
            (500, START),
            (700, STOP),
            (750, TurnRequested()),
            (760, said("okay")),
            (770, FIN),
        ],
        [(750, "finalize"), (770, "turn 1 command: okay")],
        id="a command makes it a turn",
    ),
    pytest.param(
        [*BARGED, (1_500, said("mhm")), (1_600, STOP), (1_650, HungUp()), (1_700, Finished())],
        [BARGE_IN, (1_700, "turn 1 hangup: mhm")],
        id="nothing goes on after a hang-up",
    ),
]

ECHOES = [
    pytest.param(
        [
            (0, BOT),
            (1_000, maybe("appointment is")),
            (1_200, maybe("appointment is on Monday")),
            (1_500, END),
            (1_600, said("appointment is on Monday")),
            (1_610, END),
        ],
        [(1_610, "echo: appointment is on Monday")],
        id="the bot is not stopped by its own words",
    ),
    pytest.param(
        [*BARGED, (1_500, maybe("on Monday at ten")), (1_600, STOP), (1_650, said("on Monday at ten.")), (1_660, END)],
        [BARGE_IN, (1_660, "echo: on Monday at ten."), (1_660, "resume")],
        id="stopped by its sound, it goes on",
    ),
    pytest.param(
        [(0, BOT), (3_000, QUIET), (3_500, said("Please bring your card.")), (3_510, END)],
        [(3_510, "echo: Please bring your card.")],
        id="late, when the bot is silent",
    ),
    pytest.param(
        [(0, BOT), (3_000, QUIET), (4_500, said("Please bring your card.")), (4_510, END)],
        [(4_510, "turn 1 endpoint: Please bring your card.")],
        id="later it is the caller who says so",
    ),
    pytest.param(
        [
            (0, BOT),
            (1_000, BotStarted(text="Is that all right?")),
            (1_200, maybe("please bring your card")),
            (1_300, END),
            (1_400, said("please bring your card")),
            (1_410, END),
        ],
        [(1_410, "echo: please bring your card")],
        id="of what the bot said just before",
    ),
    pytest.param(
        [
            (0, BOT),
            (2_000, BotStarted(text="Please bring your card.")),
            (2_300, said("appointment is on Monday")),
            (2_310, END),
        ],
        [(2_310, "echo: appointment is on Monday")],
        id="of the utterance before the one that is heard now",
    ),
    pytest.param(
        [
            (0, BOT),
            (1_000, maybe("Monday")),
            (1_200, maybe("Monday please")),
            (1_300, said("Monday please")),
            (1_310, END),
        ],
        [(1_200, "barge-in by words"), (1_310, "turn 1 endpoint: Monday please")],
        id="a word of the bot's alone does not stop it yet, with another it does",
    ),
    pytest.param(
        [*BARGED, (1_500, maybe("Monday")), (1_600, STOP), (1_650, said("Monday")), (1_660, END)],
        [BARGE_IN, (1_660, "turn 1 endpoint: Monday")],
        id="a word of the bot's alone is a turn all the same",
    ),
]


@pytest.mark.parametrize(("script", "effects"), [*NOTHING, *LISTENING, *ECHOES])
def test_over_the_bot(play, script, effects):
    assert play(script, until=6_000) == effects
