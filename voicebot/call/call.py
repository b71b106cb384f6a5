"""One call, top to bottom: one mailbox, one loop, decisions from the core, effects to the rooms."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from voicebot.call.inputs import (
    BotBegan,
    CallInput,
    CarrierEnded,
    Dialed,
    FromTrack,
    HandedOver,
    LegClosed,
    NotSpoken,
    Performed,
    ShutDown,
)
from voicebot.call.leg import Leg, MediaSocket, tracks_of
from voicebot.call.reporter import Identity, Reporter
from voicebot.call.rooms import Rooms
from voicebot.call.route import Route
from voicebot.call.scribe import Scribe
from voicebot.call.speaker import Speaker
from voicebot.config import NumberSettings
from voicebot.core.actions import Configure, HangUp, Listen
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    Digit,
    DigitsCompleted,
    Finished,
    FloorGiven,
    Heard,
    HungUp,
    MarkReached,
    NoInput,
    StreamStarted,
    SttFailed,
    Tick,
    Track,
    Turn,
    TurnCompleted,
    TurnInput,
    TurnRequested,
)
from voicebot.core.latency import TurnClock
from voicebot.core.playback import Spoken
from voicebot.core.replies import unwanted
from voicebot.core.turns import TurnState, step, wake_at
from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, Undelivered
from voicebot.errors import ConfigurationError, LocalProtocolError, VoicebotError
from voicebot.wire import twiml
from voicebot.wire.webhook_events import Event
from voicebot.wire.webhook_reply import UNSET


class Call:
    """A call outlives its media streams (legs): it is known by the carrier's call id, and streams come and go in it."""

    def __init__(self, identity: Identity, options: NumberSettings, rooms: Rooms) -> None:
        self.identity = identity
        self._mode = options.mode
        self._rooms = rooms
        self._scribe = Scribe(identity, options.mode, rooms)
        self._mailbox: asyncio.Queue[CallInput] = asyncio.Queue(rooms.settings.limits.mailbox)
        self._reporter = Reporter(
            identity, messages=rooms.settings.webhook.messages, new_id=lambda: f"evt_{secrets.token_hex(12)}"
        )
        self._lane = rooms.courier.lane(
            identity.id,
            options.webhook_url or rooms.settings.webhook.url,
            rooms.settings.webhook.secrets,
            self.put,
        )
        self._turns: dict[Track, TurnState] = {track: TurnState(policy=options.turns) for track in tracks_of(options)}
        self._clock = TurnClock()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: set[tuple[int, Track]] = set()
        self._ending: str | None = None
        self._asked = 0
        self._awaiting = False
        self._floor = False
        self.route = Route(options, rooms.settings, rooms.doors, self.put, self._open)
        self._speaker = Speaker(rooms, options.voice, self.put, self._adjust, self.route.leave)

    # --- for the doors ----------------------------------------------------------------------------

    async def put(self, event: CallInput) -> None:
        """Tell the call something; waits while its mailbox is full."""
        with suppress(asyncio.QueueShutDown):
            await self._mailbox.put(event)

    async def attach(self, started: StreamStarted, socket: MediaSocket) -> None:
        """Let the claimed stream begin."""
        self._reporter.parameters |= {name: value for name, value in started.parameters.items() if name != twiml.TOKEN}
        self.route.streamless_since = None
        self.route.leg.attach(started, socket)
        self._scribe.stream_opened(started)
        await self.put(Tick())

    async def abandon(self) -> None:
        """Leave nothing behind: no stream, no message that waits to be read, no way back in."""
        self._mailbox.shutdown(immediate=True)
        self.route.close()
        await self.route.leg.close()

    # --- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through the call; returns when everything about it has been told or left to the store."""
        await self._scribe.opened()
        async with asyncio.TaskGroup() as outer:
            # Once every event was tried, nobody has anything to tell this call any more.
            outer.create_task(self._lane.run()).add_done_callback(lambda _: self._mailbox.shutdown())
            outer.create_task(self._scribe.run())
            try:
                async with asyncio.TaskGroup() as self._group:
                    self._tasks.append(self._group.create_task(self._speaker.run()))
                    self._open(self.route.leg)
                    await self._converse()
                    for task in self._tasks:
                        task.cancel()
            except* Exception:  # noqa: BLE001 - the call's end: whatever broke it is one outcome of one call
                self._scribe.failed()
                self._ending = "error"
                self.route.close()
            finally:
                await self.route.leg.close()
            await self._close()

    async def _converse(self) -> None:
        await self._ask(self._reporter.call_started(self._mode))
        while not (self._ending and not self._listening):
            await self._take(await self._next())
            await self._give_floor()

    async def _next(self) -> CallInput:
        """Wait for the next input, or until something is due."""
        due = [wake_at(state) for state in self._turns.values()]
        wake = min(
            (at for at in (*due, self.route.leg.stall_at(), self.route.give_up_at()) if at is not None), default=None
        )
        try:
            async with asyncio.timeout_at(wake):
                return await self._mailbox.get()
        except TimeoutError:
            return Tick()

    async def _close(self) -> None:
        reason = self._ending or "error"
        event = self._reporter.call_ended(reason)
        await self._post(event)
        self._scribe.closed(reason, event.data.duration_ms, self._reporter.counts, self._reporter.state)
        self._lane.close()
        with suppress(asyncio.QueueShutDown):
            while True:
                match late := await self._mailbox.get():
                    case Attempted():
                        self._scribe.attempt(late)
                    case Replied():
                        await self._replied(late)
                    case ReplyFailed():
                        self._reply_failed(late)
                    case _:
                        pass

    # --- inputs -----------------------------------------------------------------------------------

    async def _take(self, event: CallInput) -> None:  # noqa: C901, PLR0912 - one arm per input
        match event:
            case FromTrack(leg=leg, track=track, event=inner):
                await self._from_track(leg, track, inner)
            case Digit():
                self._scribe.digit()
                await self._step("caller", event)
            case TurnRequested():
                await self._step("caller", event)
            case MarkReached(name=name):
                await self._told(self._speaker.reached(name))
            case BotBegan():
                await self._bot_began(event)
            case NotSpoken(why=why):
                self._scribe.not_spoken(why)
            case Replied():
                await self._replied(event)
            case ReplyFailed():
                self._reply_failed(event)
            case Attempted():
                self._scribe.attempt(event)
            case Performed() | Delivered() | Undelivered():
                pass
            case LegClosed():
                await self._leg_closed(event)
            case Dialed():
                await self._dialed(event)
            case HandedOver():
                await self._end("redirected")
            case CarrierEnded():
                await self._end("caller_hangup")
            case ShutDown():
                await self._end("shutdown")
                await self.route.leg.close()
            case Tick():
                await self._tick()
            case _:
                assert_never(event)

    async def _from_track(self, leg: int, track: Track, event: TurnInput) -> None:
        if isinstance(event, SttFailed):
            self._scribe.stt_failed(event.kind, event.message)
        if isinstance(event, Finished | SttFailed):
            self._listening.discard((leg, track))
        await self._step(track, event)
        if isinstance(event, Heard):
            self._scribe.partial(track, self._turns[track])
        if isinstance(event, SttFailed) and not self._listening:
            await self._end("stt_failed")
            await self.route.leg.close()

    async def _tick(self) -> None:
        now = _now()
        for change in self.route.leg.stalled(now):
            await self._step(change.track, change.event)
        for track in self._turns:
            await self._step(track, Tick())
        give_up_at = self.route.give_up_at()
        if give_up_at is not None and now >= give_up_at:
            await self._end(self.route.given_up())

    async def _leg_closed(self, closed: LegClosed) -> None:
        """The stream is over: either we decided so and the call goes on elsewhere, or the call is over."""
        self._scribe.stream_closed(closed)
        if closed.number != self.route.leg.number or self._ending:
            return
        await self._told(await self._speaker.interrupt(_now()))
        if isinstance(self.route.leaving, HangUp):
            self._scribe.hung_up(self.route.leaving.reason)
        if why := self.route.stream_over(closed.stopped.reason, _now()):
            await self._end(why)

    async def _dialed(self, dialed: Dialed) -> None:
        if dialed.returned:
            await self._ask(self._reporter.transfer_failed(dialed.to, dialed.status))
        else:
            await self._end("transfer_failed" if dialed.failed else "transferred")

    async def _end(self, reason: str) -> None:
        """Begin the end: flush what the recognisers still have; the loop ends when they have finished."""
        if self._ending:
            return
        self._ending = reason
        self.route.close()
        await self._told(await self._speaker.interrupt(_now()))
        self.route.leg.finish()
        for track in self._turns:
            await self._step(track, HungUp())

    # --- the turn machine's effects ---------------------------------------------------------------

    async def _step(self, track: Track, event: TurnInput) -> None:
        if track not in self._turns:
            return  # a key on a stream that does not listen to the caller
        self._turns[track], effects = step(self._turns[track], event, _now())
        for effect in effects:
            match effect:
                case AskFinalize():
                    self.route.leg.finalize(track)
                case TurnCompleted(turn=turn):
                    await self._turn_completed(track, turn)
                case DigitsCompleted(digits=digits, reason=reason):
                    await self._superseding()
                    await self._ask(self._reporter.digits_completed(digits, reason))
                case BargeIn(cause=cause) if self.route.leaving is None:
                    self._scribe.barge_in(cause)
                    await self._told(await self._speaker.interrupt(_now()))
                case BargeIn():
                    pass  # the stream is being closed already
                case NoInput(count=count):
                    await self._ask(self._reporter.no_input(count))
                case _:
                    assert_never(effect)

    async def _turn_completed(self, track: Track, turn: Turn) -> None:
        if self._mode == "transcribe":
            final = self._reporter.transcript_final(turn, track, self.route.leg.origin)
            await self._post(final)
            self._scribe.turn(track, turn, final.data.turn)
            return
        await self._superseding()
        previous = self._clock.parts()
        self._clock = TurnClock(speech_ended=self._turns[track].quiet_since, completed=_now())
        event = self._reporter.turn_completed(turn, self.route.leg.origin, previous)
        await self._ask(event)
        self._scribe.turn(track, turn, event.data.turn)

    async def _superseding(self) -> None:
        """The caller has said more before the bot was heard: what it was about to say is stale."""
        if self.route.leaving is None and not self._speaker.playback.speaking:
            await self._told(await self._speaker.interrupt(_now()))

    async def _told(self, spoken: Sequence[Spoken]) -> None:
        """Account for utterances that have come to their end."""
        for one in spoken:
            self._reporter.said(one)
            if one.text:
                await self._post(self._reporter.speech(one))
                self._scribe.bot_said(one)
        if not self._speaker.playback.speaking:
            await self._step("caller", BotStopped())
        elif spoken:
            await self._step("caller", BotStarted(self._speaker.playback.interruptible))

    async def _bot_began(self, began: BotBegan) -> None:
        if self._clock.first_audio is None and self._clock.completed is not None:
            self._clock.first_audio = _now()
            self._scribe.latency(self._turns["caller"].number, self._clock.parts())
        self._scribe.bot_says(began.utterance, began.text)
        if self._speaker.playback.speaking:
            # Sent is not heard: what was sent before it may still be playing.
            await self._step("caller", BotStarted(self._speaker.playback.interruptible))

    # --- the application --------------------------------------------------------------------------

    async def _ask(self, event: Event) -> None:
        """Post an event that wants a reply; older replies are no longer wanted."""
        self._asked, self._awaiting = event.sequence, True
        await self._post(event)

    async def _replied(self, replied: Replied) -> None:
        reply, actions = replied.reply, replied.reply.actions
        if reply.state is not UNSET:
            self._reporter.state = reply.state
        why = unwanted(replied.sequence, self._asked, ended=bool(self._ending or self.route.leaving))
        kinds = tuple(action.type for action in actions)
        self._scribe.reply(replied.sequence, kinds, why)
        if replied.sequence == self._asked:
            self._awaiting = False
        if why:
            return
        self._clock.reply_began, self._clock.replied = replied.first_byte_at, replied.done_at
        if actions and self._mode == "transcribe":
            self._scribe.trouble("a call that is only transcribed cannot carry out actions: " + ", ".join(kinds))
        elif actions and not self._speaker.perform(actions):
            self._scribe.trouble("too many replies wait to be performed: " + ", ".join(kinds))

    def _reply_failed(self, failed: ReplyFailed) -> None:
        self._reporter.counts.no_reply(refused=failed.reason == "refused")
        if failed.sequence == self._asked:
            self._awaiting = False
        self._scribe.reply_missing(failed)

    async def _give_floor(self) -> None:
        """Once nothing is left to say or to wait for, it is the caller's turn."""
        free = self.route.leg.attached.is_set() and not (self._awaiting or self._ending or self.route.leaving)
        if free and self._speaker.idle:
            if not self._floor and self._mode == "bot":
                await self._step("caller", FloorGiven())
            self._floor = True
        else:
            self._floor = False

    def _adjust(self, change: Listen | Configure) -> None:
        """Carry out an action that changes how the call goes on."""
        if isinstance(change, Listen):
            self._turns = {t: replace(s, policy=s.policy.changed_by(change)) for t, s in self._turns.items()}
            return
        try:
            self._speaker.voice = self.route.configure(change)
        except ConfigurationError as error:
            self._scribe.trouble(str(error))

    # --- legs -------------------------------------------------------------------------------------

    def _open(self, leg: Leg) -> None:
        """Open the recognisers of a leg, while the carrier still connects it."""
        if self._group is None:
            raise LocalProtocolError("a leg is opened while the call runs")
        self._tasks.extend(self._group.create_task(recognition.run()) for recognition in leg.recognitions)
        self._listening |= {(leg.number, track) for track in leg.tracks}
        self._speaker.leg = leg
        self.route.streamless_since = _now()
        if self._mode == "bot":
            self._rooms.voices.warm()

    async def _post(self, event: Event) -> None:
        try:
            await self._lane.post(event)
        except VoicebotError as error:
            self._scribe.trouble(f"an event is not in the outbox: {error}")


def _now() -> float:
    return asyncio.get_running_loop().time()
