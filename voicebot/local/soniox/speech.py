"""Turns one synthesised sentence into the format a client asked for, in chunks with the times of their characters."""

import math
from dataclasses import dataclass

import audioop
import numpy as np
import soxr

from voicebot.local.engines.base import Voice
from voicebot.local.soniox.tts_messages import SpeechConfig
from voicebot.local.soniox.wav import stream_header

CHUNK_MS = 120
SAMPLE_BYTES = {"pcm_mulaw": 1, "pcm_alaw": 1, "pcm_s16le": 2, "wav": 2, "pcm_f32le": 4}
FULL_SCALE = 32_768


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence as audio; `start_s` is where it begins in the stream."""

    text: str
    audio: bytes
    start_s: float
    seconds: float


def speak(voice: Voice, text: str, config: SpeechConfig, start_s: float) -> Spoken:
    """Synthesise and convert one sentence; blocking."""
    pcm = voice.speak(text, language=config.language, speed=config.speed)
    audio = convert(pcm, voice.rate, config)
    seconds = len(audio) / (SAMPLE_BYTES[config.audio_format] * config.rate)
    return Spoken(text, audio, start_s, seconds)


def preamble(config: SpeechConfig) -> bytes:
    """What goes in front of a stream's first audio: a WAV header, or nothing."""
    return stream_header(config.rate) if config.audio_format == "wav" else b""


def convert(pcm: bytes, rate: int, config: SpeechConfig) -> bytes:
    """Signed 16-bit little-endian mono PCM at `rate` in the client's format and rate."""
    samples = np.frombuffer(pcm, dtype="<i2")
    if rate != config.rate and len(samples):
        samples = np.asarray(soxr.resample(samples, rate, config.rate), dtype="<i2")
    match config.audio_format:
        case "pcm_mulaw":
            return audioop.lin2ulaw(samples.tobytes(), 2)
        case "pcm_alaw":
            return audioop.lin2alaw(samples.tobytes(), 2)
        case "pcm_f32le":
            return (samples / np.float32(FULL_SCALE)).astype("<f4").tobytes()
        case _:
            return samples.tobytes()


def chunks(spoken: Spoken, config: SpeechConfig) -> list[tuple[bytes, float, float]]:
    """Pieces of about 120 ms with the span of time, in seconds of the stream, that each covers; the last is open-ended."""
    per_second = SAMPLE_BYTES[config.audio_format] * config.rate
    size = config.rate * CHUNK_MS // 1000 * SAMPLE_BYTES[config.audio_format]
    starts = range(0, len(spoken.audio), size)
    borders = [spoken.start_s + at / per_second for at in starts] + [math.inf]
    return [(spoken.audio[at : at + size], borders[number], borders[number + 1]) for number, at in enumerate(starts)]


def characters_between(spoken: Spoken, start_s: float, end_s: float) -> dict[str, list[str] | list[float]]:
    """
    The sentence's characters that begin between two times, in the form of a `timestamps` object.

    The voice gives no times: they are spread evenly over the sentence.
    """
    width = spoken.seconds / max(1, len(spoken.text))
    rows = [
        (character, round(begin, 3), round(begin + width, 3))
        for place, character in enumerate(spoken.text)
        if start_s <= (begin := spoken.start_s + place * width) < end_s
    ]
    return {
        "characters": [row[0] for row in rows],
        "character_start_times_seconds": [row[1] for row in rows],
        "character_end_times_seconds": [row[2] for row in rows],
    }
