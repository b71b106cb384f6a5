"""What the caller's side of the line carries: clips one after another, and the noise of a quiet line between them."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from voicebot.local.phone.playout import SAMPLE_RATE
from voicebot.local.phone.sound import FRAME_BYTES

#: How a quiet caller sounds: `noise` mixes the two µ-law zeros, `comfort` is a steady 0x7E, `suppress` sends no frames.
type Quiet = Literal["noise", "comfort", "suppress"]
#: Length of the noise that repeats, in samples.
NOISE_SAMPLES: Final = 5 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the caller: audio of full length, whether a clip is in it, and the clips that ended with it."""

    audio: bytes
    voiced: bool
    finished: tuple[int, ...] = ()


class Microphone:
    """Queues clips and cuts them into frames; between clips it makes the noise of an open line."""

    def __init__(self, quiet: Quiet, seed: int) -> None:
        chance = random.Random(seed)
        choice = b"\x7e" if quiet == "comfort" else b"\x7f\xff"
        self._noise = bytes(chance.choices(choice, k=NOISE_SAMPLES))
        self._noise_at = 0
        self._clips: deque[tuple[int, bytes]] = deque()
        self._numbers = 0

    def say(self, audio: bytes) -> int:
        """Queue a clip; the number by which `Frame.finished` names it."""
        self._numbers += 1
        self._clips.append((self._numbers, audio))
        return self._numbers

    def drop(self) -> None:
        """Fall silent in the middle of whatever is queued."""
        self._clips.clear()

    def take(self, size: int = FRAME_BYTES) -> Frame:
        """The next frame."""
        audio = b""
        finished: list[int] = []
        while self._clips and len(audio) < size:
            number, clip = self._clips.popleft()
            wanted = size - len(audio)
            audio += clip[:wanted]
            if len(clip) > wanted:
                self._clips.appendleft((number, clip[wanted:]))
            else:
                finished.append(number)
        return Frame(audio + self._background(size - len(audio)), voiced=bool(audio), finished=tuple(finished))

    def _background(self, size: int) -> bytes:
        if size == 0:
            return b""
        start = self._noise_at
        self._noise_at = (start + size) % (NOISE_SAMPLES - FRAME_BYTES)
        return self._noise[start : start + size]
