"""Hands over the actions of a streamed reply while the application is still writing it."""

from http import HTTPStatus

from pydantic import JsonValue

from voicebot.config import WebhookSettings
from voicebot.courier.flight import Flight, now
from voicebot.courier.poster import PLAIN, Head
from voicebot.courier.report import Report
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_reply import UNSET, Unset
from voicebot.wire.webhook_stream import Part, ReplyStream, open_stream


class Intake:
    """Takes one attempt's answer as it comes; what is no stream passes untouched.

    Until the first action is there a stream is like any other answer: it can be late, tried again, refused. A state
    that comes before it waits for it.
    """

    def __init__(self, flight: Flight, report: Report, settings: WebhookSettings) -> None:
        self.refusal: ReplyRefused | None = None
        self._flight = flight
        self._report = report
        self._settings = settings
        self._head: Head | None = None
        self._stream: ReplyStream | None = None
        self._state: JsonValue | Unset = UNSET

    async def hear(self, head: Head, chunk: bytes) -> bool:
        """Take the next piece of the answer; False when nothing more of it is of use."""
        if self._flight.late:
            return False
        if self._head is None:
            self._head = head
            self._stream = self._open(head)
        if self._stream is None:
            return True
        await self._hand_over(head, self._stream.push(chunk))
        return self.refusal is None

    async def end(self) -> None:
        """The answer has ended as it should."""
        if self._head is not None and self._stream is not None:
            await self._hand_over(self._head, self._stream.end())

    async def _hand_over(self, head: Head, part: Part) -> None:
        self.refusal = part.refusal
        self._state = self._state if part.state is UNSET else part.state
        if part.actions and not self._flight.begun.done():
            self._flight.begin()
        if not self._flight.begun.done():
            return
        # The application does not have to answer for the time that its actions wait here.
        over = head.first_byte_at + self._settings.stream_timeout_s
        self._flight.limit(over, f"the stream took longer than {self._settings.stream_timeout_s:g} s")
        if part.actions or self._state is not UNSET:
            state, self._state = self._state, UNSET
            await self._report.streamed(self._flight.item, head, part.actions, state)
        silent = now() + self._settings.stream_idle_s
        if silent < over:
            self._flight.limit(silent, f"nothing came for {self._settings.stream_idle_s:g} s")

    def _open(self, head: Head) -> ReplyStream | None:
        success = HTTPStatus.OK <= head.status < HTTPStatus.MULTIPLE_CHOICES
        if not success or head.status == HTTPStatus.NO_CONTENT or head.content_encoding != PLAIN:
            return None
        return open_stream(
            head.content_type, max_bytes=self._settings.max_reply_bytes, handover=self._settings.handover
        )
