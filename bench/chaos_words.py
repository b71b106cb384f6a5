"""Words that are in the sound itself, so that whoever hears it knows whose they are: 300 ms of noise with a name at its end."""

import re
from collections.abc import Iterator
from random import Random

BYTES_PER_MS = 8
WORD_MS, WORDS, PAUSE_MS = 300, (1, 6), (400, 2_500)
"""A word takes so long; so many words make an utterance; so much silence follows it."""
LONG_PAUSE_EVERY = 3
"""Every third pause is a long one, so that no turn goes on for ever."""
MAGIC = b"\x01\x83\x02\x84\x03\x85\x04\x86"
NUMBER = 3
NAME = len(MAGIC) + 2 * NUMBER
WORD = re.compile(r"c(\d+)w(\d+)")


def name(call: int, number: int) -> str:
    """Return what a word is written as."""
    return f"c{call}w{number}"


def speech(call: int, chance: Random, seconds: float) -> bytes:
    """Return so much of a caller's side of a call, raw µ-law: utterances and the silence between them."""
    sound, number, pauses = bytearray(), 0, 0
    while len(sound) < seconds * 1_000 * BYTES_PER_MS:
        pauses += 1
        sound += b"\xff" * (
            BYTES_PER_MS * (PAUSE_MS[1] if not pauses % LONG_PAUSE_EVERY else chance.randint(*PAUSE_MS))
        )
        for _ in range(chance.randint(*WORDS)):
            number += 1
            noise = bytes(chance.choices(b"\x20\xa0\x28\xa8", k=WORD_MS * BYTES_PER_MS - NAME))
            sound += noise + MAGIC + call.to_bytes(NUMBER) + number.to_bytes(NUMBER)
    return bytes(sound)


class Ear:
    """Hears the words in sound that comes in pieces of any size."""

    def __init__(self) -> None:
        self._kept = b""
        self.heard = 0
        """Bytes."""

    @property
    def heard_ms(self) -> int:
        """So much was heard."""
        return self.heard // BYTES_PER_MS

    def hear(self, sound: bytes) -> Iterator[tuple[str, int]]:
        """Yield each word whose name is complete, and where it ends, in milliseconds."""
        begins = self.heard - len(self._kept)
        self.heard += len(sound)
        self._kept += sound
        at = end = 0
        while (at := self._kept.find(MAGIC, at)) >= 0 and at + NAME <= len(self._kept):
            end = at + NAME
            call, number = self._kept[at + len(MAGIC) : end - NUMBER], self._kept[end - NUMBER : end]
            yield name(int.from_bytes(call), int.from_bytes(number)), (begins + end) // BYTES_PER_MS
            at = end
        self._kept = self._kept[max(end, len(self._kept) - NAME + 1) :]
