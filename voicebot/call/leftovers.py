"""The calls that an earlier process left without an end: they come back, or are told as over."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog

from voicebot.call.eyes import Eyes
from voicebot.call.past import Past, past_of
from voicebot.call.reporter import open_reporter
from voicebot.call.rooms import Rooms
from voicebot.call.scribe import Scribe
from voicebot.call.trace import CallTrace
from voicebot.config import NumberSettings
from voicebot.core.actions import HangUp
from voicebot.courier import Outcome
from voicebot.errors import VoicebotError
from voicebot.store import unended_call, unended_ids

type Mine = Callable[[str], bool]
"""Says of a carrier's call id whether this process may go on with the call, and end it."""


class Leftovers:
    """Known by the carrier's id from the start of the process on; whoever asks for one gets it once."""

    def __init__(self, rooms: Rooms, mine: Mine) -> None:
        self._rooms, self._mine = rooms, mine
        self._waiting: dict[str, str] = {}
        self._since = datetime.now(UTC)
        self._log = structlog.get_logger()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, call_id: object) -> bool:
        """Whether the call of this id (ours, not the carrier's) may still come back."""
        return call_id in self._waiting.values()

    async def load(self) -> None:
        """Find them, before the first request is taken; a store out of order leaves them to the next start."""
        self._since = datetime.now(UTC)
        if not self._rooms.settings.webhook.background:
            return  # another process owns this database's calls
        try:
            found = await unended_ids(self._rooms.store)
        except VoicebotError as error:
            self._log.warning("service.leftovers_unreadable", why=str(error))
            return
        # Of several visits of one call only the last can still be on the line.
        self._waiting = {carrier: call for call, carrier in found if self._mine(carrier)}
        for call, carrier in found:
            if self._mine(carrier) and self._waiting[carrier] != call:
                self._waiting[call] = call
        if self._waiting:
            self._log.info("service.calls_left", calls=len(self._waiting))

    def known(self, carrier_id: str) -> bool:
        """Whether a call of this carrier id may come back."""
        return carrier_id in self._waiting

    def all(self) -> Iterable[str]:
        """Return the carrier ids of those that wait."""
        return tuple(self._waiting)

    def options(self, direction: str, from_: str, to: str) -> NumberSettings:
        """Return the settings of our side's number."""
        return self._rooms.settings.number(from_ if direction == "outbound" else to)

    async def take(self, carrier_id: str) -> Past | None:
        """Return the past of a call that is to go on, None when it does not; raises what the store raises."""
        past = await self._past(carrier_id)
        if past is None:
            return None
        if past.ended or isinstance(past.course.leaving, HangUp):
            await self._end(past, past.ended or "bot_hangup")
            return None
        return past

    async def take_dialing(self, carrier_id: str) -> Past | None:
        """Return the past of a call whose caller talks to somebody else: nobody asks for it before that is over."""
        call_id = self._waiting.get(carrier_id)
        kept = await unended_call(self._rooms.store, call_id) if call_id else None
        return await self.take(carrier_id) if kept and kept.course.get("dialing") else None

    async def end(self, carrier_id: str, reason: str) -> None:
        """Tell that a call is over that does not come back; raises what the store raises."""
        past = await self._past(carrier_id)
        if past is None:
            return
        if past.seen_at > self._since:
            self._log.warning("service.call_lives_elsewhere", call=past.identity.id)
            return
        await self._end(past, past.ended or reason)

    async def _past(self, carrier_id: str) -> Past | None:
        call_id = self._waiting.get(carrier_id)
        kept = await unended_call(self._rooms.store, call_id) if call_id else None
        if self._waiting.pop(carrier_id, None) is None or kept is None:
            return None  # somebody else was faster, or it was deleted
        summary = kept.record.summary
        try:
            return past_of(kept, self.options(summary.direction, summary.from_number, summary.to_number))
        except (ValueError, KeyError, TypeError) as error:
            self._log.error("service.call_unreadable", call=call_id, why=str(error))
            return None

    async def _end(self, past: Past, reason: str) -> None:
        """Write the call's end, its event first: killed in between, the next process finds the event and writes the rest."""
        identity, settings = past.identity, self._rooms.settings
        options = past.course.options
        eyes = Eyes(options.redaction)
        reporter = open_reporter(identity, eyes.webhook, settings)
        reporter.go_on(past)
        trace = CallTrace(self._rooms.tracing, identity, options.mode)
        event = reporter.call_ended(reason, past.seen_at)
        if not past.ended:
            url = options.webhook_url or settings.webhook.url
            lane = self._rooms.courier.lane(
                identity.id, url, settings.webhook.secrets, _nobody, parent=trace.span, forgets=eyes.forgets
            )
            await lane.leave(event)
        scribe = Scribe(identity, options.mode, eyes, self._rooms, trace)
        scribe.closed(reason, event.data.duration_ms, reporter.counts, past.state)
        scribe.summed_up(reporter.counts)
        await scribe.written()


async def _nobody(_outcome: Outcome) -> None:
    """The call is over: nobody performs anything."""
