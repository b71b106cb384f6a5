"""The bot's own voice coming back from the caller's phone, later and softer."""

from collections import deque
from dataclasses import dataclass
from typing import Self

import audioop

from voicebot.local.phone.sound import FRAME_BYTES, FRAME_MS, SILENT_BYTE

#: Width of a linear sample, in bytes.
_WIDTH = 2
#: Decibels per factor of ten in amplitude.
_DB = 20


@dataclass(frozen=True, slots=True)
class Echo:
    """What a phone lets through from its loudspeaker to its microphone."""

    #: From the moment the caller hears a sound to its return, in whole frames of 20 ms.
    delay_ms: int = 160
    #: How loud it comes back, relative to the original.
    db: float = -20.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DELAY_MS:DB`, e.g. `160:-20`; raises `ValueError` saying so."""
        delay, _, decibels = text.partition(":")
        try:
            echo = cls(int(delay), float(decibels or cls().db))
        except ValueError:
            raise ValueError(f"{text!r}: write DELAY_MS:DB, e.g. 160:-20") from None
        if echo.delay_ms < FRAME_MS or echo.db > 0:
            raise ValueError(f"{text!r}: the delay is at least {FRAME_MS} ms, and an echo is no louder than the voice")
        return echo


class EchoPath:
    """Delays and softens what the caller hears, and adds it to what he says; frame by frame."""

    def __init__(self, echo: Echo) -> None:
        self._gain = 10 ** (echo.db / _DB)
        self._way = deque([SILENT_BYTE * FRAME_BYTES] * max(1, echo.delay_ms // FRAME_MS))

    def through(self, inbound: bytes, outbound: bytes) -> bytes:
        """Return a frame of the caller with the echo in it; `outbound` is what he hears meanwhile."""
        self._way.append(outbound)
        back = audioop.mul(audioop.ulaw2lin(self._way.popleft(), _WIDTH), _WIDTH, self._gain)
        return audioop.lin2ulaw(audioop.add(audioop.ulaw2lin(inbound, _WIDTH), back, _WIDTH), _WIDTH)
