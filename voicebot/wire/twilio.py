"""Twilio Media Streams messages, read and written exactly, and Twilio's request signatures."""

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

import msgspec
from twilio.request_validator import RequestValidator

from voicebot.core.events import (
    CarrierEvent,
    Digit,
    Ignored,
    MarkReached,
    Media,
    StreamStarted,
    StreamStopped,
    Track,
)
from voicebot.errors import PeerProtocolError

PEER = "twilio"
ENCODING, SAMPLE_RATE, CHANNELS = "audio/x-mulaw", 8_000, 1
# Twilio names tracks from its own side (WebSocket messages, media message).
TRACKS: Mapping[str, Track] = {"inbound": "caller", "outbound": "agent"}
KEYS = frozenset("0123456789*#ABCD")
SURROGATES = re.compile("[\ud800-\udfff]")
MAX_DIGITS = 18
"""Longest number taken."""


class _Body(msgspec.Struct, gc=False):
    """What we take from a media message; the payload comes as base64 (Twilio Media Streams, media message)."""

    track: Literal["inbound", "outbound"]
    timestamp: str
    payload: bytes


class _Frame(msgspec.Struct, gc=False):
    """A media message, of which there are fifty a second and track."""

    event: Literal["media"]
    media: _Body


class _Payload(msgspec.Struct, gc=False):
    """What the caller is to hear; written as base64."""

    payload: bytes


class _Speech(msgspec.Struct, tag_field="event", tag="media", gc=False):
    """A media message to the carrier (Twilio Media Streams, media message)."""

    streamSid: str  # noqa: N815 - Twilio's name
    media: _Payload


_decode, _encode = msgspec.json.Decoder(_Frame).decode, msgspec.json.Encoder().encode


def read(message: str | bytes) -> CarrierEvent:
    """Read one text message of the stream; raises PeerProtocolError that names the faulty field.

    Unknown events become Ignored and unknown fields are passed over: Twilio adds both without notice. Media messages as
    they are today take a short way; whatever it does not know goes the long way, which decides.
    """
    return read_frame(message) or read_any(message)


def read_frame(message: str | bytes) -> Media | None:
    """Read a media message with what Twilio documents of it; None for anything else, right or wrong."""
    try:
        body = _decode(message).media
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # the last for fields that are passed over, however deep
    timestamp = body.timestamp
    # In fields that it passes over the decoder lets bytes through that are no UTF-8.
    if not (message.isascii() and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MAX_DIGITS):
        return None
    return Media(TRACKS[body.track], int(timestamp), body.payload) if body.payload else None


def read_any(message: str | bytes) -> CarrierEvent:
    """Read any message the long way; raises PeerProtocolError."""
    try:
        document = json.loads(message if isinstance(message, str) else message.decode())
    except (ValueError, RecursionError) as error:
        raise PeerProtocolError(PEER, f"media stream message is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise PeerProtocolError(PEER, "media stream message is not a JSON object")
    match event := _text(document, "event"):
        case "media":
            return _media(_object(document, "media"))
        case "start":
            return _start(_object(document, "start"))
        case "dtmf":
            return _dtmf(_object(document, "dtmf"))
        case "mark":
            return MarkReached(_text(_object(document, "mark"), "name", "mark."))
        case "stop":
            return StreamStopped("stop")
        case _:
            return Ignored(event[:100])


def media(stream_id: str, payload: bytes) -> bytes:
    """Write audio for the caller: raw µ-law of any length; the carrier buffers and paces it."""
    return _encode(_Speech(stream_id, _Payload(payload)))


def mark(stream_id: str, name: str) -> bytes:
    """Write a mark; it is echoed once everything before it was played, or cleared."""
    return _encode({"event": "mark", "streamSid": stream_id, "mark": {"name": name}})


def clear(stream_id: str) -> bytes:
    """Write the order to throw away all audio that has not been played."""
    return _encode({"event": "clear", "streamSid": stream_id})


class Signatures:
    """Checks requests with Twilio's own validator against the account's auth token (Twilio, webhooks security)."""

    def __init__(self, auth_token: str) -> None:
        self._validator = RequestValidator(auth_token)

    def valid_request(self, url: str, form: Mapping[str, Any], signature: str) -> bool:
        """Check a form POST; `url` is the public URL exactly as Twilio requested it, with its query."""
        return bool(self._validator.validate(url, form, signature))

    def valid_upgrade(self, url: str, signature: str) -> bool:
        """Check a WebSocket handshake; `url` is the `wss://` URL as in the TwiML.

        Twilio advises to try a trailing slash too, and its validator knows the default port of https alone.
        """
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        with_port = f"{scheme}://{host}:443{slash}{path}"
        return any(self._validator.validate(form, {}, signature) for form in (url, url + "/", with_port))


def _media(body: Mapping[str, Any]) -> Media:
    try:
        payload = binascii.a2b_base64(_text(body, "payload", "media."), strict_mode=True)
    except ValueError as error:  # also for letters beyond ASCII
        raise PeerProtocolError(PEER, f"media.payload is not base64: {error}") from error
    return Media(_track(_text(body, "track", "media.")), _number(body, "timestamp", "media."), payload)


def _start(body: Mapping[str, Any]) -> StreamStarted:
    tracks = body.get("tracks")
    if not isinstance(tracks, list) or not tracks:
        raise PeerProtocolError(PEER, "start.tracks is not a list of track names")
    parameters = body.get("customParameters") or {}
    if not isinstance(parameters, dict) or not all(map(_is_text, (*parameters, *parameters.values()))):
        raise PeerProtocolError(PEER, "start.customParameters is not an object of strings")
    media_format = _object(body, "mediaFormat", "start.")
    return StreamStarted(
        stream_id=_text(body, "streamSid", "start."),
        call_id=_text(body, "callSid", "start."),
        account_id=_text(body, "accountSid", "start."),
        tracks=tuple(_track(name) for name in tracks),
        encoding=_text(media_format, "encoding", "start.mediaFormat."),
        sample_rate=_number(media_format, "sampleRate", "start.mediaFormat."),
        channels=_number(media_format, "channels", "start.mediaFormat."),
        parameters=parameters,
    )


def _dtmf(body: Mapping[str, Any]) -> Digit:
    digit = _text(body, "digit", "dtmf.")
    if digit not in KEYS:
        raise PeerProtocolError(PEER, "dtmf.digit is not a key")
    return Digit(digit)


def _track(name: object) -> Track:
    if isinstance(name, str) and (track := TRACKS.get(name)):
        return track
    raise PeerProtocolError(PEER, "a track is neither inbound nor outbound")


def _object(body: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    value = body.get(key)
    if not isinstance(value, dict):
        raise PeerProtocolError(PEER, f"{where}{key} is not an object")
    return value


def _text(body: Mapping[str, Any], key: str, where: str = "") -> str:
    value = body.get(key)
    if not _is_text(value) or not value:
        raise PeerProtocolError(PEER, f"{where}{key} is not a string")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """JSON can spell halves of characters, which are no text: no socket and no database takes them."""
    return isinstance(value, str) and (value.isascii() or not SURROGATES.search(value))


def _number(body: Mapping[str, Any], key: str, where: str = "") -> int:
    """Numbers come as strings or as numbers, depending on the field."""
    value = body.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_DIGITS:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        return int(value)
    raise PeerProtocolError(PEER, f"{where}{key} is not a whole number")
