"""The account of each turn, from its words to the answer that was heard: one line of the log, one span."""

import asyncio
from dataclasses import dataclass, field

import structlog
from opentelemetry.trace import Span

from voicebot.call.trace import CallTrace
from voicebot.core.events import Track, Turn
from voicebot.core.latency import TurnClock
from voicebot.courier import Attempted, ReplyFailed


@dataclass(slots=True)
class Account:
    """What is known of a turn; the names are those of the log (docs/observability.md)."""

    track: Track
    number: int
    span: Span
    clock: TurnClock
    sequence: int = 0
    """Of the newest event that tells it."""
    about: dict[str, object] = field(default_factory=dict[str, object])
    offered: int = 0
    retracted: int = 0
    attempts: int = 0
    status: int | None = None
    reply: str | None = None
    actions: tuple[str, ...] = ()
    told: bool = False
    """The turn is complete."""
    answered: bool = False
    """Nothing more is waited for on the phone."""
    over: bool = False
    """Nothing more is to be learned about its request."""


class Accounts:
    """The open accounts of one call; one is closed when its answer was heard, or when the next turn takes its place."""

    def __init__(self, trace: CallTrace, log: structlog.typing.FilteringBoundLogger) -> None:
        self._trace, self._log = trace, log
        self._open: dict[tuple[Track, int], Account] = {}
        self._sequences: dict[int, Account] = {}
        self._barge_in: str | None = None
        self.attempts = 0
        self.failed_attempts = 0

    def offered(self, track: Track, turn: Turn, sequence: int, clock: TurnClock) -> None:
        """A turn is told before its end is sure."""
        self._of(track, turn, sequence, clock).offered += 1

    def retracted(self, number: int) -> None:
        """The turn offered last was taken back."""
        if account := self._open.get(("caller", number)):
            account.retracted += 1

    def told(self, track: Track, turn: Turn, revision: int, sequence: int, clock: TurnClock, text: str | None) -> None:
        """A turn is complete; `text` is what the log may have of it."""
        for older in [each for each in self._open.values() if each.track == track and each.told]:
            older.answered = True
            self._close_if_over(older)
        account = self._of(track, turn, sequence, clock)
        account.told = True
        account.about = {
            "turn": turn.number,
            "track": track,
            "reason": turn.reason,
            "revision": revision,
            "words": len(turn.text.split()),
            "characters": len(turn.text),
            "digits": len(turn.digits),
            "languages": tuple(dict.fromkeys(t.language for t in turn.tokens if t.language and not t.translation)),
            "barge_in": self._barge_in,
        }
        if text is not None:
            account.about["text"] = text
        self._barge_in = None

    def barged_in(self, cause: str | None) -> None:
        """The caller has stopped the bot; None when that came to nothing."""
        self._barge_in = cause

    def attempted(self, attempt: Attempted) -> None:
        """A request was made."""
        self.attempts += 1
        self.failed_attempts += attempt.error is not None
        if account := self._sequences.get(attempt.sequence):
            account.attempts += 1
            account.status = attempt.status
            if attempt.event_type == "transcript.final":
                account.answered = account.over = True  # what only informs is tried once, and nobody answers
            elif attempt.sequence == account.sequence and account.reply is not None:
                account.over = True  # behind the attempt that brought the reply nothing comes
            self._close_if_over(account)

    def replied(self, sequence: int, actions: tuple[str, ...], dropped: str | None) -> None:
        """A reply has come, or a part of one."""
        if account := self._newest(sequence):
            account.reply = "not_performed" if dropped else "performed" if actions or account.actions else "empty"
            account.actions += () if dropped else actions

    def failed(self, failed: ReplyFailed) -> None:
        """There is no reply, or no more of one."""
        if account := self._newest(failed.sequence):
            account.reply = failed.reason
            account.over = account.over or failed.reason == "no_endpoint"
            self._close_if_over(account)

    def heard(self, number: int) -> None:
        """The answer to a turn is heard."""
        if account := self._open.get(("caller", number)):
            account.answered = True
            self._close_if_over(account)

    def close(self) -> None:
        """Close what is open: the call is over."""
        for account in tuple(self._open.values()):
            self._close(account)

    def _newest(self, sequence: int) -> Account | None:
        """Return the account that an event tells, unless a newer one tells it anew."""
        account = self._sequences.get(sequence)
        return account if account and account.sequence == sequence else None

    def _of(self, track: Track, turn: Turn, sequence: int, clock: TurnClock) -> Account:
        account = self._open.get((track, turn.number))
        if account is None:
            account = Account(track, turn.number, self._trace.turn(_began(turn, clock)), clock)
            self._open[track, turn.number] = account
        if account.sequence != sequence:
            account.reply, account.actions, account.over = None, (), False
        account.clock, account.sequence = clock, sequence
        self._sequences[sequence] = account
        self._trace.tells(sequence, account.span)
        return account

    def _close_if_over(self, account: Account) -> None:
        if account.told and account.answered and account.over:
            self._close(account)

    def _close(self, account: Account) -> None:
        del self._open[account.track, account.number]
        self._sequences = {number: each for number, each in self._sequences.items() if each is not account}
        about = account.about | {
            "offered": account.offered,
            "retracted": account.retracted,
            "sequence": account.sequence,
            "attempts": account.attempts,
            "status": account.status,
            "reply": account.reply,
            "actions": account.actions,
            **account.clock.parts(),
        }
        if account.told:
            self._log.info("turn", **about)
        about.pop("text", None)
        self._trace.turn_over(account.span, account.clock, about)


def _began(turn: Turn, clock: TurnClock) -> float:
    """Return when the speech of a turn began, as far as its words tell (loop time)."""
    ended = asyncio.get_running_loop().time() if clock.speech_ended is None else clock.speech_ended
    if turn.started_ms is None or turn.ended_ms is None:
        return ended
    return ended - (turn.ended_ms - turn.started_ms) / 1_000
