"""Spreads what comes at one pace over its period: what comes at one moment would wait for each other, every time anew."""

from collections.abc import Sequence
from math import inf

from voicebot.core.audio import FRAME_MS


class Phase:
    """When the audio of one stream comes: as the read says that was least late, for a busy loop reads most of them late."""

    def __init__(self) -> None:
        self._began_ms, self._newest_ms = inf, 0

    def note(self, now_ms: float, newest_ms: int) -> None:
        """Note that audio was read now, the newest of it at `newest_ms` by the stream's own clock."""
        self._newest_ms = newest_ms
        self._began_ms = min(self._began_ms, now_ms - newest_ms)

    def place(self, count: int) -> int:
        """Return in which of `count` frames, which come again and again, the newest audio came, counted from 0."""
        return int((self._began_ms + self._newest_ms) / FRAME_MS) % count


def earlier(places: Sequence[int], count: int) -> list[int]:
    """Return by how many places each must come earlier so that the `count` places, a ring, hold as many each; mostly 0.

    `places` tells where each is, from 0. Afterwards no place holds more than one above any other, and no more have moved
    than that takes.
    """
    held: list[list[int]] = [[] for _ in range(count)]
    for who, place in enumerate(places):
        held[place].append(who)
    moves = [0] * len(places)
    least, over = divmod(len(places), count)
    # The fullest keep the one above the least, so that nobody moves for nothing.
    fullest = sorted(range(count), key=lambda place: -len(held[place]))
    fair = {place: least + (rank < over) for rank, place in enumerate(fullest)}
    room = [max(0, fair[place] - len(there)) for place, there in enumerate(held)]
    for place, there in enumerate(held):
        for who in there[fair[place] :]:
            steps = next(steps for steps in range(1, count) if room[(place - steps) % count])
            room[(place - steps) % count] -= 1
            moves[who] = steps
    return moves
