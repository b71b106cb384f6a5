"""Tells everybody but the application what happens on a call: the store, the live view, the metrics, the log."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import JsonValue

from voicebot.call.accounts import Accounts
from voicebot.call.eyes import Eyes
from voicebot.call.identity import Identity
from voicebot.call.inputs import LegClosed
from voicebot.call.past import Counts
from voicebot.call.rooms import Rooms
from voicebot.call.trace import CallTrace
from voicebot.core.events import NotATurn, StreamStarted, Track, Turn
from voicebot.core.latency import TurnClock
from voicebot.core.playback import Spoken
from voicebot.core.turns import TurnState
from voicebot.courier import Attempted, ReplyFailed
from voicebot.live import (
    BotResumed,
    BotSaid,
    BotSays,
    CallClosed,
    CallOpened,
    CallResumed,
    DigitPressed,
    Latency,
    LiveEvent,
    Overheard,
    Partial,
    ReplyMissing,
    ReplyTaken,
    StreamOpened,
    Trouble,
    TurnEnded,
    TurnOffered,
    TurnTakenBack,
    WebhookAttempt,
)
from voicebot.metrics import PARTS, REASONS, one_of
from voicebot.soniox_socket import without_key
from voicebot.store import (
    AsideRow,
    CallCourse,
    CallEnd,
    CallRow,
    LatencyRow,
    Row,
    Tray,
    TurnRow,
    UtteranceRow,
)
from voicebot.wire.webhook_events import instants, words_of

STORE_WAIT_S = 1.0
"""How long a call waits for its rows, at its beginning and at its end."""
MAX_ROWS = 1_000
"""Turns and utterances of one call that wait for the store."""


class Scribe:
    """What it cannot write down is trouble, never the end of the call."""

    def __init__(self, identity: Identity, mode: str, eyes: Eyes, rooms: Rooms, trace: CallTrace) -> None:
        self._id, self._identity, self._mode, self._eyes = identity.id, identity, mode, eyes
        self._store, self._live, self._metrics = rooms.store, rooms.live, rooms.metrics
        self._transcripts = rooms.settings.log.transcripts
        self._soniox = rooms.settings.soniox
        self._log = structlog.get_logger().bind(call=identity.id)
        self.trace, self._accounts = trace, Accounts(trace, self._log)
        ours = identity.to if identity.direction == "inbound" else identity.from_
        self._line = ours if ours in rooms.settings.numbers else "default"
        self._streams = self._dropped_ms = self._disordered = self._reconnects = self._degraded_ms = 0
        self._replied = 0
        """The newest event whose reply was counted."""
        self._end: CallEnd | None = None
        self._tray = Tray(self._store, most=MAX_ROWS)

    async def opened(self, *, again: bool = False) -> None:
        """The call has come in, or comes in `again` after the service was restarted."""
        identity = self._identity
        self._live.publish(CallOpened(self._id, identity.from_, identity.to, identity.direction, self._mode))
        self._log.debug("call.opened", mode=self._mode, again=again)
        if again:
            return
        row = CallRow(
            id=self._id,
            from_number=identity.from_,
            to_number=identity.to,
            direction=identity.direction,
            mode="transcribe" if self._mode == "transcribe" else "bot",
            started_at=identity.started_at,
            parameters=dict(identity.carrier),
            carrier_id=identity.carrier_id,
        )
        if fault := await self._store.try_write(row, STORE_WAIT_S):
            self._not_kept(row, str(fault))

    def stands(self, state: JsonValue, course: dict[str, JsonValue]) -> None:
        """The call has changed in a way that another process must know to go on with it."""
        self._keep(CallCourse(id=self._id, state=state, course=course))

    def stream_opened(self, started: StreamStarted) -> None:
        """Media flows."""
        self._streams += 1
        self._live.publish(StreamOpened(self._id, started.stream_id))
        self._log.debug("call.stream_opened", stream=started.stream_id)

    def came_back(self, why: str, gap_ms: int | None) -> None:
        """The call goes on on another stream."""
        self._metrics.resumed.labels(why).inc()
        self._live.publish(CallResumed(self._id, why, gap_ms))
        self._log.info("call.resumed", why=why, gap_ms=gap_ms)

    def stream_closed(self, closed: LegClosed) -> None:
        """Media flows no more."""
        self._dropped_ms += closed.dropped_ms
        self._disordered += closed.disordered
        self._metrics.audio_dropped.inc(closed.dropped_ms)
        self._metrics.frames_out_of_order.inc(closed.disordered)
        self._log.debug(
            "call.stream_closed",
            reason=closed.stopped.reason,
            dropped_ms=closed.dropped_ms,
            disordered=closed.disordered,
        )

    def hung_up(self, why: str) -> None:
        """The application ended the call."""
        self._log.info("call.bot_hung_up", why=why)

    def digit(self) -> None:
        """The caller pressed a key."""
        self._metrics.digits.inc()
        self._live.publish(DigitPressed(self._id))

    def no_input(self) -> None:
        """Nobody has said anything."""
        self._metrics.no_inputs.inc()

    def transferred(self, *, failed: bool, returned: bool) -> None:
        """A transfer has come to its end."""
        self._metrics.transfers.labels("returned" if returned else "failed" if failed else "done").inc()

    def partial(self, track: Track, state: TurnState) -> None:
        """The words of the open utterance changed."""
        if self._live.watched(self._id):
            settled, tentative = ("".join(t.text for t in tokens) for tokens in (state.settled, state.tentative))
            self._live.publish(Partial(self._id, track, *self._eyes.live.partial(settled, tentative)))

    def told(self, track: Track, turn: Turn, revision: int, sequence: int, clock: TurnClock) -> None:
        """The application is about to be told of a turn, by event `sequence`; its account is open."""
        text = self._eyes.log.text(turn.text) if self._transcripts else None
        self._accounts.told(track, turn, revision, sequence, clock, text)

    def turn(self, track: Track, turn: Turn, revision: int, origin: datetime) -> None:
        """A turn is complete; `origin` is the instant of the first audio of its stream."""
        self._metrics.turns.labels(turn.reason).inc()
        self._live.publish(TurnEnded(self._id, track, self._eyes.live.turn(turn)))
        kept = self._eyes.store.turn(turn)
        started_at, ended_at = instants(kept, origin)
        row = TurnRow(
            call_id=self._id,
            track=track,
            number=turn.number,
            revision=revision,
            text=kept.text,
            translation=kept.translation,
            digits=kept.digits,
            entry=asdict(kept.entry) if kept.entry else None,
            reason=turn.reason,
            started_at=started_at,
            ended_at=ended_at,
            words=words_of(kept),
        )
        self._keep(row)

    def offered(self, track: Track, turn: Turn, revision: int, sequence: int, clock: TurnClock) -> None:
        """A turn is told before its end is sure."""
        self._accounts.offered(track, turn, sequence, clock)
        self._metrics.provisional_turns.labels("offered").inc()
        self._live.publish(TurnOffered(self._id, self._eyes.live.turn(turn), revision))

    def confirmed(self) -> None:
        """A provisional turn stands."""
        self._metrics.provisional_turns.labels("confirmed").inc()

    def taken_back(self, number: int, revision: int) -> None:
        """The caller went on after a provisional turn."""
        self._metrics.provisional_turns.labels("retracted").inc()
        self._accounts.retracted(number)
        self._live.publish(TurnTakenBack(self._id, number, revision))
        self._log.debug("turn.retracted", turn=number, revision=revision)

    def overheard(self, aside: NotATurn) -> None:
        """Words that are no turn."""
        self._metrics.asides.labels(aside.kind).inc()
        self._live.publish(Overheard(self._id, aside.kind, self._eyes.live.aside(aside).text))
        text = {"text": self._eyes.log.aside(aside).text} if self._transcripts else {}
        self._log.info("turn.not_a_turn", kind=aside.kind, **text)
        kept = self._eyes.store.aside(aside).text
        self._keep(AsideRow(call_id=self._id, kind=aside.kind, text=kept, at=datetime.now(UTC)))

    def resumed(self) -> None:
        """A barge-in came to nothing."""
        self._metrics.false_barge_ins.inc()
        self._accounts.barged_in(None)
        self._live.publish(BotResumed(self._id))
        self._log.debug("call.bot_resumed")

    def latency(self, turn: int, parts: Mapping[str, int]) -> None:
        """The bot answers a turn; this is where the time went."""
        for part, ms in parts.items():
            self._metrics.turn_latency.labels(one_of(PARTS, part.removesuffix("_ms"))).observe(ms / 1_000)
        self._live.publish(Latency(self._id, turn, dict(parts)))
        if "audio_heard_ms" in parts:
            self._accounts.heard(turn)
        self._keep(LatencyRow(call_id=self._id, number=turn, latency=dict(parts)))

    def bot_says(self, utterance: int, text: str) -> None:
        """The bot begins to speak."""
        self._live.publish(BotSays(self._id, utterance, self._eyes.live.text(text)))

    def bot_said(self, spoken: Spoken) -> None:
        """The bot has stopped speaking."""
        self._live.publish(BotSaid(self._id, self._eyes.live.spoken(spoken)))
        kept = self._eyes.store.spoken(spoken)
        row = UtteranceRow(
            call_id=self._id,
            text=kept.text,
            heard=kept.heard,
            unheard=kept.unheard,
            ms=spoken.ms,
            interrupted=spoken.interrupted,
            started_at=datetime.now(UTC) - timedelta(milliseconds=spoken.ms),
        )
        self._keep(row)

    def barge_in(self, cause: str) -> None:
        """The caller stops the bot."""
        self._accounts.barged_in(cause)
        self._metrics.barge_ins.labels(cause).inc()

    def attempt(self, attempt: Attempted) -> None:
        """The application was asked or told."""
        self._accounts.attempted(attempt)
        self._live.publish(
            WebhookAttempt(
                call=self._id,
                sequence=attempt.sequence,
                event=attempt.event_type,
                attempt=attempt.attempt,
                status=attempt.status,
                error=attempt.error,
                ms=round(attempt.ms),
            )
        )

    def reply(self, sequence: int, actions: tuple[str, ...], dropped: str | None) -> None:
        """The application answered."""
        self._accounts.replied(sequence, actions, dropped)
        if sequence > self._replied:
            self._replied = sequence
            self._metrics.replies.labels("not_performed" if dropped else "performed" if actions else "empty").inc()
        for action in () if dropped else actions:
            self._metrics.actions.labels(action).inc()
        self._live.publish(ReplyTaken(self._id, sequence, actions, dropped))
        if dropped:
            self._log.debug("reply.not_performed", sequence=sequence, why=dropped, actions=actions)

    def reply_missing(self, failed: ReplyFailed) -> None:
        """The application did not answer, or not in a way that can be used."""
        self._accounts.failed(failed)
        self._metrics.replies_failed.labels(failed.reason).inc()
        self._live.publish(ReplyMissing(self._id, failed.sequence, failed.reason, failed.detail))

    def stt_failed(self, kind: str, message: str) -> None:
        """There is no recognition any more."""
        self._metrics.stt_failed.inc()
        self.trouble(f"speech recognition is gone: {kind} {without_key(message, self._soniox)}")

    def degraded(self) -> None:
        """The call goes on without recognition."""
        self._metrics.calls_degraded.inc()

    def recovered(self, ms: int) -> None:
        """Recognition is back after `ms`."""
        self.trouble(f"speech recognition is back after {ms / 1_000:.1f} s")

    def no_longer_degraded(self, ms: int) -> None:
        """The call hears again, or is over; it could not for `ms`."""
        self._degraded_ms += ms
        self._metrics.calls_degraded.dec()

    def recognised(self, reconnects: int) -> None:
        """A recogniser has ended that had to seek so many further sessions."""
        self._reconnects += reconnects

    def not_spoken(self, why: str) -> None:
        """Something was not said."""
        self._metrics.speech_failed.inc()
        self.trouble(why)

    def trouble(self, what: str) -> None:
        """Something failed and the call goes on."""
        self._log.warning("call.trouble", what=what)
        self._live.publish(Trouble(self._id, what))

    def failed(self) -> None:
        """The call broke: our bug, told with its stack; to be used where the exception is caught."""
        self._log.exception("call.failed")

    def closed(self, reason: str, duration_ms: int, counts: Counts, state: JsonValue) -> None:
        """The call is over; what is still to be told is on its way to the application."""
        end = self._end = CallEnd(
            id=self._id, ended_at=datetime.now(UTC), reason=reason, duration_ms=duration_ms, state=state
        )
        self._keep(end)
        self._metrics.calls_ended.labels(one_of(REASONS, reason)).inc()
        self._metrics.call_duration.observe(duration_ms / 1_000)
        closed: LiveEvent = CallClosed(self._id, reason, duration_ms, counts.turns)
        self._live.publish(closed)

    async def written(self) -> None:
        """Return when everything is in the store; a store that hangs may still write it later."""
        await self._tray.emptied(STORE_WAIT_S)
        if self._tray.waiting:
            self.trouble(f"{self._tray.waiting} rows wait for the store")

    def summed_up(self, counts: Counts) -> None:
        """Nothing more is heard of the call: its one canonical line, and its span."""
        self._accounts.close()
        if self._end is None:
            return
        about = {
            "direction": self._identity.direction,
            "mode": self._mode,
            "line": self._line,
            "reason": self._end.reason,
            "duration_ms": self._end.duration_ms,
            "streams": self._streams,
            "lost_streams": counts.lost_streams,
            "turns": counts.turns,
            "retracted": counts.retracted,
            "utterances": counts.utterances,
            "interruptions": counts.interruptions,
            "resumptions": counts.resumptions,
            "no_inputs": counts.no_inputs,
            "refused_replies": counts.refused_replies,
            "missed_replies": counts.missed_replies,
            "attempts": self._accounts.attempts,
            "failed_attempts": self._accounts.failed_attempts,
            "dropped_ms": self._dropped_ms,
            "disordered": self._disordered,
            "reconnects": self._reconnects,
            "degraded_ms": self._degraded_ms,
            "answered": len(counts.answered_ms),
            "answered_max_ms": max(counts.answered_ms, default=None),
        }
        self._log.info("call.ended", **about)
        self.trace.over(self._end.reason, about)

    def _keep(self, row: Row) -> None:
        self._tray.leave(row, self._not_kept)

    def _not_kept(self, row: Row, why: str) -> None:
        self.trouble(f"not in the store: {type(row).__name__}: {why}")
