"""Whose turn it is: events to the turn machine, its effects to the recogniser, the speaker and the application."""

import asyncio
from collections.abc import Callable, Sequence
from copy import replace
from typing import assert_never

from voicebot.call.dialogue import Dialogue, Held
from voicebot.call.inputs import BotBegan, Commanded
from voicebot.call.past import Past
from voicebot.call.route import Route
from voicebot.config import NumberSettings
from voicebot.core.actions import Configure, Listen
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    DigitsCompleted,
    FloorGiven,
    Heard,
    HungUp,
    NoInput,
    NotATurn,
    ResumeSpeech,
    Tick,
    Track,
    Turn,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnRetracted,
)
from voicebot.core.latency import TurnClock
from voicebot.core.playback import Spoken
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at
from voicebot.errors import ConfigurationError
from voicebot.recorder import CallRecording


class TurnTaking:
    """One machine per track; `step` is the only way into it."""

    def __init__(
        self,
        options: NumberSettings,
        route: Route,
        dialogue: Dialogue,
        *,
        recording: CallRecording | None,
        over: Callable[[], bool],
    ) -> None:
        self._mode, self._route, self._recording, self._over = options.mode, route, recording, over
        self._dialogue = dialogue
        self._speaker, self._reporter, self._scribe = dialogue.speaker, dialogue.reporter, dialogue.scribe
        self._states: dict[Track, TurnState] = {
            track: TurnState(policy=options.turns, languages=options.stt.language_hints) for track in options.tracks
        }
        self._floor = False

    def go_on(self, past: Past) -> None:
        """Number on where another process has left off."""
        self._states = {
            track: replace(state, number=past.numbers.get(track, 0), revision=past.revision)
            for track, state in self._states.items()
        }

    @property
    def policy(self) -> TurnPolicy:
        """What `listen` has made of the policy."""
        return next(iter(self._states.values())).policy

    def wake_at(self) -> float | None:
        """Return when `tick` must be called, or None."""
        return min([at for state in self._states.values() if (at := wake_at(state)) is not None], default=None)

    def change(self, listen: Listen) -> None:
        """Go on under another policy."""
        self._states = {t: replace(s, policy=s.policy.changed_by(listen)) for t, s in self._states.items()}
        if self._recording:
            for track, state in self._states.items():
                self._recording.policy(track, state.policy, _now())

    def rest(self) -> None:
        """Nobody is waited for until the floor is given again."""
        self._states = {track: replace(state, floor=False) for track, state in self._states.items()}
        self._floor = False

    def adjust(self, change: Listen | Configure) -> None:
        """Carry out an action that changes how the call goes on."""
        if isinstance(change, Listen):
            self.change(change)
        options = change.endpoint if isinstance(change, Listen) else change
        if options is None:
            return
        try:
            self._speaker.voice = self._route.configure(options)
        except ConfigurationError as error:
            self._scribe.trouble(str(error))

    async def tick(self) -> None:
        """Time has passed."""
        for track in self._states:
            await self.step(track, Tick())

    async def hung_up(self) -> None:
        """The call's media is over."""
        for track in self._states:
            await self.step(track, HungUp())

    async def step(self, track: Track, event: TurnInput) -> None:
        """Take one event and carry out what follows from it."""
        if track not in self._states:
            return  # a key on a stream that does not listen to the caller
        now = _now()
        self._states[track], effects = step(self._states[track], event, now)
        if self._recording:
            self._recording.input(track, event, now)
        for effect in effects:
            if self._recording:
                self._recording.effect(track, effect, now)
            await self._carry_out(track, effect)
        if isinstance(event, Heard):
            self._scribe.partial(track, self._states[track])
            if self._speaker.keeps and self._states[track].speaks_up:
                self._dialogue.cut_off()

    async def _carry_out(self, track: Track, effect: TurnEffect) -> None:  # noqa: C901 - one arm per effect
        match effect:
            case AskFinalize():
                self._route.leg.finalize(track)
            case TurnCompleted():
                await self._turn_completed(track, effect)
            case TurnProvisional():
                await self._turn_offered(track, effect)
            case TurnRetracted():
                await self._turn_taken_back(effect)
            case NotATurn(text=text):
                self._scribe.overheard(effect)
                self._reporter.overheard(text)
            case DigitsCompleted(digits=digits, reason=reason):
                await self._superseding()
                await self._dialogue.ask(self._reporter.digits_completed(digits, reason))
            case BargeIn(cause=cause):
                await self._barge_in(track, cause)
            case ResumeSpeech():
                if self._speaker.keeps:
                    self._reporter.counts.resumptions += 1
                    self._scribe.resumed()
                    self._speaker.resume()
            case NoInput(count=count):
                self._scribe.no_input()
                await self._dialogue.ask(self._reporter.no_input(count))
            case _:
                assert_never(effect)

    async def _barge_in(self, track: Track, cause: str) -> None:
        if self._route.leaving is not None:
            return  # the stream is being closed already
        self._scribe.barge_in(cause)
        doubtful = self._states[track].barged_at is not None
        spoken = await self._speaker.interrupt(_now(), keep=doubtful, but=self._dialogue.prepared)
        await self.told(spoken)
        if not doubtful:
            self._dialogue.cut_off()

    async def _turn_completed(self, track: Track, completed: TurnCompleted) -> None:
        turn, leg = completed.turn, self._route.leg
        if self._mode == "transcribe":
            final = self._reporter.transcript_final(turn, track, leg.origin)
            clock = self._clock(track, turn)
            clock.decided = _now()
            self._scribe.told(track, turn, completed.revision, final.sequence, clock)
            self._scribe.turn(track, turn, completed.revision, leg.origin)  # goes along with the event's commit
            await self._dialogue.post(final)
            return
        held = self._dialogue.confirm() if completed.confirms else None
        self._dialogue.take_back()
        await self._superseding(but=held)
        clock = held.clock if held else self._clock(track, turn)
        clock.decided = _now()
        if held:
            self._reporter.confirmed(turn)
            self._scribe.confirmed()
            self._scribe.told(track, turn, completed.revision, held.sequence, clock)
            self._dialogue.began(turn.number, clock, held.sequence)
            self._dialogue.release(held)
            self._floor = False
            self._scribe.turn(track, turn, completed.revision, leg.origin)
            return
        event = self._reporter.turn_completed(turn, completed.revision, leg.origin, self._dialogue.latency)
        self._dialogue.began(turn.number, clock, event.sequence)
        self._scribe.told(track, turn, completed.revision, event.sequence, clock)
        self._scribe.turn(track, turn, completed.revision, leg.origin)  # goes along with the event's commit
        await self._dialogue.ask(event)

    async def _turn_offered(self, track: Track, offered: TurnProvisional) -> None:
        if self._mode == "transcribe":
            return  # nobody could use the head start
        turn, revision = offered.turn, offered.revision
        event = self._reporter.turn_provisional(turn, revision, self._route.leg.origin, self._dialogue.latency)
        clock = self._clock(track, turn)
        self._scribe.offered(track, turn, revision, event.sequence, clock)
        await self._dialogue.offer(event, clock)

    async def _turn_taken_back(self, retracted: TurnRetracted) -> None:
        if self._mode == "transcribe":
            return  # it was not offered
        number, revision = retracted.number, retracted.revision
        self._dialogue.take_back()
        self._scribe.taken_back(number, revision)
        await self._dialogue.post(self._reporter.turn_retracted(number, revision, retracted.text))

    def _clock(self, track: Track, turn: Turn) -> TurnClock:
        """Open the account of a turn at the real end of its speech, which lies before anybody told us of it."""
        now = _now()
        ended = self._route.leg.speech_ended(track, turn.ended_ms)
        return TurnClock(speech_ended=now if ended is None else min(ended, now), settled=turn.settled_at)

    async def _superseding(self, but: Held | None = None) -> None:
        """The caller has said more before the bot was heard: what it was about to say is stale."""
        self._speaker.forget()
        if self._route.leaving is None and not self._speaker.playback.speaking:
            await self.told(await self._speaker.interrupt(_now(), but=but.script if but else None))

    async def told(self, spoken: Sequence[Spoken]) -> None:
        """Account for utterances that have come to their end."""
        for one in spoken:
            self._reporter.said(one)
            if one.text:
                await self._dialogue.post(self._reporter.speech(one))
                self._scribe.bot_said(one)
        playback = self._speaker.playback
        if not playback.speaking:
            await self.step("caller", BotStopped())
        elif spoken:
            await self.step("caller", BotStarted(playback.interruptible, playback.text))

    async def commanded(self, command: Commanded) -> None:
        """Somebody outside the application wants something done."""
        if self._over():
            return
        if command.interrupt:
            await self.told(await self._speaker.interrupt(_now(), but=self._dialogue.prepared))
            self._speaker.forget()
        self._dialogue.perform(command.actions)

    async def bot_began(self, began: BotBegan) -> None:
        """The first audio of an utterance was sent."""
        self._dialogue.sounded(began.sequence, began.utterance, _now())
        self._scribe.bot_says(began.utterance, began.text)
        playback = self._speaker.playback
        if playback.speaking:
            # Sent is not heard: what was sent before it may still be playing.
            await self.step("caller", BotStarted(playback.interruptible, playback.text))

    async def give_floor(self) -> None:
        """Once nothing is left to say or to wait for, it is the caller's turn."""
        free = self._route.leg.attached.is_set() and not (self._dialogue.awaiting or self._over())
        if free and self._speaker.idle:
            if not self._floor and self._mode == "bot":
                await self.step("caller", FloorGiven())
            self._floor = True
        else:
            self._floor = False


def _now() -> float:
    return asyncio.get_running_loop().time()
