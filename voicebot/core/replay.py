"""Runs a recorded call again under another turn policy: the same caller, the same bot, other decisions."""

from collections.abc import Callable, Iterable, Iterator
from copy import replace
from dataclasses import dataclass

from voicebot.core.audio import BYTES_PER_MS, SpeechDetector, duration_ms
from voicebot.core.events import (
    AskFinalize,
    BotStarted,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Track,
    TurnEffect,
    TurnInput,
)
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import Audio, Effect, Input, Leg, PolicyChanged, Recording
from voicebot.core.replay_recogniser import Answer, Moment, Recogniser
from voicebot.core.turns import TurnState, step, wake_at

FRAME_MS = 20
"""The speech detector is fed as the carrier feeds it (Twilio Media Streams, media message)."""
AFTERMATH = 1_000
"""Steps after the end of a recording that was cut, before the machine must have come to rest."""

type Change = Callable[[TurnPolicy], TurnPolicy]
type _Happening = Input | PolicyChanged | Moment


@dataclass(frozen=True, slots=True)
class Decision:
    """One effect, and when it came on the recording's clock."""

    t_ms: float
    effect: TurnEffect


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of sound by local speech activity, on the recording's clock."""

    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was decided on one track of a call, and what is needed to judge it."""

    decisions: tuple[Decision, ...]
    speech: tuple[Speech, ...]
    bot_began: tuple[float, ...]
    """When the bot began to be heard, on the recording's clock."""
    zero_ms: float
    """Where the audio clock of the first stream lies on the recording's clock."""


def unchanged(policy: TurnPolicy) -> TurnPolicy:
    """Return the policy as it is."""
    return policy


def replay(
    recording: Recording,
    track: Track = "caller",
    *,
    change: Change = unchanged,
    endpoints: bool = True,
    detect: bool = False,
) -> Replayed:
    """Return what would have been decided with `change` laid over every policy of the call.

    Without `endpoints` the recogniser says no `<end>`. Speech activity is the recorded one; where there is none, or
    with `detect`, it is found anew in the recorded sound.
    """
    happenings, recogniser = _happenings(recording, track, endpoints=endpoints, detect=detect)
    head = recording.head
    play = _Play(recogniser, change, TurnState(policy=change(head.policy), languages=head.languages))
    for happening in happenings:
        play.until(happening.t_ms)
        match happening:
            case PolicyChanged(policy=policy):
                play.adopt(policy)
            case Input(t_ms=t_ms, event=event):
                play.step(event, t_ms)
            case Moment(t_ms=t_ms):
                for said in recogniser.at(happening):
                    play.step(said, t_ms)
    play.rest()
    return _replayed(recording, track, happenings, play.decisions)


def recorded(recording: Recording, track: Track = "caller") -> Replayed:
    """Return what was decided in the call itself."""
    happenings, _ = _happenings(recording, track, endpoints=True, detect=False)
    effects = [Decision(each.t_ms, each.effect) for each in recording.of(track) if isinstance(each, Effect)]
    return _replayed(recording, track, happenings, effects)


_Activity = SpeechStarted | SpeechStopped


class _Play:
    """The turn machine on the recording's clock, with the recogniser's answers under way to it."""

    def __init__(self, recogniser: Recogniser, change: Change, state: TurnState) -> None:
        self._recogniser, self._change, self._state = recogniser, change, state
        self._answers: list[Answer] = []
        self._now_ms = 0.0
        self.decisions: list[Decision] = []

    def adopt(self, policy: TurnPolicy) -> None:
        """Go on under another policy of the call."""
        self._state = replace(self._state, policy=self._change(policy))

    def step(self, event: TurnInput, t_ms: float) -> None:
        """Take one event, never earlier than the one before."""
        self._now_ms = max(self._now_ms, t_ms)
        self._state, effects = step(self._state, event, self._now_ms / 1_000)
        for effect in effects:
            self.decisions.append(Decision(self._now_ms, effect))
            if isinstance(effect, AskFinalize):
                self._answers.append(self._recogniser.ask(self._now_ms))

    def until(self, t_ms: float) -> None:
        """Let everything come that is due before `t_ms`."""
        while self._advance(t_ms):
            pass

    def rest(self) -> None:
        """Let everything come that is still under way, until the machine sleeps."""
        for _ in range(AFTERMATH):
            if not self._advance(float("inf")):
                return

    def _advance(self, t_ms: float) -> bool:
        """Take the next answer or deadline before `t_ms`; False when there is none."""
        wake = wake_at(self._state)
        answer = self._answers[0] if self._answers else None
        if answer and answer.t_ms < t_ms and (wake is None or answer.t_ms <= wake * 1_000):
            self._answers.pop(0)
            for said in self._recogniser.answered(answer):
                self.step(said, answer.t_ms)
            return True
        if wake is None or wake * 1_000 >= t_ms:
            return False
        # A hair later, for a time that was turned into milliseconds and back.
        self.step(Tick(), wake * 1_000 + 1e-6)
        return True


# --- what happens ---------------------------------------------------------------------------------


def _happenings(
    recording: Recording, track: Track, *, endpoints: bool, detect: bool
) -> tuple[list[_Happening], Recogniser]:
    lines = list(recording.of(track))
    recogniser = Recogniser((line for line in lines if isinstance(line, Leg | Input | Effect)), endpoints=endpoints)
    moments = iter(recogniser.moments)
    detect = detect or not any(isinstance(line, Input) and isinstance(line.event, _Activity) for line in lines)
    happenings: list[_Happening] = []
    for line in lines:
        match line:
            case Input(event=Heard() | Endpoint() | Finalized() | Finished() | SttFailed()):
                happenings.append(next(moments))
            case Input(event=Tick()):
                pass  # the machine's own, made anew
            case Input(event=SpeechStarted() | SpeechStopped()) if detect:
                pass
            case Input() | PolicyChanged():
                happenings.append(line)
            case _:
                pass
    if detect:
        happenings.extend(_detected(lines, track))
        happenings.sort(key=lambda each: each.t_ms)
    return happenings, recogniser


def _detected(lines: Iterable[object], track: Track) -> Iterator[Input]:
    """Yield speech activity as the detector finds it in the recorded sound."""
    detector, zero_ms = SpeechDetector(), 0.0
    size = FRAME_MS * BYTES_PER_MS
    for line in lines:
        match line:
            case Leg(zero_ms=zero):
                detector, zero_ms = SpeechDetector(), zero
            case Audio(at_ms=at_ms, payload=payload):
                for begin in range(0, len(payload), size):
                    frame = payload[begin : begin + size]
                    if change := detector.feed(frame):
                        heard_ms = begin // BYTES_PER_MS + duration_ms(frame)
                        yield Input(zero_ms + at_ms + heard_ms, track, change)
            case _:
                pass


def _replayed(
    recording: Recording, track: Track, happenings: Iterable[_Happening], decisions: Iterable[Decision]
) -> Replayed:
    inputs = [each for each in happenings if isinstance(each, Input)]
    legs = [line for line in recording.of(track) if isinstance(line, Leg)]
    return Replayed(
        decisions=tuple(decisions),
        speech=tuple(_stretches(inputs)),
        bot_began=tuple(each.t_ms for each in inputs if isinstance(each.event, BotStarted)),
        zero_ms=legs[0].zero_ms if legs else 0.0,
    )


def _stretches(inputs: Iterable[Input]) -> Iterator[Speech]:
    began: float | None = None
    for each in inputs:
        match each.event:
            case SpeechStarted():
                began = each.t_ms if began is None else began
            case SpeechStopped(silent_ms=silent_ms) if began is not None:
                yield Speech(began, max(began, each.t_ms - silent_ms))
                began = None
            case _:
                pass
    if began is not None:
        yield Speech(began, float("inf"))
