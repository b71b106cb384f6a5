"""Reads a speech-to-text start request and refuses what the real service refuses (Soniox, "WebSocket API", configuration)."""

import json
from dataclasses import dataclass
from typing import Any

from voicebot.local.soniox.endpoint import (
    DEFAULT_MAX_DELAY_MS,
    MAX_DELAY_MS,
    MAX_LEVEL,
    MIN_DELAY_MS,
    EndpointSettings,
)
from voicebot.local.soniox.fields import Fields, parse_object
from voicebot.local.soniox.formats import CONTAINERS, AudioFormat, raw_format
from voicebot.local.soniox.languages import ENGLISH, KNOWN
from voicebot.local.soniox.refusals import START_MALFORMED, Refusal, Refused, invalid

MODELS = frozenset({"stt-rt-v5", "stt-rt-v4", "stt-rt-v3", "stt-rt-preview"})
OLD_MODELS = frozenset({"stt-rt-v3", "stt-rt-preview"})
"""Without the endpoint fields that came with v5; v4 is an alias of v5 by now."""
MAX_REFERENCE = 256
MAX_CONTEXT_TOKENS = 8_000
CHARACTERS_PER_TOKEN = 4
"""The real tokenizer is not public; four characters per token is the usual estimate for English."""
LOWEST_RATE, HIGHEST_RATE = 2_000, 192_000
MAX_CHANNELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SttConfig:
    """One session's settings, checked."""

    model: str
    audio: AudioFormat
    endpoint: EndpointSettings | None
    language_hints: tuple[str, ...]
    identify_language: bool
    diarize: bool
    translation: dict[str, Any] | None
    non_final_tokens: bool
    reference: str


def read_start(text: str) -> dict[str, Any]:
    """The JSON object of a start request; raises Refused when it is not one."""
    return parse_object(text, START_MALFORMED)


def read_config(raw: dict[str, Any], *, english_only: bool) -> SttConfig:
    """
    Check every field of a start request; raises Refused with the real service's text.

    `english_only`: the engines know English and no translation, so anything else is refused instead of guessed.
    """
    fields = Fields(raw)
    model = _model(fields)
    _check_context(raw.get("context"))
    return SttConfig(
        model=model,
        audio=_audio(fields),
        endpoint=_endpoint(fields, model),
        language_hints=_hints(fields, english_only=english_only),
        identify_language=fields.flag("enable_language_identification", default=False),
        diarize=fields.flag("enable_speaker_diarization", default=False),
        translation=_translation(raw.get("translation"), english_only=english_only),
        non_final_tokens=fields.flag("enable_non_final_tokens", default=True),
        reference=_reference(fields),
    )


def _model(fields: Fields) -> str:
    model = fields.text("model")
    if not model:
        raise Refused(invalid("Missing model."))
    if model not in MODELS:
        raise Refused(Refusal(400, "model_not_available", f"Invalid model specified: {model}."))
    return model


def _audio(fields: Fields) -> AudioFormat:
    name = fields.text("audio_format")
    if not name:
        known = "auto, aac, aiff, amr, asf, flac, mp3, ogg, wav, webm, pcm_s16le, mulaw, alaw"
        raise Refused(invalid(f"Missing audio format. Valid formats: {known}."))
    if name in CONTAINERS:
        return AudioFormat(name)
    sample = raw_format(name)
    if sample is None:
        raise Refused(invalid(f"Invalid audio data format: {name}"))
    rate = fields.integer("sample_rate", LOWEST_RATE, HIGHEST_RATE)
    if rate is None:
        raise Refused(invalid("Audio data sample rate must be specified for PCM formats"))
    channels = fields.integer("num_channels", 1, MAX_CHANNELS)
    if channels is None:
        raise Refused(invalid("Audio data channels must be specified for PCM formats"))
    return AudioFormat(name, sample, rate, channels)


def _hints(fields: Fields, *, english_only: bool) -> tuple[str, ...]:
    hints = fields.strings("language_hints")
    fields.flag("language_hints_strict", default=False)
    if any(hint not in KNOWN for hint in hints):
        raise Refused(invalid("Invalid language hint."))
    if len(set(hints)) != len(hints):
        raise Refused(invalid("Language hints must be unique."))
    if english_only and hints and ENGLISH not in hints:
        raise Refused(
            invalid(f"Invalid language hint. The local engines know English (en) only, not {', '.join(hints)}.")
        )
    return hints


def _endpoint(fields: Fields, model: str) -> EndpointSettings | None:
    delay = fields.integer("max_endpoint_delay_ms", MIN_DELAY_MS, MAX_DELAY_MS)
    sensitivity = fields.number("endpoint_sensitivity", -1.0, 1.0)
    level = fields.integer("endpoint_latency_adjustment_level", 0, MAX_LEVEL)
    if model in OLD_MODELS and (sensitivity is not None or level is not None):
        raise Refused(
            invalid(f"Model {model} does not support endpoint_sensitivity and endpoint_latency_adjustment_level.")
        )
    if not fields.flag("enable_endpoint_detection", default=False):
        return None
    return EndpointSettings(DEFAULT_MAX_DELAY_MS if delay is None else delay, sensitivity or 0.0, level or 0)


def _translation(value: Any, *, english_only: bool) -> dict[str, Any] | None:
    if value is None:
        return None
    if english_only:
        raise Refused(invalid("Model does not support translations. The local engines do not translate; a script can."))
    languages = {"one_way": ("target_language",), "two_way": ("language_a", "language_b")}
    if not isinstance(value, dict) or value.get("type") not in languages:
        raise Refused(invalid("Invalid translation type."))
    if any(value.get(key) not in KNOWN for key in languages[value["type"]]):
        raise Refused(invalid("Invalid translation target language."))
    return value


def _reference(fields: Fields) -> str:
    too_long = f"Client reference ID is too long (max length {MAX_REFERENCE})"
    return fields.text("client_reference_id", longest=MAX_REFERENCE, too_long=too_long) or ""


def _check_context(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str | dict):
        raise Refused(invalid("context must be an object."))
    tokens = len(json.dumps(value, ensure_ascii=False)) // CHARACTERS_PER_TOKEN
    if tokens > MAX_CONTEXT_TOKENS:
        raise Refused(invalid(f"Context is too long: {tokens} tokens, the maximum is {MAX_CONTEXT_TOKENS} tokens."))
