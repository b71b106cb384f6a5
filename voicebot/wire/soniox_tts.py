"""Soniox's real-time text-to-speech protocol: messages out, events in."""

import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from voicebot.errors import PeerProtocolError
from voicebot.text import whole
from voicebot.wire.soniox_errors import PEER, ErrorFrame, has_error, read_error
from voicebot.wire.soniox_json import LARGEST, entries, flag, number, read_object, text
from voicebot.wire.soniox_stt import Language

# Here µ-law is called `pcm_mulaw`; in speech-to-text it is `mulaw`.
AUDIO_FORMAT = "pcm_mulaw"
SAMPLE_RATE = 8_000
MAX_AUDIO_BYTES = 120 * SAMPLE_RATE
"""Soniox ends a stream after two minutes of audio (limits and quotas)."""
KEEPALIVE = '{"keep_alive":true}'
"""Keeps the connection, not its streams; speech-to-text has another form."""


class VoiceOptions(BaseModel):
    """How the bot speaks (Soniox, text-to-speech WebSocket API, start message)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    model: Annotated[str, Field(min_length=1, max_length=100)] = "tts-rt-v2"
    language: Language = "en"
    voice: Annotated[str, Field(min_length=1, max_length=100)] = "Adrian"
    """A voice of Soniox's list; every voice speaks every language."""
    speed: Annotated[float, Field(ge=0.7, le=1.3)] | None = None
    """1 is the voice's own pace."""
    reduce_silence: bool | None = None
    """Shorten pauses inside the speech."""


# --- out -------------------------------------------------------------------------------------------


def start_message(stream_id: str, options: VoiceOptions) -> str:
    """Return the message that opens a stream; a stream without text is closed after some seconds, so text follows it."""
    return _json(
        {
            "stream_id": stream_id,
            **options.model_dump(mode="json", exclude_none=True),
            "audio_format": AUDIO_FORMAT,
            "sample_rate": SAMPLE_RATE,
            "return_timestamps": True,
        }
    )


def text_message(stream_id: str, piece: str, *, last: bool) -> str:
    """Return a piece of text, at most 5,000 characters; the last one may be empty and makes Soniox speak the rest."""
    return _json({"stream_id": stream_id, "text": piece, "text_end": last})


def cancel_message(stream_id: str) -> str:
    """Return the message that ends a stream early; answered by `Terminated`, audio may still arrive before it."""
    return _json({"stream_id": stream_id, "cancel": True})


def _json(message: dict[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


# --- in --------------------------------------------------------------------------------------------

type Character = tuple[str, int, int]
"""A character and when it is spoken: from and to, in milliseconds from the start of the stream."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Raw µ-law audio, 8 kHz; `last` says that no more comes."""

    stream_id: str
    audio: bytes
    characters: tuple[Character, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class Terminated:
    """The stream is over, its id is free again."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class TtsError:
    """A stream failed, or without `stream_id` the whole connection."""

    stream_id: str | None
    error: ErrorFrame


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is legal but means nothing to us."""


type TtsEvent = Speech | Terminated | TtsError | Ignored


type _Seconds = Annotated[float, msgspec.Meta(gt=-LARGEST, lt=LARGEST)]


class _Timestamps(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """When characters are spoken, in seconds."""

    characters: list[str]
    character_start_times_seconds: list[_Seconds]
    character_end_times_seconds: list[_Seconds]


class _Frame(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of speech as Soniox documents it (text-to-speech WebSocket API, audio message)."""

    stream_id: str
    audio: bytes
    audio_end: bool = False
    timestamps: _Timestamps | None = None


_decode = msgspec.json.Decoder(_Frame).decode


def read(message: str) -> TtsEvent:
    """Read one message of the server; raises PeerProtocolError naming the wrong field.

    Speech as it is documented takes a short way; whatever that does not know goes the long way, which decides.
    """
    return read_speech(message) or read_any(message)


def read_speech(message: str) -> Speech | None:
    """Read a piece of speech that is exactly as Soniox documents it; None for anything else, right or wrong."""
    try:
        frame = _decode(message)
        characters = _spoken(frame.timestamps) if frame.timestamps else ()
    except (msgspec.MsgspecError, ValueError):  # the latter for lists of different lengths
        return None
    speech = Speech(frame.stream_id, frame.audio, characters, frame.audio_end)
    return speech if speech.stream_id and speech.audio else None


def _spoken(timestamps: _Timestamps) -> tuple[Character, ...]:
    starts = [round(seconds * 1_000) for seconds in timestamps.character_start_times_seconds]
    ends = [round(seconds * 1_000) for seconds in timestamps.character_end_times_seconds]
    return tuple(zip(timestamps.characters, starts, ends, strict=True))


def read_any(message: str) -> TtsEvent:
    """Read any message the long way; raises PeerProtocolError."""
    frame = read_object(message)
    stream_id = text(frame, "stream_id")
    if has_error(frame):
        return TtsError(stream_id, read_error(frame))
    terminated, last = flag(frame, "terminated"), flag(frame, "audio_end")
    audio, timestamps = text(frame, "audio"), frame.get("timestamps")
    if not (terminated or last or audio or timestamps):
        return Ignored()
    if not stream_id:
        raise PeerProtocolError(PEER, "stream_id: missing")
    if terminated:
        return Terminated(stream_id)
    return Speech(stream_id, _audio(audio or ""), _characters(timestamps), last)


def _audio(encoded: str) -> bytes:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as error:  # binascii's errors are among them
        raise PeerProtocolError(PEER, f"audio: not base64: {error}") from None


def _characters(timestamps: Any) -> tuple[Character, ...]:
    if timestamps is None:
        return ()
    if not isinstance(timestamps, dict):
        raise PeerProtocolError(PEER, f"timestamps: expected an object, got {type(timestamps).__name__}")
    where = "timestamps."
    characters = entries(timestamps, "characters", where)
    starts = _milliseconds(timestamps, "character_start_times_seconds")
    ends = _milliseconds(timestamps, "character_end_times_seconds")
    if not len(characters) == len(starts) == len(ends):
        raise PeerProtocolError(PEER, "timestamps: the three lists have different lengths")
    if not all(isinstance(character, str) for character in characters):
        raise PeerProtocolError(PEER, "timestamps.characters: expected strings")
    return tuple(zip(map(whole, characters), starts, ends, strict=True))


def _milliseconds(timestamps: dict[str, Any], field: str) -> list[int]:
    where = f"timestamps.{field}"
    return [round(number(seconds, where) * 1_000) for seconds in entries(timestamps, field, "timestamps.")]
