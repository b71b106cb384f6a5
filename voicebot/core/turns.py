"""The turn machine, which says when it is the bot's turn: `step(state, event, now)` gives the next state and the effects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from annotated_types import Ge, Le

from voicebot.core.actions import BargeInPolicy, Expect, Listen, Milliseconds
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
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Token,
    Turn,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnReason,
    TurnRequested,
)

type Step = tuple[TurnState, tuple[TurnEffect, ...]]
type _Act = Callable[[TurnState, float], Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPolicy:
    """The knobs of the machine; times in milliseconds of the caller's silence unless said otherwise."""

    finalize_after_ms: Annotated[int, Ge(200), Le(10_000)] = 300
    """Silence after which `finalize` is sent; Soniox advises 200 ms at least (manual finalization)."""
    commit_after_ms: Annotated[int, Ge(200), Le(30_000)] = 1_600
    """Silence after which finalized words are a turn although no endpoint came."""
    max_turn_ms: Annotated[int, Ge(1_000), Le(600_000)] = 60_000
    """From the first word to cutting the turn."""
    no_input_ms: Milliseconds = 8_000
    """Silence after the bot's last heard word before `no_input`; 0 is never."""
    barge_in: BargeInPolicy = BargeInPolicy()
    expect: Expect = Expect()

    def changed_by(self, listen: Listen) -> Self:
        """Return this policy with what `listen` names laid over it."""
        named = {
            name: value
            for name in ("finalize_after_ms", "commit_after_ms", "max_turn_ms", "no_input_ms", "barge_in", "expect")
            if (value := getattr(listen, name)) is not None
        }
        return replace(self, **named)


@dataclass(frozen=True, slots=True)
class _Bot:
    """The bot is being heard."""

    since: float
    interruptible: bool
    words: int
    """Words of this utterance that were there before the bot began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnState:
    """Everything the machine remembers; times are seconds on the caller's clock of `step`."""

    policy: TurnPolicy = TurnPolicy()
    number: int = 0
    """Turns completed."""
    settled: tuple[Token, ...] = ()
    tentative: tuple[Token, ...] = ()
    words_at: float | None = None
    """When the words of this utterance last changed."""
    opened_at: float | None = None
    """When the first word of this utterance came; None as long as, or as soon as, it has none."""
    speaking_since: float | None = None
    quiet_since: float | None = None
    """Since when the caller is silent by local speech activity; None while there is sound, before any, and when words
    came that it has missed."""
    unfinalized: bool = False
    """There was sound that no `finalize` has covered yet."""
    finalized: bool = False
    """The settled words are all there is: `finalize` was answered and no sound came since."""
    asks: tuple[int, ...] = ()
    """For each `finalize` without its answer, the number of turns completed when it was sent."""
    asked_at: float = float("-inf")
    cut: TurnReason | None = None
    """The turn ends with the answer to the last `finalize`, for this reason."""
    digits: str = ""
    digit_at: float | None = None
    digits_done: DigitsReason | None = None
    bot: _Bot | None = None
    floor: bool = False
    """The caller is waited for."""
    idle_since: float | None = None
    no_inputs: int = 0
    hung_up: bool = False
    deaf: bool = False
    """The recogniser is gone, or was until words came: nobody answers `finalize`."""


def step(state: TurnState, event: TurnInput, now: float) -> Step:
    """Take one event at `now` (seconds, never decreasing); any event in any state is legal."""
    state, effects = _take(state, event, now)
    state = _idle(state, now)
    while due := next((act for at, act in _deadlines(state) if at <= now), None):
        state, more = due(state, now)
        state, effects = _idle(state, now), effects + more
    return state, effects


def wake_at(state: TurnState) -> float | None:
    """Return when the machine wants a Tick, or None."""
    return min((at for at, _ in _deadlines(state)), default=None)


def _take(state: TurnState, event: TurnInput, now: float) -> Step:  # noqa: C901, PLR0911, PLR0912 - one arm per event
    match event:
        case Heard():
            return _heard(state, event, now)
        case Endpoint():
            # Without words it says nothing: words and keys that are still awaited go on being awaited.
            return _complete(state, state.cut or "endpoint", now) if _any_text(state.settled) else (state, ())
        case Finalized():
            return _finalized(state, now)
        case SpeechStarted():
            return replace(state, speaking_since=now, quiet_since=None, unfinalized=True, finalized=False), ()
        case SpeechStopped(silent_ms=silent_ms):
            return _stopped(state, now - silent_ms / 1000), ()
        case BotStarted(interruptible=interruptible):
            return replace(state, bot=_Bot(now, interruptible, _words(state)), floor=False), ()
        case BotStopped():
            return replace(state, bot=None), ()
        case FloorGiven():
            return replace(state, floor=True), ()
        case Digit(digit=digit):
            return _digit(state, digit, now)
        case TurnRequested():
            return _cut(state, "command", now) if _anything(state) else (state, ())
        case HungUp():
            state = replace(state, hung_up=True, bot=None, floor=False)
            return _flush(state, now) if state.deaf else (state, ())
        case Finished():
            return _flush(state, now)
        case SttFailed():
            return _flush(replace(state, deaf=True), now)
        case Tick():
            return state, ()


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
    if _spoken(event.settled + event.tentative) == _spoken(state.tentative):
        return replace(state, settled=settled, tentative=event.tentative, deaf=False), ()
    open_ = _any_text(event.tentative) or _any_text(settled)
    state = replace(
        state,
        settled=settled,
        tentative=event.tentative,
        words_at=now,
        opened_at=(now if state.opened_at is None else state.opened_at) if open_ else None,
        quiet_since=state.quiet_since if _sound_pending(state) else None,  # else too soft for the local detector
        finalized=False,
        deaf=False,
    )
    if state.bot and _words(state) - state.bot.words >= state.policy.barge_in.min_words:
        return _barge_in(state, "words")
    return state, ()


def _finalized(state: TurnState, now: float) -> Step:
    """One `<fin>`: it settles the utterance only if it was asked for in it (Soniox answers every request)."""
    if not state.asks:
        return state, ()
    asked_in, *asks = state.asks
    state = replace(state, asks=tuple(asks))
    if asked_in != state.number or asks:
        return state, ()
    if state.cut:
        return _complete(state, state.cut, now)
    return replace(state, finalized=not state.unfinalized), ()


def _complete(state: TurnState, reason: TurnReason, now: float) -> Step:
    """End the utterance; one without words is no turn, but keys that ended it are. Tentative words open the next one."""
    text, done = _spoken(state.settled).strip(), state.digits_done
    opened_at = now if _any_text(state.tentative) else None
    cleared = replace(
        state,
        settled=(),
        words_at=opened_at,
        opened_at=opened_at,
        unfinalized=state.speaking_since is not None,
        finalized=False,
        cut=None,
        bot=state.bot and replace(state.bot, words=len(_spoken(state.tentative).split())),
        digits="" if done else state.digits,
        digits_done=None,
    )
    if not text:
        return (_told(cleared), (DigitsCompleted(state.digits, done),)) if done else (cleared, ())
    turn = Turn(
        number=state.number + 1,
        text=text,
        reason="hangup" if state.hung_up else reason,
        tokens=state.settled,
        digits=state.digits if done else "",
        translation="".join(token.text for token in state.settled if token.translation).strip(),
        started_ms=next((t.start_ms for t in state.settled if t.start_ms is not None), None),
        ended_ms=next((t.end_ms for t in reversed(state.settled) if t.end_ms is not None), None),
    )
    return replace(_told(cleared), number=turn.number), (TurnCompleted(turn),)


def _told(state: TurnState) -> TurnState:
    """The application has something to answer."""
    return replace(state, floor=False, no_inputs=0)


def _flush(state: TurnState, now: float) -> Step:
    """Nothing more will be recognised: what was tentative is the best there is."""
    done = state.digits_done or ("hangup" if state.hung_up and state.digits else None)
    state = replace(state, settled=state.settled + state.tentative, tentative=(), asks=(), digits_done=done)
    return _complete(state, state.cut or "finalize", now)


# --- keys -----------------------------------------------------------------------------------------


def _digit(state: TurnState, digit: str, now: float) -> Step:
    expect = state.policy.expect
    effects: tuple[TurnEffect, ...] = ()
    if state.digits_done:
        # The next entry begins: the one before waits for its words no longer.
        state, effects = _complete(state, state.cut or "digits", now)
    if state.bot:
        state, more = _barge_in(state, "digit")
        effects += more
    if expect.finish_key and digit == expect.finish_key:
        state, more = _digits_done(state, "finish_key", now)
        return state, effects + more
    state = replace(state, digits=state.digits + digit, digit_at=now)
    if expect.digits is not None and len(state.digits) >= expect.digits:
        state, more = _digits_done(state, "count", now)
        return state, effects + more
    return state, effects


def _digits_done(state: TurnState, why: DigitsReason, now: float) -> Step:
    """Keys are complete; words that are still being recognised go into the same turn."""
    state = replace(state, digits_done=why, digit_at=None)
    if _anything(state):
        return _cut(state, "digits", now)
    return _complete(state, "digits", now)


# --- timers and barge-in --------------------------------------------------------------------------


def _deadlines(state: TurnState) -> Iterator[tuple[float, _Act]]:
    """Yield every pending deadline with what happens then."""
    if state.hung_up:
        return
    policy = state.policy
    if state.bot and state.speaking_since is not None and _may_interrupt(state):
        since = max(state.bot.since, state.speaking_since)
        yield since + policy.barge_in.min_ms / 1000, lambda state, _now: _barge_in(state, "speech")
    quiet = _quiet_since(state)
    if quiet is not None and not (state.asks or state.deaf) and (state.unfinalized or _unsettled(state)):
        yield max(quiet, state.asked_at) + policy.finalize_after_ms / 1000, _ask_finalize
    if quiet is not None and state.finalized and _any_text(state.settled) and not _any_text(state.tentative):
        yield quiet + policy.commit_after_ms / 1000, lambda state, now: _complete(state, "finalize", now)
    if state.opened_at is not None and state.cut is None:
        yield state.opened_at + policy.max_turn_ms / 1000, lambda state, now: _cut(state, "max_turn", now)
    if state.digit_at is not None:
        pause = policy.expect.between_digits_ms / 1000
        yield state.digit_at + pause, lambda state, now: _digits_done(state, "timeout", now)
    if state.idle_since is not None and policy.no_input_ms > 0:
        yield state.idle_since + policy.no_input_ms / 1000, _no_input


def _quiet_since(state: TurnState) -> float | None:
    """Return since when the caller is silent.

    Where local speech activity cannot tell (steady noise, a voice too soft), words that have stood still for
    `commit_after_ms` count as its beginning.
    """
    if state.speaking_since is None and state.quiet_since is not None:
        return state.quiet_since
    return None if state.words_at is None else state.words_at + state.policy.commit_after_ms / 1000


def _ask_finalize(state: TurnState, now: float) -> Step:
    asked = replace(state, asks=(*state.asks, state.number), asked_at=now, unfinalized=False)
    return asked, (AskFinalize(),)


def _cut(state: TurnState, reason: TurnReason, now: float) -> Step:
    """End the turn with the next answer to `finalize`; at once if there is nobody to ask."""
    if state.deaf:
        return _flush(replace(state, cut=reason), now)
    if state.cut or state.hung_up:
        return state, ()
    return _ask_finalize(replace(state, cut=reason), now)


def _barge_in(state: TurnState, cause: Literal["speech", "words", "digit"]) -> Step:
    if not _may_interrupt(state):
        return state, ()
    return replace(state, bot=None), (BargeIn(cause),)


def _may_interrupt(state: TurnState) -> bool:
    return state.bot is not None and state.bot.interruptible and state.policy.barge_in.enabled and not state.hung_up


def _no_input(state: TurnState, _now: float) -> Step:
    count = state.no_inputs + 1
    return replace(state, floor=False, idle_since=None, no_inputs=count), (NoInput(count),)


def _idle(state: TurnState, now: float) -> TurnState:
    """Start the no-input clock when both sides are silent and nothing is pending; stop it otherwise."""
    waiting = (
        state.floor
        and state.policy.no_input_ms > 0
        and state.bot is None
        and state.speaking_since is None
        and state.opened_at is None
        and not (state.digits or state.digits_done)
    )
    if waiting == (state.idle_since is not None):
        return state
    return replace(state, idle_since=now if waiting else None)


def _anything(state: TurnState) -> bool:
    return _sound_pending(state) or _any_text(state.settled) or _any_text(state.tentative)


def _sound_pending(state: TurnState) -> bool:
    """There was sound whose words may still come."""
    return state.speaking_since is not None or state.unfinalized or state.number in state.asks


def _unsettled(state: TurnState) -> bool:
    return _any_text(state.tentative) or (not state.finalized and _any_text(state.settled))


def _words(state: TurnState) -> int:
    return len(_spoken(state.settled + state.tentative).split())


def _any_text(tokens: Iterable[Token]) -> bool:
    return any(not token.translation and token.text.strip() for token in tokens)


def _spoken(tokens: Iterable[Token]) -> str:
    return "".join(token.text for token in tokens if not token.translation)
