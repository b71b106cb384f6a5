"""Reads a recogniser's vocabulary file and joins its pieces into words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicebot.local.engines.base import HeardWord

SPACE = "▁".encode()
"""U+2581, which stands for a space in front of a word."""
TWO_BYTE_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Piece:
    """One decoded vocabulary entry and the probability the recogniser gave it."""

    number: int
    probability: float


def read_vocabulary(data: bytes) -> tuple[bytes, ...]:
    """The pieces of a `tokenizer.bin`: byte strings behind a length of one byte, or two when the first is 128 or more."""
    return tuple(_entries(data))


def _entries(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= TWO_BYTE_LENGTH:
            length = data[at] * TWO_BYTE_LENGTH + length - TWO_BYTE_LENGTH
            at += 1
        yield data[at : at + length]
        at += length


def join_pieces(pieces: Sequence[Piece], vocabulary: Sequence[bytes]) -> tuple[HeardWord, ...]:
    """Words from pieces; a word's confidence is the geometric mean of its pieces' probabilities."""
    words: list[tuple[bytes, list[float]]] = []
    for piece in pieces:
        text = vocabulary[piece.number]
        if text.startswith(b"<") and text.endswith(b">"):
            continue  # control entries such as <s> are not speech
        if text.startswith(SPACE) or not words:
            words.append((b"", []))
        spelled, probabilities = words[-1]
        words[-1] = (spelled + text.removeprefix(SPACE), [*probabilities, piece.probability])
    return tuple(_word(spelled, probabilities) for spelled, probabilities in words if spelled)


def _word(spelled: bytes, probabilities: Sequence[float]) -> HeardWord:
    mean = math.exp(sum(math.log(max(p, 1e-9)) for p in probabilities) / len(probabilities))
    return HeardWord(spelled.decode("utf-8", "replace"), round(mean, 3))
