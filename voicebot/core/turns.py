"""The turn machine, which says when it is the bot's turn: `step(state, event, now)` gives the next state and the effects."""

from collections.abc import Callable, Iterator
from copy import replace
from typing import Literal

from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    Digit,
    DigitsCompleted,
    DigitsReason,
    Endpoint,
    Finalized,
    Finished,
    FloorGiven,
    Heard,
    HungUp,
    NoInput,
    NotATurn,
    ResumeSpeech,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Turn,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnReason,
    TurnRequested,
    TurnRetracted,
)
from voicebot.core.policy import TurnPolicy, awaits_more
from voicebot.core.turn_state import Bot, TurnState, any_text, bare, spoken

__all__ = ["TurnPolicy", "TurnState", "step", "wake_at"]

type Step = tuple[TurnState, tuple[TurnEffect, ...]]
type _Act = Callable[[TurnState, float], Step]


def step(state: TurnState, event: TurnInput, now: float) -> Step:
    """Take one event at `now` (seconds, never decreasing); any event in any state is legal."""
    state, effects = _take(state, event, now)
    state = _idle(state, now)
    while due := _due(state, now):
        state, more = due(state, now)
        state, effects = _idle(state, now), effects + more
    return state, effects


def _due(state: TurnState, now: float) -> _Act | None:
    """Return what is due first, in the order of `_deadlines`."""
    for at, act in _deadlines(state):
        if at <= now:
            return act
    return None


def wake_at(state: TurnState) -> float | None:
    """Return when the machine wants a Tick, or None."""
    return min([at for at, _ in _deadlines(state)], default=None)


def _take(state: TurnState, event: TurnInput, now: float) -> Step:  # noqa: C901, PLR0911, PLR0912 - one arm per event
    match event:
        case Heard():
            return _heard(state, event, now)
        case Tick():
            return state, ()
        case Endpoint():
            return _endpoint(state, now)
        case Finalized():
            return _finalized(state, now)
        case SpeechStarted():
            return _sounded(state, now), ()
        case SpeechStopped(silent_ms=silent_ms):
            return _stopped(state, now - silent_ms / 1000), ()
        case BotStarted(interruptible=interruptible, text=text):
            goes_on = state.bot is not None and state.bot.interruptible == interruptible
            bot = state.bot if goes_on else Bot(now, interruptible, state.words)
            return replace(state, bot=bot, said=state.saying(text, now), barged_at=None, floor=False), ()
        case BotStopped():
            return replace(state, bot=None, hushed_at=now if state.bot else state.hushed_at), ()
        case FloorGiven():
            return replace(state, floor=True), ()
        case Digit(digit=digit):
            return _digit(state, digit, now)
        case TurnRequested():
            return _cut(state, "command", now) if state.anything else (state, ())
        case HungUp():
            state = replace(state, hung_up=True, bot=None, barged_at=None, floor=False)
            return _flush(state, now) if state.deaf else (state, ())
        case Finished():
            return _flush(state, now)
        case SttFailed():
            return _flush(replace(state, deaf=True), now)


def _sounded(state: TurnState, now: float) -> TurnState:
    return replace(state, speaking_since=now, quiet_since=None, unfinalized=True, finalized=False, ended_at=None)


def _stopped(state: TurnState, quiet_since: float) -> TurnState:
    sound = state.speaking_since is not None  # it went on behind a `finalize` that was sent in its midst
    return replace(
        state,
        speaking_since=None,
        quiet_since=quiet_since,
        unfinalized=state.unfinalized or sound,
        finalized=state.finalized and not sound,
    )


# --- words ----------------------------------------------------------------------------------------


def _heard(state: TurnState, event: Heard, now: float) -> Step:
    settled = state.settled + event.settled
    settled_at = now if any_text(event.settled) else state.settled_at
    if spoken(event.settled + event.tentative) == spoken(state.tentative):
        return replace(state, settled=settled, settled_at=settled_at, tentative=event.tentative, deaf=False), ()
    open_ = any_text(event.tentative) or any_text(settled)
    opens = open_ and state.opened_at is None
    overlapping = state.overlaps(now) if opens else state.overlapping
    state = replace(
        state,
        settled=settled,
        settled_at=settled_at,
        tentative=event.tentative,
        words_at=now,
        opened_at=(now if opens else state.opened_at) if open_ else None,
        overlapping=overlapping,
        ended_at=None,
        quiet_since=state.quiet_since if state.sound_pending else None,  # else too soft for the local detector
        finalized=False,
        deaf=False,
    )
    state, retracted = _retract(state, spoken(state.settled + state.tentative)) if state.told else (state, ())
    state, stopped = _barge_in(state, "words", now) if state.speaks_over else (state, ())
    if state.barged_at is not None and state.speaks_up:
        state = replace(state, barged_at=None)
    return state, retracted + stopped


def _endpoint(state: TurnState, now: float) -> Step:
    """Without words it says nothing: words and keys that are still awaited go on being awaited."""
    if not any_text(state.settled):
        return state, ()
    if state.cut is None and not state.aside(spoken(state.settled).strip()):
        if awaits_more(state.entry()):
            return state, ()  # a pause between groups of digits, letters, parts of an address
        if state.policy.endpoint_after_ms and not state.hung_up:
            return replace(state, ended_at=now), ()
    return _complete(state, state.cut or "endpoint", now)


def _finalized(state: TurnState, now: float) -> Step:
    """One `<fin>`: it settles the utterance only if it was asked for in it (Soniox answers every request)."""
    if not state.asks:
        return state, ()
    asked_in, *asks = state.asks
    state = replace(state, asks=tuple(asks))
    if asked_in != state.utterance or asks:
        return state, ()
    if state.cut:
        return _complete(state, state.cut, now)
    return _offer(replace(state, finalized=not state.unfinalized))


# --- the end of an utterance ----------------------------------------------------------------------


def _complete(state: TurnState, reason: TurnReason, now: float) -> Step:
    """End the utterance; one without words is no turn, but keys that ended it are. Tentative words open the next one."""
    text = spoken(state.settled).strip()
    if not bare(text):  # nothing, or the full stop of a turn that was over
        return _entered(_closed(state, now), ())
    if kind := state.aside(text):
        return _entered(*_set_aside(state, kind, text, now))
    turn = state.turn(reason)
    confirms = state.told is not None and _same(turn, state.told)
    state, effects = (state, ()) if confirms else _retract(state, None)
    completed = TurnCompleted(turn, state.revision if confirms else state.revision + 1, confirms)
    state = replace(_told(_closed(state, now)), number=turn.number, revision=0, told=None, barged_at=None)
    if turn.digits:
        state = replace(state, keys=(), digit_at=None)
    return replace(state, digits_done=None), (*effects, completed)


def _same(turn: Turn, told: Turn) -> bool:
    """Say whether the application was told this already; punctuation changes nothing, another `expect` may."""
    return (bare(turn.text), turn.digits, turn.entry) == (bare(told.text), told.digits, told.entry)


def _closed(state: TurnState, now: float) -> TurnState:
    """The utterance is over; tentative words open the next one."""
    opened_at = now if any_text(state.tentative) else None
    begun = len(spoken(state.tentative).split())
    gone = state.words - begun
    return replace(
        state,
        utterance=state.utterance + any_text(state.settled),
        settled=(),
        words_at=opened_at,
        settled_at=None,
        opened_at=opened_at,
        overlapping=opened_at is not None and state.overlaps(now),
        unfinalized=state.speaking_since is not None,
        finalized=False,
        ended_at=None,
        cut=None,
        keys=tuple((max(0, words - gone), key) for words, key in state.keys),
        bot=state.bot and replace(state.bot, words=begun),
    )


def _entered(state: TurnState, effects: tuple[TurnEffect, ...]) -> Step:
    """Keys were complete, and there are no words to go with them."""
    if state.digits_done is None:
        return state, effects
    completed = DigitsCompleted(state.digits, state.digits_done)
    return replace(_told(state), keys=(), digits_done=None, barged_at=None), (*effects, completed)


def _set_aside(state: TurnState, kind: Literal["backchannel", "echo"], text: str, now: float) -> Step:
    """Words that ask for no answer are told all the same; a bot that they have stopped goes on."""
    state, retracted = _retract(state, None)
    effects: tuple[TurnEffect, ...] = (*retracted, NotATurn(kind, text, state.settled))
    state = _closed(state, now)
    if state.bot:
        state = replace(state, bot=replace(state.bot, since=now))  # their sound is no reason to stop it either
    if state.barged_at is None or not state.may_resume:
        return state, effects
    return replace(state, barged_at=None), (*effects, ResumeSpeech())


def _told(state: TurnState) -> TurnState:
    """The application has something to answer."""
    return replace(state, floor=False, no_inputs=0)


def _flush(state: TurnState, now: float) -> Step:
    """Nothing more will be recognised: what was tentative is the best there is."""
    done = state.digits_done or ("hangup" if state.hung_up and state.keys else None)
    state = replace(state, settled=state.settled + state.tentative, tentative=(), asks=(), digits_done=done)
    return _complete(state, state.cut or "finalize", now)


# --- a head start ---------------------------------------------------------------------------------


def _offer(state: TurnState) -> Step:
    """Tell the turn before its end is sure, if the policy says so and its words stand."""
    text = spoken(state.settled).strip()
    if not (state.policy.provisional and state.finalized and bare(text)) or any_text(state.tentative):
        return state, ()
    if state.hung_up or state.told or state.digits_done or (state.keys and not state.joins):
        return state, ()
    if awaits_more(state.entry()) or state.aside(text):
        return state, ()
    turn, revision = state.turn("finalize"), state.revision + 1
    return replace(state, told=turn, revision=revision), (TurnProvisional(turn, revision),)


def _retract(state: TurnState, text: str | None) -> Step:
    """Take back what was told if it is not `text`; punctuation alone changes nothing."""
    if state.told is None or (text is not None and bare(text) == bare(state.told.text)):
        return state, ()
    return replace(state, told=None), (TurnRetracted(state.told.number, state.revision, bare(state.told.text)),)


# --- keys -----------------------------------------------------------------------------------------


def _digit(state: TurnState, digit: str, now: float) -> Step:
    expect = state.policy.expect
    state, effects = _retract(state, None)
    if state.digits_done:
        # The next entry begins: the one before waits for its words no longer.
        state, more = _complete(state, state.cut or "digits", now)
        effects += more
    if state.bot:
        state, more = _barge_in(state, "digit", now)
        effects += more
    state = replace(state, barged_at=None)  # whatever the sound was, a key is meant
    why: DigitsReason | None = None
    if expect.finish_key and digit == expect.finish_key:
        why = "finish_key"
    else:
        state = replace(state, keys=(*state.keys, (state.words, digit)), digit_at=now)
        why = "count" if _enough(state) else None
    if why is None:
        return state, effects
    state, more = _digits_done(state, why, now)
    return state, effects + more


def _enough(state: TurnState) -> bool:
    expect = state.policy.expect
    if expect.digits is None:
        return False
    entry = state.entry(tentative=True) if state.joins else None
    return len(state.keys) >= expect.digits or (entry is not None and entry.complete)


def _digits_done(state: TurnState, why: DigitsReason, now: float) -> Step:
    """Keys are complete; words that are still being recognised go into the same turn."""
    state = replace(state, digits_done=why, digit_at=None)
    if state.anything:
        return _cut(state, "digits", now)
    return _complete(state, "digits", now)


# --- timers and barge-in --------------------------------------------------------------------------


def _deadlines(state: TurnState) -> Iterator[tuple[float, _Act]]:
    """Yield every pending deadline with what happens then."""
    if state.hung_up:
        return
    policy, quiet = state.policy, state.silent_since
    if state.bot and state.speaking_since is not None and state.may_interrupt and not state.only_aside:
        since = max(state.bot.since, state.speaking_since)
        yield since + policy.barge_in.min_ms / 1000, lambda state, now: _barge_in(state, "speech", now)
    if quiet is not None and not (state.asks or state.deaf) and (state.unfinalized or state.unsettled):
        yield max(quiet, state.asked_at) + policy.finalize_after_ms / 1000, _ask_finalize
    if quiet is not None and state.finalized and any_text(state.settled) and not any_text(state.tentative):
        yield state.commit_at(quiet), lambda state, now: _complete(state, "finalize", now)
    if state.ended_at is not None:
        yield state.endpoint_at(state.ended_at), lambda state, now: _complete(state, "endpoint", now)
    if quiet is not None and state.barged_at is not None and state.came_to_nothing:
        yield max(quiet, state.barged_at) + policy.barge_in.resume_after_ms / 1000, _resume
    if state.opened_at is not None and state.cut is None:
        yield state.opened_at + policy.max_turn_ms / 1000, lambda state, now: _cut(state, "max_turn", now)
    if state.digit_at is not None:
        yield state.keys_end_at(state.digit_at), lambda state, now: _digits_done(state, "timeout", now)
    if state.idle_since is not None and policy.no_input_ms > 0:
        yield state.idle_since + policy.no_input_ms / 1000, _no_input


def _ask_finalize(state: TurnState, now: float) -> Step:
    asked = replace(state, asks=(*state.asks, state.utterance), asked_at=now, unfinalized=False)
    return asked, (AskFinalize(),)


def _cut(state: TurnState, reason: TurnReason, now: float) -> Step:
    """End the turn with the next answer to `finalize`; at once if there is nobody to ask."""
    if state.deaf:
        return _flush(replace(state, cut=reason), now)
    if state.cut or state.hung_up:
        return state, ()
    return _ask_finalize(replace(state, cut=reason), now)


def _barge_in(state: TurnState, cause: Literal["speech", "words", "digit"], now: float) -> Step:
    if not state.may_interrupt:
        return state, ()
    doubtful = cause == "speech" and state.policy.barge_in.resume and not state.speaks_up
    return replace(state, bot=None, hushed_at=now, barged_at=now if doubtful else None), (BargeIn(cause),)


def _resume(state: TurnState, now: float) -> Step:
    text = spoken(state.settled).strip()
    if text and (kind := state.aside(text)):
        return _set_aside(state, kind, text, now)
    return replace(state, barged_at=None), (ResumeSpeech(),)


def _no_input(state: TurnState, _now: float) -> Step:
    count = state.no_inputs + 1
    return replace(state, floor=False, idle_since=None, no_inputs=count), (NoInput(count),)


def _idle(state: TurnState, now: float) -> TurnState:
    """Start the no-input clock when both sides are silent and nothing is pending; stop it otherwise."""
    waiting = (
        state.floor
        and state.policy.no_input_ms > 0
        and state.bot is None
        and (state.barged_at is None or not state.policy.barge_in.resume)
        and state.speaking_since is None
        and state.opened_at is None
        and not (state.keys or state.digits_done)
    )
    if waiting == (state.idle_since is not None):
        return state
    return replace(state, idle_since=now if waiting else None)
