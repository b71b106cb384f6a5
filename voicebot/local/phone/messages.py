"""The messages of Twilio Media Streams, as Twilio writes its own and as it judges the service's."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from voicebot.local.phone.codes import SCHEMA_INVALID

#: What the answer of `Reader` quotes from a bad message, in characters.
QUOTED_CHARS: Final = 120

type MediaTrack = Literal["inbound", "outbound"]


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The three identifiers that go with every stream."""

    account_sid: str
    call_sid: str
    stream_sid: str


def connected() -> str:
    """The first message of a socket; it carries neither streamSid nor sequenceNumber."""
    return _text({"event": "connected", "protocol": "Call", "version": "1.0.0"})


class MessageWriter:
    """Writes one stream's messages in order; the sequence counts every message except `connected`, from "1"."""

    def __init__(self, identity: StreamIdentity) -> None:
        self._identity = identity
        self._sequence = 0
        self._chunk = 0

    def start(self, tracks: tuple[MediaTrack, ...], parameters: Mapping[str, str]) -> str:
        """`start`: once, before any audio."""
        body = {
            "accountSid": self._identity.account_sid,
            "streamSid": self._identity.stream_sid,
            "callSid": self._identity.call_sid,
            "tracks": list(tracks),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters),
        }
        return self._message("start", body)

    def media(self, track: MediaTrack, timestamp_ms: int, audio: bytes) -> str:
        """`media`: µ-law bytes of one track; both tracks share one chunk counter (Twilio's own two-track example)."""
        self._chunk += 1
        payload = base64.b64encode(audio).decode()
        body = {"track": track, "chunk": str(self._chunk), "timestamp": str(timestamp_ms), "payload": payload}
        return self._message("media", body)

    def dtmf(self, digit: str) -> str:
        """`dtmf`: one key; the track is always spelled `inbound_track` here."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """`mark`: the service's mark comes back."""
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        """`stop`: the last message of a stream."""
        return self._message("stop", {"accountSid": self._identity.account_sid, "callSid": self._identity.call_sid})

    def other(self, event: str, body: Mapping[str, Any]) -> str:
        """Any other event, for what Twilio may add one day."""
        return self._message(event, body)

    def _message(self, event: str, body: Mapping[str, Any]) -> str:
        self._sequence += 1
        stream = self._identity.stream_sid
        return _text({"event": event, "sequenceNumber": str(self._sequence), event: body, "streamSid": stream})


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """The service sends audio for the caller: raw µ-law."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """The service wants to know when the audio so far has played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearBuffer:
    """The service wants silence now."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A message that Twilio ignores, with its code and what is wrong."""

    code: int
    message: str


type ServerMessage = PlayAudio | PlaceMark | ClearBuffer | Invalid


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _MediaBody(_Strict):
    payload: str


class _MarkBody(_Strict):
    name: str


class _Media(_Strict):
    event: Literal["media"]
    streamSid: str  # noqa: N815 - Twilio's spelling
    media: _MediaBody


class _Mark(_Strict):
    event: Literal["mark"]
    streamSid: str  # noqa: N815 - Twilio's spelling
    mark: _MarkBody


class _Clear(_Strict):
    event: Literal["clear"]
    streamSid: str  # noqa: N815 - Twilio's spelling


_SERVER_MESSAGE: Final[TypeAdapter[_Media | _Mark | _Clear]] = TypeAdapter(
    Annotated[_Media | _Mark | _Clear, Field(discriminator="event")],
)


def read(text: str, stream_sid: str) -> ServerMessage:
    """Judge one text message of the service as Twilio does (31951: extra or missing fields, wrong stream, no JSON)."""
    try:
        message = _SERVER_MESSAGE.validate_json(text)
    except ValidationError as error:
        return _invalid(f"{_reasons(error)}: {text[:QUOTED_CHARS]}")
    if message.streamSid != stream_sid:
        return _invalid(f"streamSid is {message.streamSid!r}, this stream is {stream_sid}")
    match message:
        case _Media(media=body):
            return _audio(body.payload)
        case _Mark(mark=mark):
            return PlaceMark(mark.name)
        case _Clear():
            return ClearBuffer()


def _audio(payload: str) -> ServerMessage:
    try:
        return PlayAudio(base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError) as error:
        return _invalid(f"media.payload is not base64 ({error}): {payload[:QUOTED_CHARS]}")


def _invalid(why: str) -> Invalid:
    return Invalid(SCHEMA_INVALID, why)


def _reasons(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or 'message'}: {one['msg']}" for one in error.errors()
    )


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
