"""Keys: collected by count, finish key or pause, alone or together with speech."""

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
)
from voicebot.core.turns import TurnPolicy

START, STOP, END, FIN = SpeechStarted(), SpeechStopped(200), Endpoint(), Finalized()
GONE = SttFailed(0, "gone", "no session could be opened")


def said(text):
    return Heard(settled=(Token(text),))


def keys(digits, at=0, every=100):
    return [(at + every * index, Digit(digit)) for index, digit in enumerate(digits)]


CASES = [
    pytest.param(Expect(digits=4), keys("1234"), [(300, "digits count: 1234")], id="by count"),
    pytest.param(Expect(digits=1), keys("12"), [(0, "digits count: 1"), (100, "digits count: 2")], id="one at a time"),
    pytest.param(Expect(digits=4), keys("12#"), [(200, "digits finish_key: 12")], id="by the finish key"),
    pytest.param(Expect(finish_key="*"), keys("1#*"), [(200, "digits finish_key: 1#")], id="by another finish key"),
    pytest.param(Expect(finish_key=""), keys("1#"), [(3_100, "digits timeout: 1#")], id="no finish key"),
    pytest.param(Expect(), keys("#"), [(0, "digits finish_key: ")], id="the finish key alone"),
    pytest.param(Expect(digits=4), keys("12"), [(3_100, "digits timeout: 12")], id="by a pause"),
    pytest.param(
        Expect(between_digits_ms=500), keys("12", every=400), [(900, "digits timeout: 12")], id="by a shorter pause"
    ),
    pytest.param(
        Expect(between_digits_ms=300),
        keys("12", every=400),
        [(300, "digits timeout: 1"), (700, "digits timeout: 2")],
        id="the pause counts from the last key",
    ),
    pytest.param(
        Expect(between_digits_ms=0),
        keys("1A"),
        [(0, "digits timeout: 1"), (100, "digits timeout: A")],
        id="each key by itself",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), *keys("12", 100), (250, said("one two")), (260, FIN)],
        [(200, "finalize"), (260, "turn 1 digits: one two + 12")],
        id="words under way go into the same turn",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), (100, said("my")), *keys("12", 200), (350, said(" pin")), (360, END), (400, FIN)],
        [(300, "finalize"), (360, "turn 1 digits: my pin + 12")],
        id="an endpoint with words ends the wait",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), *keys("12", 100), (250, END), (260, FIN)],
        [(200, "finalize"), (260, "digits count: 12")],
        id="sound without words: the keys alone, after the answer",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), (100, said("one")), (110, END), *keys("12", 150), (270, said(" two")), (280, FIN)],
        [(110, "turn 1 endpoint: one"), (250, "finalize"), (280, "turn 2 digits: two + 12")],
        id="the turn before has nothing to do with it",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, Digit("1")), (10, START), (100, said("one")), (110, END), (150, STOP), (200, Digit("2")), (250, FIN)],
        [(110, "turn 1 endpoint: one"), (200, "finalize"), (250, "digits count: 12")],
        id="an endpoint between two keys leaves the keys alone",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), (100, said("one")), *keys("123", 200), (410, STOP), (450, said(" two")), (460, FIN), (470, END)],
        [
            (300, "finalize"),
            (400, "turn 1 digits: one + 12"),
            (470, "turn 2 endpoint: two"),
            (3_400, "digits timeout: 3"),
        ],
        id="the next key ends the wait for words",
    ),
    pytest.param(
        Expect(digits=4),
        [*keys("12"), (200, HungUp()), (300, Finished())],
        [(300, "digits hangup: 12")],
        id="a hang-up passes on what there is",
    ),
    pytest.param(
        Expect(digits=4),
        [(0, START), (50, said("wait")), *keys("12", 100), (300, HungUp()), (400, Finished())],
        [(400, "turn 1 hangup: wait + 12")],
        id="a hang-up with words and keys",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), *keys("12", 100), (250, HungUp()), (300, said("one two")), (310, Finished())],
        [(200, "finalize"), (310, "turn 1 hangup: one two + 12")],
        id="a hang-up while the words are awaited",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, GONE), (10, START), *keys("12", 100), (500, STOP)],
        [(200, "digits count: 12")],
        id="without a recogniser no words are awaited",
    ),
    pytest.param(
        Expect(digits=4),
        [(0, GONE), *keys("12", 100), (250, HungUp())],
        [(250, "digits hangup: 12")],
        id="a hang-up without a recogniser",
    ),
    pytest.param(
        Expect(digits=2),
        [(0, START), *keys("12", 100), (250, GONE)],
        [(200, "finalize"), (250, "digits count: 12")],
        id="the recogniser goes while the words are awaited",
    ),
    pytest.param(
        Expect(digits=4),
        [*keys("12"), (150, Listen(expect=Expect(digits=3))), (200, Digit("3"))],
        [(200, "digits count: 123")],
        id="a listen changes what the keys are judged by",
    ),
]


@pytest.mark.parametrize(("expect", "script", "effects"), CASES)
def test_keys(play, expect, script, effects):
    assert play(script, TurnPolicy(expect=expect)) == effects


def test_a_key_interrupts_the_bot_and_is_collected(play):
    script = [(0, BotStarted()), *keys("12", 500)]
    log = play(script, TurnPolicy(expect=Expect(digits=2)))
    assert log == [(500, "barge-in by digit"), (600, "digits count: 12")]


def test_a_key_is_collected_under_speech_that_may_not_be_interrupted(play):
    script = [(0, BotStarted(interruptible=False)), *keys("12", 500)]
    assert play(script, TurnPolicy(expect=Expect(digits=2))) == [(600, "digits count: 12")]
