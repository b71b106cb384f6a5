"""Reads a client's text-to-speech messages and refuses what the real service refuses (Soniox, "TTS WebSocket API")."""

from dataclasses import dataclass
from typing import Any

from voicebot.local.soniox.fields import Fields, parse_object
from voicebot.local.soniox.refusals import Refusal, Refused, invalid

MODELS = frozenset({"tts-rt-v2", "tts-rt-v1", "tts-rt-v1-preview"})
FORMATS = frozenset({"pcm_f32le", "pcm_s16le", "pcm_mulaw", "pcm_alaw", "wav"})
COMPRESSED = frozenset({"aac", "mp3", "opus", "flac"})
RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
DEFAULT_RATE = 24_000
MAX_ID = 256
MAX_TEXT = 5_000
MAX_NAME = 50
SLOWEST, FASTEST = 0.7, 1.3
MALFORMED = invalid("Request is malformed.")


class StreamRefused(Refused):
    """A message that concerns one stream is refused; `over` says that the stream ends (or never began)."""

    def __init__(self, stream_id: str, refusal: Refusal, *, over: bool) -> None:
        super().__init__(refusal)
        self.stream_id = stream_id
        self.over = over


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechConfig:
    """How one stream (or one REST request) is to sound."""

    language: str
    voice: str
    audio_format: str
    rate: int
    speed: float
    timestamps: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Open a stream."""

    stream_id: str
    config: SpeechConfig
    api_key: object


@dataclass(frozen=True, slots=True)
class Text:
    """Text to speak; `end` says that no more follows."""

    stream_id: str
    text: str
    end: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a stream: no more audio of it."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The client is still there."""


type Message = Start | Text | Cancel | KeepAlive


def read_message(text: str, languages: frozenset[str]) -> Message:
    """One client message; `languages` are what the voice speaks (empty: any). Raises StreamRefused or Refused."""
    raw = parse_object(text, MALFORMED)
    if raw.get("keep_alive") is not None:
        return KeepAlive()
    stream_id = _stream_id(raw)
    try:
        return _about_stream(stream_id, raw, languages)
    except Refused as refused:
        raise StreamRefused(stream_id, refused.refusal, over=True) from refused


def _about_stream(stream_id: str, raw: dict[str, Any], languages: frozenset[str]) -> Message:
    fields = Fields(raw)
    if fields.flag("cancel", default=False):
        return Cancel(stream_id)
    if "text" in raw or "text_end" in raw:
        too_long = f"Text is too long (max length {MAX_TEXT})."
        text = fields.text("text", longest=MAX_TEXT, too_long=too_long) or ""
        return Text(stream_id, text, fields.flag("text_end", default=False))
    return Start(stream_id, read_speech_config(raw, languages), raw.get("api_key"))


def read_speech_config(raw: dict[str, Any], languages: frozenset[str]) -> SpeechConfig:
    """The fields that a stream and a REST request share; raises Refused."""
    fields = Fields(raw)
    if _required(fields, "model") not in MODELS:
        raise Refused(Refusal(400, "model_not_available", f"Invalid model specified: {raw['model']}."))
    fields.integer("bitrate", 1, 1_000_000)
    fields.flag("reduce_silence", default=False)
    return SpeechConfig(
        language=_language(_required(fields, "language"), languages),
        voice=_required(fields, "voice"),
        audio_format=_format(_required(fields, "audio_format")),
        rate=_rate(raw.get("sample_rate")),
        speed=fields.number("speed", SLOWEST, FASTEST) or 1.0,
        timestamps=fields.flag("return_timestamps", default=False),
    )


def _stream_id(raw: dict[str, Any]) -> str:
    value = raw.get("stream_id")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise Refused(invalid(f"stream_id must be a string of 1 to {MAX_ID} characters."))
    return value


def _required(fields: Fields, name: str) -> str:
    value = fields.text(name, longest=MAX_NAME)
    if not value:
        raise Refused(invalid(f"Missing {name.replace('_', ' ')}."))
    return value


def _language(language: str, languages: frozenset[str]) -> str:
    code = language.partition("-")[0].lower()
    if languages and code not in languages:
        raise Refused(invalid(f"Invalid language: {language}. The local voice speaks {', '.join(sorted(languages))}."))
    return code


def _format(name: str) -> str:
    if name in COMPRESSED:
        raise Refused(
            invalid(f"Invalid audio format: the local server does not write {name}, only {', '.join(sorted(FORMATS))}.")
        )
    if name not in FORMATS:
        raise Refused(invalid(f"Invalid audio format: {name}"))
    return name


def _rate(value: object) -> int:
    if value is None:
        return DEFAULT_RATE
    if not isinstance(value, int) or value not in RATES:
        raise Refused(invalid(f"Invalid sample rate: choose one of {', '.join(map(str, RATES))}."))
    return value


def not_found(stream_id: str) -> StreamRefused:
    """Text or cancel for a stream that is not open."""
    text = f"Stream {stream_id} not found. Send a start message first."
    return StreamRefused(stream_id, Refusal(400, "invalid_stream_state", text), over=False)


def already_open(stream_id: str) -> StreamRefused:
    """A second start for an open stream, which itself goes on."""
    return StreamRefused(
        stream_id, Refusal(400, "invalid_stream_state", f"Stream {stream_id} already exists."), over=False
    )


def text_after_end(stream_id: str) -> StreamRefused:
    """More text for a stream whose text was declared complete; the stream goes on with what it has."""
    refusal = Refusal(400, "invalid_stream_state", f"Stream {stream_id} received text after text_end.")
    return StreamRefused(stream_id, refusal, over=False)


def too_many(stream_id: str, most: int) -> StreamRefused:
    """A start above the limit of streams per connection."""
    text = f"Maximum concurrent streams ({most}) reached."
    return StreamRefused(stream_id, Refusal(400, "max_concurrent_streams_reached", text), over=True)
