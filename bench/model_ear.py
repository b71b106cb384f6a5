"""Silero as an ear, to measure beside ours: probability of speech per 32 ms, with the same onset and hangover."""

import audioop
import numpy as np
from scenes import Scene, Spans

from voicebot.local.engines.silero import FRAME_MS, Silero

RATE = 8_000
FRAME = FRAME_MS * RATE // 1_000
BEGIN, STAY = 0.5, 0.35
ONSET_MS, HANGOVER_MS = 60, 200


class Model:
    """The loaded model."""

    def __init__(self) -> None:
        self._model = Silero()
        self._gate = self._model.open_gate(RATE)

    def payload(self, payload: bytes) -> float:
        """Return the probability of speech in 32 ms of raw µ-law."""
        samples = np.frombuffer(audioop.ulaw2lin(payload, 2), "<i2").astype(np.float32)
        return self._gate.probability(samples / np.float32(32_768))

    def spans(self, scene: Scene) -> Spans:
        """Return where it hears speech, as (noticed, ended)."""
        self._gate = self._model.open_gate(RATE)
        spans: list[tuple[int, int]] = []
        speaking, loud, quiet = False, 0, 0
        for end in range(FRAME, len(scene.audio) + 1, FRAME):
            sounds = self.payload(scene.audio[end - FRAME : end]) > (STAY if speaking else BEGIN)
            loud, quiet = (loud + FRAME_MS, 0) if sounds else (0, quiet + FRAME_MS)
            if not speaking and loud >= ONSET_MS:
                speaking = True
                spans.append((end // 8, len(scene.audio) // 8))
            elif speaking and quiet >= HANGOVER_MS:
                speaking = False
                spans[-1] = (spans[-1][0], end // 8 - quiet)
        return tuple(spans)
