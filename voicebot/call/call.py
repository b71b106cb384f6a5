"""One call, top to bottom: one mailbox, one loop, decisions from the core, effects to the rooms."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Literal, assert_never

from pydantic import JsonValue

from voicebot.call.alarm import Alarm
from voicebot.call.comeback import Comeback
from voicebot.call.degradation import Degradation
from voicebot.call.dialogue import Dialogue
from voicebot.call.eyes import Eyes
from voicebot.call.identity import Identity, head_of
from voicebot.call.inputs import (
    BotBegan,
    CallInput,
    CarrierAsks,
    CarrierEnded,
    CarrierSay,
    Commanded,
    Dialed,
    FromTrack,
    HandedOver,
    LegClosed,
    NotSpoken,
    Performed,
    ShutDown,
)
from voicebot.call.leg import Leg, MediaSocket
from voicebot.call.mailbox import Mailbox
from voicebot.call.past import Past
from voicebot.call.reporter import open_reporter
from voicebot.call.rooms import Rooms
from voicebot.call.route import Route
from voicebot.call.scribe import Scribe
from voicebot.call.speaker import Speaker
from voicebot.call.standing import Standing
from voicebot.call.trace import CallTrace
from voicebot.call.turntaking import TurnTaking
from voicebot.config import NumberSettings
from voicebot.core.actions import Action, Configure, HangUp, Listen
from voicebot.core.events import (
    Digit,
    Finished,
    Heard,
    MarkReached,
    SpeechStarted,
    SpeechStopped,
    StreamStarted,
    SttEvent,
    SttFailed,
    SttRecovered,
    Tick,
    Track,
    TurnRequested,
)
from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, Streamed, Undelivered
from voicebot.errors import LocalProtocolError
from voicebot.waiting import Flag
from voicebot.wire import twiml


class Call:
    """A call outlives its media streams (legs): it is known by the carrier's call id, and streams come and go in it."""

    def __init__(self, identity: Identity, options: NumberSettings, rooms: Rooms, past: Past | None = None) -> None:
        self.identity, self._past = identity, past
        self._mode, self._rooms = options.mode, rooms
        eyes = Eyes(options.redaction)
        trace = CallTrace(rooms.tracing, identity, options.mode)
        self._scribe = Scribe(identity, options.mode, eyes, rooms, trace)
        self._mailbox = Mailbox(rooms.settings.limits.mailbox)
        self.put, self.offer = self._mailbox.put, self._mailbox.offer
        self._reporter = open_reporter(identity, eyes.webhook, rooms.settings)
        self._lane = rooms.courier.lane(
            identity.id,
            options.webhook_url or rooms.settings.webhook.url,
            rooms.settings.webhook.secrets,
            self.put,
            parent=trace.span,
            forgets=eyes.forgets,
        )
        self._group: asyncio.TaskGroup | None = None
        self._context = copy_context()
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: set[tuple[int, Track]] = set()
        self._ending: str | None = None
        self.ended = Flag()
        """Its end is in the store, or never will be."""
        # When the mailbox is full, the alarm is set again after the next input.
        self._alarm = Alarm(self._wake_at, lambda: self.offer(Tick()))
        doors = rooms.doors.of(identity.carrier_id)
        self.route = Route(options, rooms.settings, doors, rooms.accounts, rooms.batching, self.put, self._open)
        self._speaker = Speaker(rooms, options.voice, trace, self.put, self._adjust, self.route.leave)
        self._recording = self.route.leg.recording = rooms.recorder.open(head_of(identity, options), _now())
        self._dialogue = Dialogue(
            self._lane,
            self._reporter,
            self._scribe,
            self._speaker,
            options=options,
            recording=self._recording,
            over=lambda: self._over,
        )
        self._degradation = Degradation(self._dialogue, options)
        self._turns = TurnTaking(
            options, self.route, self._dialogue, recording=self._recording, over=lambda: self._over
        )
        self._comeback = Comeback(self.route, self._dialogue, self._turns, self._hang_up)
        if past:
            self._reporter.go_on(past)
            self._turns.go_on(past)
            self.route.go_back(past.course.leaving, dialing=past.course.dialing, told=past.sequence > 0)
        self._standing = Standing(self.route, self._turns, self._reporter, self._scribe)

    @property
    def mode(self) -> Literal["bot", "transcribe"]:
        """Whether the bot speaks, or only listens."""
        return self._mode

    @property
    def turns(self) -> int:
        """Return how many turns there were so far."""
        return self._reporter.counts.turns

    @property
    def _over(self) -> bool:
        """No reply is wanted any more: the call is ending, leaves its stream, or has lost it."""
        leaving = not isinstance(self.route.leaving, CarrierSay | None)
        return bool(self._ending or leaving or self.route.lost)

    # --- for the doors ----------------------------------------------------------------------------

    async def attach(self, started: StreamStarted, socket: MediaSocket) -> None:
        """Let the claimed stream begin."""
        added = {name: value for name, value in started.parameters.items() if name != twiml.TOKEN}
        if added:
            self._reporter.parameters = self._reporter.parameters | added
        self.route.streamless_since = None
        self.route.leg.attach(started, socket)
        self._comeback.attached()
        self._scribe.stream_opened(started)
        await self.put(Tick())

    @property
    def state(self) -> JsonValue:
        """What the application last set."""
        return self._reporter.state

    async def command(self, actions: Sequence[Action], *, interrupt: bool) -> None:
        """Perform actions that somebody outside the application asks for."""
        await self.put(Commanded(tuple(actions), interrupt))

    async def finalize_now(self) -> None:
        """End the caller's turn with what was said so far."""
        await self.put(TurnRequested())

    async def abandon(self) -> None:
        """Leave nothing behind: no stream, no message that waits to be read, no way back in."""
        self._mailbox.shut(at_once=True)
        self.ended.set()
        self._degradation.close(_now())
        self.route.close()
        if self._recording:
            self._recording.close("error", _now())  # says nothing when it is closed already
        await self.route.leg.close()

    def let_go(self) -> None:
        """Nobody finds the call any more: what it is made of knows the call, and would have to wait for the collector."""
        self.route.let_go()
        self._speaker.let_go()
        del self._dialogue, self._turns, self._speaker, self._scribe, self._lane, self._comeback, self._standing
        del self._degradation, self._alarm, self._recording, self._group, self._tasks

    # --- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through the call; returns when everything about it has been told or left to the store."""
        self._context = copy_context()
        await self._scribe.opened(again=self._past is not None)
        async with asyncio.TaskGroup() as outer:
            # Once every event was tried, nobody has anything to tell this call any more.
            outer.create_task(self._lane.run()).add_done_callback(lambda _: self._mailbox.shut())
            try:
                async with asyncio.TaskGroup() as self._group:
                    self._speaker.begin(self._group)
                    self.route.begin()
                    await self._converse()
                    self._speaker.stop()
                    for task in self._tasks:
                        task.cancel()
            except* Exception:  # noqa: BLE001 - the call's end: whatever broke it is one outcome of one call
                self._scribe.failed()
                self._ending = "error"
                self.route.close()
            finally:
                self._alarm.cancel()
                await self.route.leg.close()
            await self._close()
        await self._scribe.written()

    async def _converse(self) -> None:
        if not self._reporter.sequence:
            await self._dialogue.ask(self._reporter.call_started(self._mode))
        while not (self._ending and not self._listening):
            await self._take(await self._next())
            await self._comeback.come_back(self._listening)
            self._standing.keep()
            await self._turns.give_floor()

    def _next(self) -> Awaitable[CallInput]:
        """Wait for the next input; something that is due is one, too."""
        self._alarm.look()
        return self._mailbox.next()

    def _wake_at(self) -> float | None:
        due = (
            self._turns.wake_at(),
            self._dialogue.wake_at(),
            self.route.leg.stall_at(),
            self.route.give_up_at(),
            self._speaker.overdue_at(),
        )
        return min([at for at in due if at is not None], default=None)

    async def _close(self) -> None:
        reason = self._ending or "error"
        self._degradation.close(_now())
        self._dialogue.tell_latency()
        event = self._reporter.call_ended(reason)
        await self._dialogue.post(event)
        self.ended.set()
        self._scribe.closed(reason, event.data.duration_ms, self._reporter.counts, self._reporter.state)
        if self._recording:
            self._recording.close(reason, _now())
        self._lane.close()
        try:
            await self._last_words()
        finally:
            self._scribe.summed_up(self._reporter.counts)

    async def _last_words(self) -> None:
        """Hear what becomes of the last events."""
        with suppress(asyncio.QueueShutDown):
            while True:
                late = await self._mailbox.next()
                if isinstance(late, Attempted | Streamed | Replied | ReplyFailed):
                    self._dialogue.outcome(late)

    # --- inputs -----------------------------------------------------------------------------------

    async def _take(self, event: CallInput) -> None:  # noqa: C901, PLR0912 - one arm per input
        match event:
            case FromTrack(leg=leg, track=track, event=inner):
                await self._from_track(leg, track, inner)
            case Digit():
                self._scribe.digit()
                await self._turns.step("caller", event)
            case TurnRequested():
                await self._turns.step("caller", event)
            case MarkReached(name=name):
                self._dialogue.heard(self._speaker.playback.begun(name), _now())
                await self._turns.told(self._speaker.reached(name))
            case BotBegan():
                await self._turns.bot_began(event)
            case NotSpoken(why=why):
                self._scribe.not_spoken(why)
            case Attempted() | Streamed() | Replied() | ReplyFailed():
                self._dialogue.outcome(event)
            case Performed() | Delivered() | Undelivered():
                pass
            case LegClosed():
                await self._leg_closed(event)
            case Dialed():
                await self._dialed(event)
            case CarrierAsks():
                await self._comeback.carrier_asks()
            case HandedOver():
                await self._end("redirected")
            case CarrierEnded():
                await self._end("caller_hangup")
            case Commanded():
                await self._turns.commanded(event)
            case ShutDown():
                await self._end("shutdown")
                await self.route.leg.close()
            case Tick():
                await self._tick()
            case _:
                assert_never(event)

    async def _from_track(self, leg: int, track: Track, event: SttEvent | SpeechStarted | SpeechStopped) -> None:
        if isinstance(event, SttRecovered | Heard):  # the words may come from another leg
            await self._degradation.over(_now())
        if isinstance(event, SttRecovered):
            return
        if isinstance(event, SttFailed):
            self._scribe.stt_failed(event.kind, event.message)
        if isinstance(event, Finished) or (isinstance(event, SttFailed) and not event.recovering):
            self._listening.discard((leg, track))
        await self._turns.step(track, event)
        if isinstance(event, SttFailed):
            await self._deaf(event)

    async def _deaf(self, failure: SttFailed) -> None:
        """A bot goes on with keys; a call that is only transcribed ends when nothing can be heard for good."""
        if self._mode == "transcribe" and not self._listening:
            await self._end("stt_failed")
            await self.route.leg.close()
        elif not (self._ending or self.route.lost):
            await self._degradation.began(failure, _now())

    async def _tick(self) -> None:
        now = _now()
        for track, stopped in self.route.leg.stalled(now):
            await self._turns.step(track, stopped)
        await self._turns.tick()
        self._dialogue.tick()
        if spoken := self._speaker.overdue(now):
            await self._turns.told(spoken)
        give_up_at = self.route.give_up_at()
        if give_up_at is not None and now >= give_up_at:
            await self._end(self.route.given_up())

    async def _leg_closed(self, closed: LegClosed) -> None:
        """The stream is over: the call is over too, or goes on elsewhere, be it because we decided so or because it must."""
        self._scribe.stream_closed(closed)
        if closed.number != self.route.leg.number or self._ending:
            return
        if isinstance(self.route.leaving, CarrierSay) and closed.stopped.reason != "stop":
            self.route.streamless_since = _now()  # everything goes on once the carrier has spoken
            return
        if isinstance(self.route.leaving, HangUp):
            self._scribe.hung_up(self.route.leaving.reason)
        why = self.route.stream_over(closed.stopped.reason, _now())
        if self.route.lost:
            await self._comeback.lost()
        else:
            await self._turns.told(await self._speaker.interrupt(_now()))
        if why:
            await self._end(why)

    def _hang_up(self) -> None:
        if self._group:
            self._tasks.append(self._group.create_task(self.route.leg.close()))

    async def _dialed(self, dialed: Dialed) -> None:
        self._scribe.transferred(failed=dialed.failed, returned=dialed.returned)
        if dialed.returned:
            await self._dialogue.ask(self._reporter.transfer_failed(dialed.to, dialed.status))
        else:
            await self._end("transfer_failed" if dialed.failed else "transferred")

    async def _end(self, reason: str) -> None:
        """Begin the end: flush what the recognisers still have; the loop ends when they have finished."""
        if self._ending:
            return
        self._ending = reason
        self.route.close()
        await self._turns.told(await self._speaker.interrupt(_now()))
        self.route.leg.finish()
        await self._turns.hung_up()

    def _adjust(self, change: Listen | Configure) -> None:
        self._turns.adjust(change)

    # --- legs -------------------------------------------------------------------------------------

    def _open(self, leg: Leg) -> None:
        """Open the recognisers of a leg, while the carrier still connects it."""
        if self._group is None:
            raise LocalProtocolError("a leg is opened while the call runs")
        self._tasks = [task for task in self._tasks if not task.done()]
        leg.watch(self._rooms.metrics.forward_latency.observe, self._scribe.trace)
        leg.offer_first(self.offer)
        if not leg.closed:  # another process's, of a call that is with somebody else
            # A carrier's request may open it: what its tasks log is the call's all the same.
            for work in leg.recognise(self._scribe.recognised):
                self._tasks.append(self._group.create_task(work, context=self._context.copy()))
            self._listening |= {(leg.number, track) for track in leg.tracks}
        self._speaker.leg, leg.recording = leg, self._recording
        if not leg.attached.is_set():
            self.route.streamless_since = _now()
        if self._mode == "bot":
            self._rooms.voices.warm()


def _now() -> float:
    return asyncio.get_running_loop().time()
