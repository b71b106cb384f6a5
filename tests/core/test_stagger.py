"""Streams are spread over the places of a batch, whatever they are like before."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.stagger import Phase, earlier


def after(places, count):
    return [(place - steps) % count for place, steps in zip(places, earlier(places, count), strict=True)]


def test_all_at_one_moment():
    assert earlier([2, 2, 2, 2, 2], 5) == [0, 1, 2, 3, 4]


def test_who_is_spread_stays():
    assert earlier([4, 3, 2, 1, 0, 3], 5) == [0] * 6
    assert earlier([], 5) == []
    assert earlier([0, 0, 0], 1) == [0, 0, 0]


def test_who_comes_earlier_than_the_first_place_comes_at_the_last():
    assert earlier([0, 0], 2) == [0, 1]
    assert after([0, 0], 2) == [0, 1]


@given(st.data(), st.integers(1, 10))
def test_any_streams(data, count):
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=60))
    before, held = Counter(places), Counter(after(places, count))
    sizes = [held[place] for place in range(count)]
    assert max(sizes) - min(sizes) <= 1
    fewest = sum(max(0, before[place] - sizes[place]) for place in range(count))
    assert sum(steps > 0 for steps in earlier(places, count)) == fewest
    least, over = divmod(len(places), count)
    ordered = sorted(before.values(), reverse=True)
    best = sum(max(0, size - least - (rank < over)) for rank, size in enumerate(ordered))
    assert fewest == best, "the fullest places keep what is above the least"


# --- where a stream is -----------------------------------------------------------------------------


def test_every_frame_has_its_place():
    phase = Phase()
    found = []
    for frame in range(7):
        phase.note(1_000 + 20 * frame, 20 * frame)
        found.append(phase.place(5))
    assert found == [0, 1, 2, 3, 4, 0, 1]


@given(st.lists(st.integers(0, 400), min_size=1), st.integers(0, 10**9), st.integers(1, 25))
def test_a_late_read_is_in_the_place_of_one_in_time(late_ms, begin_ms, count):
    punctual, phase = Phase(), Phase()
    for number, late in enumerate([0, *late_ms]):
        newest = 100 * number
        punctual.note(begin_ms + newest, newest)
        phase.note(begin_ms + newest + late, newest)
        assert phase.place(count) == punctual.place(count)
