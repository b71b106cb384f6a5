"""Spreads what comes at one pace over its period: what comes at one moment would wait for each other, every time anew."""

from collections.abc import Sequence


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
