"""The load's audio: µ-law frames that say who sent them and when, and sound like speech or like a quiet line."""

import binascii
import math
import random
import struct

FRAME_BYTES = 160
"""20 ms of 8 kHz µ-law."""
FRAME_MS = 20
_LAYOUT = struct.Struct("<HBxHIQ")
_MAGIC = 0x5EED
_HEX = b"0123456789abcdef"
# The sixteen quietest µ-law values, so that a stamp sounds like the faint noise of a line and not like speech.
_QUIET = bytes(range(0xF0, 0x100))
_TO_AUDIO, _FROM_AUDIO = bytes.maketrans(_HEX, _QUIET), bytes.maketrans(_QUIET, _HEX)
STAMP_BYTES = 2 * _LAYOUT.size
"""Audio bytes that the stamp takes.

A multiple of three, so that its base64 can be put before that of the rest, and of four as the frame is, so that a masking
key begins anew with each stamp.
"""
_REPEATED = int.from_bytes(b"\0\0\0\1" * (STAMP_BYTES // 4))
"""A masking key times this is the mask of a stamp."""
_REST_BYTES = FRAME_BYTES - STAMP_BYTES
VARIANTS = 16
_SPEECH_LEVEL, _LINE_LEVEL = 4_000, 24


type Stamp = tuple[int, int, int, int, int]
"""What a frame says about itself: magic, speech or not, call, sequence, when it was sent (monotonic clock, ns)."""


def write(call: int, sequence: int, sent_ns: int, *, speech: bool) -> bytes:
    """Return the base64 of a stamp; that of a rest (`rests`) completes the frame."""
    packed = _LAYOUT.pack(_MAGIC, speech, call, sequence, sent_ns)
    return binascii.b2a_base64(binascii.hexlify(packed).translate(_TO_AUDIO), newline=False)


def read(audio: bytes, key: bytes = b"") -> list[Stamp]:
    """Return the stamps of the frames of a message, without those that have none; `key` is its mask, if it has one."""
    pad = int.from_bytes(key) * _REPEATED
    found = []
    for at in range(0, len(audio), FRAME_BYTES):
        plain = (int.from_bytes(audio[at : at + STAMP_BYTES]) ^ pad).to_bytes(STAMP_BYTES)
        try:
            stamp = _LAYOUT.unpack(binascii.unhexlify(plain.translate(_FROM_AUDIO)))
        except binascii.Error:
            continue
        if stamp[0] == _MAGIC:
            found.append(stamp)
    return found


def rests(*, speech: bool, seed: int = 1) -> tuple[bytes, ...]:
    """Return the base64 of what follows the stamp: noise that rises and falls as speech does, or that of a quiet line."""
    chance = random.Random(seed)
    syllables = (_SPEECH_LEVEL, _SPEECH_LEVEL // 8) if speech else (_LINE_LEVEL, _LINE_LEVEL)
    return tuple(
        binascii.b2a_base64(
            bytes(_mulaw(round(chance.uniform(-level, level))) for _ in range(_REST_BYTES)), newline=False
        )
        for level in syllables
        for _ in range(VARIANTS // 2)
    )


def _mulaw(sample: int) -> int:
    """Return the µ-law byte of a 16-bit sample (ITU-T G.711)."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32_635) + 132
    exponent = int(math.log2(magnitude)) - 7
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF
