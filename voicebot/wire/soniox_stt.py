"""Soniox's real-time speech-to-text protocol: messages out, events in."""

import json
from collections import Counter
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from voicebot.core.events import Endpoint, Finalized, Heard, Token
from voicebot.wire.soniox_errors import ErrorFrame, has_error, read_error
from voicebot.wire.soniox_json import LARGEST, entries, flag, integer, number, read_object, text, wrong

# Soniox knows one code for Norwegian and refuses the codes of its two written forms.
REFUSED_LANGUAGES = {"nb": "no", "nn": "no"}


def _check_language(code: str) -> str:
    if code in REFUSED_LANGUAGES:
        raise ValueError(f"Soniox does not know {code!r}; use {REFUSED_LANGUAGES[code]!r}")
    return code


type Language = Annotated[
    str,
    Field(pattern=r"^[a-z]{2}$", description="A two-letter language code (ISO 639-1)."),
    AfterValidator(_check_language),
]


class _Options(BaseModel):
    """What all parts of a configuration share."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class ContextItem(_Options):
    """A general fact about the conversation, for example the domain or who takes part."""

    key: str
    value: str


class TranslationTerm(_Options):
    """How one term is to be translated."""

    source: str
    target: str


class Context(_Options):
    """What the recogniser should know beforehand; Soniox takes 8,000 tokens in all (context)."""

    general: tuple[ContextItem, ...] = ()
    text: str = ""
    terms: tuple[str, ...] = ()
    translation_terms: tuple[TranslationTerm, ...] = ()


class OneWay(_Options):
    """Translate everything into one language."""

    type: Literal["one_way"] = "one_way"
    target_language: Language


class TwoWay(_Options):
    """Translate between two languages, each into the other."""

    type: Literal["two_way"] = "two_way"
    language_a: Language
    language_b: Language

    @model_validator(mode="after")
    def _check_two_languages(self) -> Self:
        if self.language_a == self.language_b:
            raise ValueError("language_a and language_b must differ")
        return self


class SttOptions(_Options):
    """How speech is recognised (Soniox, speech-to-text WebSocket API, configuration)."""

    model: Annotated[str, Field(min_length=1, max_length=100)] = "stt-rt-v5"
    language_hints: tuple[Language, ...] = ()
    """Languages to expect; improves accuracy much."""
    language_hints_strict: bool = False
    """Recognise only the hinted languages (best effort, most robust with one)."""
    context: Context | None = None
    enable_language_identification: bool = False
    """Name the language of each token."""
    enable_speaker_diarization: bool = False
    """Name the speaker of each token; a little less accurate together with early endpoints."""
    translation: Annotated[OneWay | TwoWay, Field(discriminator="type")] | None = None
    enable_endpoint_detection: bool = True
    """Let the recogniser say when an utterance is over (`<end>`)."""
    max_endpoint_delay_ms: Annotated[int, Field(ge=500, le=3_000)] | None = 1_500
    """Longest time between the end of speech and its endpoint; None leaves it to the model."""
    endpoint_sensitivity: Annotated[float, Field(ge=-1, le=1)] | None = 0.3
    """Higher gives more and earlier endpoints; None for models before v5, which refuse it."""
    endpoint_latency_adjustment_level: Annotated[int, Field(ge=0, le=3)] | None = 2
    """Higher gives earlier endpoints at some cost in accuracy; None for models before v5, which refuse it."""
    client_reference_id: Annotated[str, Field(max_length=256)] = ""
    """Shown in Soniox's usage logs; not for secrets."""

    @field_validator("language_hints")
    @classmethod
    def _check_unique(cls, hints: tuple[str, ...]) -> tuple[str, ...]:
        if doubled := sorted(code for code, count in Counter(hints).items() if count > 1):
            raise ValueError(f"language hints must be unique; given twice: {', '.join(doubled)}")
        return hints

    @model_validator(mode="after")
    def _check_strict(self) -> Self:
        if self.language_hints_strict and not self.language_hints:
            raise ValueError("language_hints_strict needs language_hints")
        return self


# --- out -------------------------------------------------------------------------------------------

FINALIZE = '{"type":"finalize"}'
"""Settle everything received so far; answered by one `<fin>` (manual finalization)."""
KEEPALIVE = '{"type":"keepalive"}'
"""Keeps a session without audio; not answered (connection keepalive)."""
END_OF_AUDIO = ""
"""An empty text frame; an empty binary frame would be a mere empty piece of audio."""
CONTAINER = "auto"
"""The audio format that the server finds out from the stream's own header."""
ENDPOINT_TUNING = {"max_endpoint_delay_ms", "endpoint_sensitivity", "endpoint_latency_adjustment_level"}


def headers(key: str) -> dict[str, str]:
    """Return the handshake headers; the key belongs here and nowhere else (WebSocket authentication)."""
    return {"Authorization": f"Bearer {key}"}


def config_message(
    options: SttOptions, audio_format: str = "mulaw", sample_rate: int = 8_000, num_channels: int = 1
) -> str:
    """Return the first message of a session; what is not set is left out, so that the model's own default holds."""
    unused = set() if options.enable_endpoint_detection else ENDPOINT_TUNING
    config = _without_empty(options.model_dump(mode="json", exclude=unused))
    config["audio_format"] = audio_format
    if audio_format != CONTAINER:
        config |= {"sample_rate": sample_rate, "num_channels": num_channels}
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"))


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    inner = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in inner.items() if value is not None and value not in ("", [], {})}


# --- in --------------------------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True):
    """One message: events in the order of the wire, and up to where audio is settled and heard (ms, offset added).

    There is always at least one `Heard`, and the last one carries the whole tentative tail, even an empty one.
    """

    events: tuple[Heard | Endpoint | Finalized, ...]
    final_ms: int | None
    total_ms: int | None
    finished: bool


NOTHING: tuple[Heard | Endpoint | Finalized, ...] = (Heard(),)
"""The events of Soniox's empty message: it says only that it is there."""
CONTROLS: dict[str | None, Endpoint | Finalized] = {"<end>": Endpoint(), "<fin>": Finalized()}


type _Ms = Annotated[int, msgspec.Meta(gt=-round(LARGEST), lt=round(LARGEST))]


class _Token(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A token as Soniox documents it (real-time API, tokens)."""

    text: str | None = None
    start_ms: _Ms | None = None
    end_ms: _Ms | None = None
    confidence: float | None = None
    is_final: bool | None = None
    speaker: str | None = None
    language: str | None = None
    source_language: str | None = None
    translation_status: str | None = None


class _Frame(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message without an error."""

    tokens: list[_Token] | None = None
    final_audio_proc_ms: _Ms | None = None
    total_audio_proc_ms: _Ms | None = None
    finished: bool | None = None


_decode = msgspec.json.Decoder(_Frame).decode


def read(message: str, base_ms: int = 0) -> Message | ErrorFrame:
    """Read one message of the server, adding `base_ms` to every time; raises PeerProtocolError naming the wrong field.

    Tokens behind `<end>` or `<fin>` in the same message belong to the next utterance. Messages as they are documented
    take a short way; whatever it does not know goes the long way, which decides.
    """
    return read_documented(message, base_ms) or read_any(message, base_ms)


def read_documented(message: str, base_ms: int = 0) -> Message | None:
    """Read a message that is exactly as Soniox documents it; None for anything else, right or wrong."""
    try:
        frame = _decode(message)
    except (msgspec.MsgspecError, ValueError):
        return None
    tokens = frame.tokens or []
    for token in tokens:
        if token.confidence is not None and not -LARGEST < token.confidence < LARGEST:
            return None
    return _message(frame, tokens, base_ms)


def read_any(message: str, base_ms: int = 0) -> Message | ErrorFrame:
    """Read any message the long way; raises PeerProtocolError."""
    frame = read_object(message)
    if has_error(frame):
        return read_error(frame)
    tokens = [_token(token, f"tokens[{index}]") for index, token in enumerate(entries(frame, "tokens"))]
    read_frame = _Frame(
        final_audio_proc_ms=integer(frame, "final_audio_proc_ms"),
        total_audio_proc_ms=integer(frame, "total_audio_proc_ms"),
        finished=flag(frame, "finished"),
    )
    return _message(read_frame, tokens, base_ms)


def _token(token: object, where: str) -> _Token:
    """Read one token; nothing but their text matters in those that are left out and in those that control."""
    if not isinstance(token, dict):
        raise wrong(where, "an object", token)
    where += "."
    written, final = text(token, "text", where), flag(token, "is_final", where)
    if not written or written in CONTROLS:
        return _Token(text=written, is_final=final)
    confidence = token.get("confidence")
    return _Token(
        text=written,
        is_final=final,
        start_ms=integer(token, "start_ms", where),
        end_ms=integer(token, "end_ms", where),
        confidence=None if confidence is None else number(confidence, where + "confidence"),
        speaker=text(token, "speaker", where),
        language=text(token, "language", where),
        source_language=text(token, "source_language", where),
        translation_status=text(token, "translation_status", where),
    )


def _message(frame: _Frame, tokens: list[_Token], base_ms: int) -> Message:
    final, total = frame.final_audio_proc_ms, frame.total_audio_proc_ms
    return Message(
        events=_events(tokens, base_ms),
        final_ms=None if final is None else final + base_ms,
        total_ms=None if total is None else total + base_ms,
        finished=frame.finished is True,
    )


def _events(tokens: list[_Token], base_ms: int) -> tuple[Heard | Endpoint | Finalized, ...]:
    events: list[Heard | Endpoint | Finalized] = []
    settled: list[Token] = []
    tentative: list[Token] = []
    for token in tokens:
        written = token.text
        if written in CONTROLS:
            if token.is_final:  # they are never tentative
                if settled or not events:
                    events.append(Heard(tuple(settled)))
                    settled.clear()
                events.append(CONTROLS[written])
        elif written:
            start, end = token.start_ms, token.end_ms
            heard = Token(
                written,
                None if start is None else start + base_ms,
                None if end is None else end + base_ms,
                token.confidence,
                token.speaker,
                token.language,
                token.source_language,
                token.translation_status == "translation",
            )
            (settled if token.is_final else tentative).append(heard)
    if settled or tentative or not events:
        events.append(Heard(tuple(settled), tuple(tentative)))
    return tuple(events)
