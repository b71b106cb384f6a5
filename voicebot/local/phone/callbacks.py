"""Status callbacks of the call and of its streams, posted in order beside the call."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal

import aiohttp

from voicebot.local.phone.codes import CALLBACK_REFUSED
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.options import CallEvent, CallOptions
from voicebot.local.phone.parameters import CallStatus, call_parameters
from voicebot.local.phone.webhooks import Ask, WebhookFailure, Webhooks

_STATUS_OF: Final[dict[CallEvent, CallStatus]] = {
    "initiated": "initiated",
    "ringing": "ringing",
    "answered": "in-progress",
    "completed": "completed",
}
_SECONDS_PER_MINUTE: Final = 60

type StreamEvent = Literal["stream-started", "stream-stopped", "stream-error"]


class Callbacks:
    """Queues callbacks and posts them one after another, so that a slow receiver delays only other callbacks."""

    def __init__(self, options: CallOptions, call_sid: str, webhooks: Webhooks, journal: Journal) -> None:
        self._options = options
        self._call_sid = call_sid
        self._webhooks = webhooks
        self._journal = journal
        self._queue: asyncio.Queue[Ask] = asyncio.Queue(options.limits.callbacks)
        self._sequence = 0

    def call(self, event: CallEvent, duration_s: int | None = None, status: CallStatus | None = None) -> None:
        """Report the call's progress, if a status callback is configured for this event."""
        options = self._options
        if options.status_callback is None or event not in options.status_callback_events:
            return
        parameters = call_parameters(options, self._call_sid, status or _STATUS_OF[event]) | {
            "Timestamp": format_datetime(datetime.now(UTC)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._sequence),
        }
        self._sequence += 1
        if duration_s is not None:
            minutes = -(-duration_s // _SECONDS_PER_MINUTE)
            parameters |= {"CallDuration": str(duration_s), "Duration": str(minutes), "SipResponseCode": "200"}
        self._put(Ask(f"call status {event}", options.status_callback, options.status_callback_method, parameters))

    def stream(self, target: tuple[str, str], sid: str, name: str, event: StreamEvent, error: str = "") -> None:
        """Report a stream's progress to `target`, its callback's URL and method."""
        url, method = target
        parameters = {
            "AccountSid": self._options.account_sid,
            "CallSid": self._call_sid,
            "StreamSid": sid,
            "StreamName": name,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            parameters["StreamError"] = error
        self._put(Ask(event, url, method, parameters))

    def close(self) -> None:
        """No more callbacks follow; `run` ends when those queued are posted."""
        self._queue.shutdown()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Post callbacks until closed."""
        while True:
            try:
                ask = await self._queue.get()
            except asyncio.QueueShutDown:
                return
            try:
                answer = await self._webhooks.ask(session, ask)
            except WebhookFailure as failure:
                self._journal.trouble(CALLBACK_REFUSED, f"{ask.purpose}: {failure}")
                continue
            if not answer.ok:
                self._journal.trouble(CALLBACK_REFUSED, f"{ask.purpose}: {ask.url}: HTTP {answer.status}")

    def _put(self, ask: Ask) -> None:
        try:
            self._queue.put_nowait(ask)
        except asyncio.QueueFull:
            self._journal.trouble(CALLBACK_REFUSED, f"{ask.purpose}: dropped, the receiver is too slow")
