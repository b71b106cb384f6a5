"""What the application was asked, what it answers, and what becomes of its answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from pydantic import JsonValue

from voicebot.call.filler import Filler
from voicebot.call.reporter import Reporter
from voicebot.call.scribe import Scribe
from voicebot.call.script import Script
from voicebot.call.speaker import Speaker
from voicebot.config import NumberSettings
from voicebot.core.actions import Action
from voicebot.core.latency import TurnClock
from voicebot.core.replies import unwanted
from voicebot.courier import Attempted, FailureReason, Lane, Replied, ReplyFailed, Streamed
from voicebot.errors import VoicebotError
from voicebot.recorder import CallRecording
from voicebot.wire.webhook_events import Event
from voicebot.wire.webhook_reply import UNSET, Unset

UNANSWERED: frozenset[FailureReason] = frozenset({"deadline", "refused", "dead", "no_endpoint"})
"""The caller waits, nothing of a reply was performed, and none will be."""

MAX_RETRACTED = 1_000
"""Events taken back that are remembered; what comes back for older ones has its deadline behind it."""


@dataclass(slots=True)
class Held:
    """A provisional turn: its request, and what came back for it."""

    sequence: int
    clock: TurnClock
    script: Script | None = None
    state: JsonValue | Unset = UNSET
    failed: bool = False


@dataclass(slots=True)
class _Account:
    """The latency account of a turn, until it has been told."""

    turn: int = 0
    sequence: int = 0
    clock: TurnClock = field(default_factory=TurnClock)
    utterance: int = 0
    """The first of the answer."""
    told: bool = True


class Dialogue:
    """Events leave through here and replies come in; the newest event that wants a reply is the one that counts."""

    def __init__(
        self,
        lane: Lane,
        reporter: Reporter,
        scribe: Scribe,
        speaker: Speaker,
        *,
        options: NumberSettings,
        recording: CallRecording | None,
        over: Callable[[], bool],
    ) -> None:
        self._lane, self.reporter, self.scribe, self.speaker = lane, reporter, scribe, speaker
        self._speaks, self._recording, self._over = options.mode == "bot", recording, over
        self._filler = Filler(options.filler, speaker, speaks=self._speaks)
        self._give_up = options.give_up.actions
        self._asked = 0
        self._cut = 0
        """Streamed replies to this event and older ones are not wanted any more."""
        self._script: Script | None = None
        self._held: Held | None = None
        self._retracted: list[int] = []
        """Events that were taken back: whatever still comes back for them never happened."""
        self._account = _Account()
        self.awaiting = False
        """The newest event that wants a reply has none yet."""

    async def post(self, event: Event) -> None:
        """Tell the application."""
        if self._recording:
            self._recording.event(event.type, event.sequence, _now())
        try:
            await self._lane.post(event, self.scribe.trace.parent_of(event.sequence))
        except VoicebotError as error:
            self.scribe.trouble(f"an event is not in the outbox: {error}")

    async def ask(self, event: Event) -> None:
        """Tell the application and wait for its reply; older replies are no longer wanted, nor what is left of them."""
        self.cut_off()
        self._asked, self.awaiting = event.sequence, True
        self._filler.wait(_now())
        await self.post(event)

    def perform(self, actions: tuple[Action, ...]) -> None:
        """Perform what the application was not asked for."""
        self._perform(0, actions, None, ended=True)

    def wake_at(self) -> float | None:
        """Return when `tick` must be called, or None."""
        return self._filler.due_at

    def tick(self) -> None:
        """Time has passed."""
        if self._over():
            self._filler.stop()
        self._filler.tick(_now())

    # --- turns ------------------------------------------------------------------------------------

    @property
    def prepared(self) -> Script | None:
        """The reply to a turn that is not sure yet."""
        return self._held.script if self._held else None

    @property
    def latency(self) -> dict[str, int]:
        """The account of the turn answered last."""
        return self._account.clock.parts()

    def began(self, turn: int, clock: TurnClock, sequence: int) -> None:
        """Open the account of a turn; the one before it is told as it is."""
        self.tell_latency()
        self._account = _Account(turn, sequence, clock, told=False)

    async def offer(self, event: Event, clock: TurnClock) -> None:
        """Ask with a turn that is not sure yet; what comes back is prepared and held."""
        self._held = Held(event.sequence, clock)
        await self.ask(event)
        self._filler.stop()  # nobody waits before the turn is over

    def take_back(self) -> None:
        """The turn that was offered is not what was said: its request is cut, its reply forgotten."""
        held, self._held = self._held, None
        if held is None:
            return
        self._retracted.append(held.sequence)
        del self._retracted[:-MAX_RETRACTED]
        self._lane.withdraw(held.sequence)
        self._end_script(held.sequence)
        if held.script:
            self.speaker.drop(held.script)
        if held.sequence == self._asked:
            self._answered()

    def confirm(self) -> Held | None:
        """Return the offered turn as it stands now, if its request can still be answered or was."""
        held, self._held = self._held, None
        if held is None:
            return None
        if held.failed:
            self._lane.withdraw(held.sequence)  # the turn is told anew
            return None
        if self.awaiting and held.script is None:
            self._filler.wait(_now())
        return held

    def release(self, held: Held) -> None:
        """Let the caller hear the reply to a turn that stands."""
        self._keep_state(held.state)
        if held.script:
            held.script.released.set()

    # --- replies ----------------------------------------------------------------------------------

    def outcome(self, outcome: Attempted | Streamed | Replied | ReplyFailed) -> None:
        """Take what has become of a request."""
        match outcome:
            case Attempted():
                self.scribe.attempt(outcome)
            case Streamed():
                self._streamed(outcome)
            case Replied():
                self._replied(outcome)
            case ReplyFailed():
                self._failed(outcome)
            case _:
                assert_never(outcome)

    def _streamed(self, part: Streamed) -> None:
        """Take a part of a streamed reply."""
        held = self._holds(part.sequence)
        self._take_state(part.sequence, part.state)
        kinds = tuple(action.type for action in part.actions)
        why = self._unwanted(part.sequence)
        why = "superseded" if why is None and part.sequence <= self._cut else why
        self.scribe.reply(part.sequence, kinds, why)
        self._record(part.sequence, kinds, part.first_byte_at, None)
        if why:
            self._lane.cancel(part.sequence)
            return
        self._filler.stop()
        clock = self._clock(part.sequence)
        clock.sent, clock.reply_began = part.sent_at, part.first_byte_at
        if self._script is not None:
            self._script.add(part.actions)
        else:
            self._script = self._perform(part.sequence, part.actions, held, ended=False)

    def _replied(self, replied: Replied) -> None:
        """Take a whole reply, or the end of a streamed one."""
        if replied.sequence == self._asked:
            self._answered()
        clock = self._clock(replied.sequence)
        if replied.streamed:
            clock.replied = replied.done_at
            self._end_script(replied.sequence)
            return
        held, reply = self._holds(replied.sequence), replied.reply
        self._take_state(replied.sequence, reply.state)
        why = self._unwanted(replied.sequence)
        kinds = tuple(action.type for action in reply.actions)
        self.scribe.reply(replied.sequence, kinds, why)
        self._record(replied.sequence, kinds, replied.first_byte_at, replied.done_at)
        if why:
            return
        clock.sent, clock.reply_began, clock.replied = replied.sent_at, replied.first_byte_at, replied.done_at
        if reply.actions:
            self._perform(replied.sequence, reply.actions, held, ended=True)

    def _failed(self, failed: ReplyFailed) -> None:
        """There is no reply, or no more of it."""
        self._end_script(failed.sequence)
        held = self._holds(failed.sequence)
        if held:
            held.failed = held.script is None
        if failed.sequence == self._asked:
            self._answered()
            if held is None and failed.reason in UNANSWERED and self._give_up and self._speaks and not self._over():
                self.perform(self._give_up)
        if failed.reason not in {"cancelled", "superseded"}:
            self.reporter.counts.no_reply(refused=failed.reason == "refused")
        self.scribe.reply_missing(failed)

    def _answered(self) -> None:
        """The newest event that wants a reply waits for none any more."""
        self.awaiting = False
        self._filler.stop()

    def cut_off(self) -> None:
        """The caller speaks over a reply: one that still arrives is stopped where it comes from."""
        if self._script is not None:
            self._cut = self._script.sequence
            self._lane.cancel(self._cut)
            self._end_script(self._cut)

    def _perform(self, sequence: int, actions: tuple[Action, ...], held: Held | None, *, ended: bool) -> Script | None:
        script = Script(sequence, actions, held=held is not None, ended=ended)
        kinds = ", ".join(action.type for action in actions)
        if not self._speaks:
            self.scribe.trouble(f"a call that is only transcribed cannot carry out actions: {kinds}")
            return None
        if not self.speaker.perform(script):
            self.scribe.trouble(f"too many replies wait to be performed: {kinds}")
            return None
        if held:
            held.script = script
        return script

    def _record(self, sequence: int, kinds: tuple[str, ...], began_at: float, done_at: float | None) -> None:
        if self._recording:
            self._recording.reply(sequence, kinds, began_at, done_at, _now())

    def _end_script(self, sequence: int) -> None:
        if self._script is not None and self._script.sequence == sequence:
            self._script.end()
            self._script = None

    def _unwanted(self, sequence: int) -> str | None:
        if sequence in self._retracted:
            return "retracted"
        return unwanted(sequence, self._asked, ended=self._over())

    def _holds(self, sequence: int) -> Held | None:
        return self._held if self._held is not None and self._held.sequence == sequence else None

    def _take_state(self, sequence: int, state: JsonValue | Unset) -> None:
        """A turn that may be taken back, or was, must not leave its state behind."""
        held = self._holds(sequence)
        if state is UNSET or sequence in self._retracted:
            return
        if held:
            held.state = state
        else:
            self._keep_state(state)

    def _keep_state(self, state: JsonValue | Unset) -> None:
        if state is not UNSET:
            self.reporter.state = state

    # --- latency ----------------------------------------------------------------------------------

    def sounded(self, sequence: int, utterance: int, now: float) -> None:
        """The first audio of an utterance was sent."""
        account = self._account
        if account.sequence == sequence and account.clock.audio_sent is None:
            account.clock.audio_sent, account.utterance = now, utterance

    def heard(self, utterance: int | None, now: float) -> None:
        """The carrier has played the beginning of an utterance."""
        account = self._account
        if utterance is None or account.utterance != utterance or account.told:
            return
        account.clock.audio_heard = now
        self.reporter.counts.answered(account.clock.parts().get("audio_heard_ms", 0))
        self.tell_latency()

    def tell_latency(self) -> None:
        """Tell the account of the turn answered last, once."""
        if not self._account.told:
            self._account.told = True
            self.scribe.latency(self._account.turn, self._account.clock.parts())

    def _clock(self, sequence: int) -> TurnClock:
        held = self._holds(sequence)
        if held:
            return held.clock
        return self._account.clock if self._account.sequence == sequence else TurnClock()


def _now() -> float:
    return asyncio.get_running_loop().time()
