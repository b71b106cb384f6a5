"""A stage for the turn machine: timed events in, timed effects out."""

from collections.abc import Callable, Iterable
from copy import replace

import pytest

from voicebot.core.actions import Listen
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    DigitsCompleted,
    NoInput,
    NotATurn,
    ResumeSpeech,
    Tick,
    Turn,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnRetracted,
)
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at

type Script = Iterable[tuple[int, TurnInput | Listen]]
type Log = list[tuple[int, str]]
type Play = Callable[..., Log]

EPOCH = 1_000.0
"""The machine's clock does not start at 0."""


def describe(effect: TurnEffect) -> str:  # noqa: PLR0911 - one arm per effect
    match effect:
        case AskFinalize():
            return "finalize"
        case TurnCompleted(turn, revision, confirms):
            version = " (confirmed)" if confirms else f" (version {revision})" if revision > 1 else ""
            return f"turn {turn.number} {turn.reason}: {content(turn)}{version}"
        case TurnProvisional(turn, revision):
            return f"turn {turn.number}.{revision} ahead: {content(turn)}"
        case TurnRetracted(number, revision, text):
            return f"turn {number}.{revision} taken back: {text}"
        case NotATurn(kind, text):
            return f"{kind}: {text}"
        case ResumeSpeech():
            return "resume"
        case DigitsCompleted(digits, reason):
            return f"digits {reason}: {digits}"
        case BargeIn(cause):
            return f"barge-in by {cause}"
        case NoInput(count):
            return f"no input {count}"


def content(turn: Turn) -> str:
    """The words, the keys behind a plus, and what was read from both behind an equals sign."""
    keys = f" + {turn.digits}" if turn.digits else ""
    return turn.text + keys + (f" = {turn.entry.value}" if turn.entry else "")


@pytest.fixture
def play() -> Play:
    """Play (ms, event) pairs to a machine that is woken when it asks for it; return (ms, effect) pairs."""

    def run(script: Script, policy: TurnPolicy | None = None, until: int = 30_000) -> Log:
        state = TurnState(policy=policy or TurnPolicy(), languages=("en",))
        log: Log = []

        def take(state: TurnState, event: TurnInput, now: float) -> TurnState:
            state, effects = step(state, event, now)
            log.extend((round((now - EPOCH) * 1_000), describe(effect)) for effect in effects)
            return state

        def sleep(state: TurnState, start: float, end: float) -> TurnState:
            while (wake := wake_at(state)) is not None and wake < end:
                state = take(state, Tick(), max(wake, start))
            return state

        now = EPOCH
        for ms, event in script:
            before, now = now, EPOCH + ms / 1_000
            state = sleep(state, before, now)
            if isinstance(event, Listen):
                state = replace(state, policy=state.policy.changed_by(event))
            else:
                state = take(state, event, now)
        sleep(state, now, EPOCH + until / 1_000)
        return log

    return run
