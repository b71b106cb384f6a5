"""A voice that costs nothing: a quiet tone whose length follows from the number of characters."""

import math
from array import array
from functools import cache
from typing import override

from voicebot.local.engines.base import Voice

RATE = 8_000
HERTZ = 440
PEAK = 6_000
MS_PER_CHARACTER = 60
"""About the pace of speech, so that play-out times in tests and load runs are lifelike."""


class Tone(Voice):
    """For scripts and load: the same text always gives the same bytes."""

    rate = RATE
    languages: frozenset[str] = frozenset()

    @override
    def speak(self, text: str, *, language: str, speed: float) -> bytes:
        wanted = round(len(text.strip()) * MS_PER_CHARACTER * RATE // 1000 / speed)
        second = _one_second()
        repeats = wanted * 2 // len(second) + 1
        return (second * repeats)[: wanted * 2]


@cache
def _one_second() -> bytes:
    wave = (round(PEAK * math.sin(2 * math.pi * HERTZ * at / RATE)) for at in range(RATE))
    return array("h", wave).tobytes()
