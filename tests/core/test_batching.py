"""Batches grow with the work and shrink without it, a step at a time, and come to rest."""

from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.batching import IDLE, STEP_S, Batching

TICK_S = 0.1
LIMITS = st.integers(20, 500)
SHARES = st.floats(-1, 10)
TICKS = st.floats(0.01, 5)


def lengths(batching, busy, seconds):
    """The lengths in force while the process is so busy for so long."""
    found = [batching.ms]
    for _ in range(round(seconds / TICK_S)):
        batching.note(busy, TICK_S)
        if batching.ms != found[-1]:
            found.append(batching.ms)
    return found


def test_a_busy_process_collects_more_a_step_at_a_time_and_an_idle_one_less():
    batching = Batching(160)
    assert (batching.ms, batching.frames) == (20, 1)
    assert lengths(batching, 0.3, 10) == [20]
    assert lengths(batching, 0.8, 10) == [20, 40, 60, 80], "half of the way while there is some time left"
    assert batching.frames == 4
    assert lengths(batching, 0.33, 10) == [80], "neither busy nor idle"
    assert lengths(batching, 0.9, 10) == [80, 120, 160]
    assert lengths(batching, 0.7, 10) == [160], "neither full nor eased"
    assert lengths(batching, 0.5, 10) == [160, 140, 120, 100, 80]
    assert lengths(batching, 0.1, 10) == [80, 60, 40, 20]


def test_a_moment_of_work_is_no_reason():
    batching = Batching(100)
    assert lengths(batching, 1.0, 0.5) == [20]
    assert lengths(batching, 0.1, 10) == [20]


def test_a_limit_between_two_steps_is_reached_and_left():
    batching = Batching(50)
    assert lengths(batching, 1.0, 10) == [20, 40, 50]
    assert lengths(batching, 0.0, 10) == [50, 40, 20]


def test_a_fixed_length_stays():
    assert (Batching.fixed(70).ms, Batching.fixed(70).frames) == (70, 3)


@given(LIMITS, st.lists(st.tuples(SHARES, TICKS), max_size=60))
def test_the_length_keeps_its_bounds_and_never_jumps(limit_ms, notes):
    batching, held_s = Batching(limit_ms), 0.0
    for busy, elapsed_s in notes:
        before = batching.ms
        batching.note(busy, elapsed_s)
        held_s += elapsed_s
        assert 20 <= batching.ms <= limit_ms
        assert before - 20 <= batching.ms <= before + 40
        if batching.ms != before:
            assert held_s >= STEP_S - 1e-9
            held_s = 0.0


@given(LIMITS, st.lists(st.tuples(SHARES, TICKS), max_size=30), st.floats(0, IDLE - 0.01))
def test_whatever_was_an_idle_process_comes_back_to_one_frame(limit_ms, notes, busy):
    batching = Batching(limit_ms)
    for each in notes:
        batching.note(*each)
    lengths(batching, busy, 45)
    assert batching.ms == 20


@given(st.floats(0, 1.5), st.floats(0, 1), LIMITS)
def test_an_even_load_comes_to_rest(load, by_batch, limit_ms):
    """Work is what it is, and by the batch: half of it at most goes with each batch here."""
    batching = Batching(limit_ms)

    def run(seconds):
        found = [batching.ms]
        for _ in range(round(seconds / TICK_S)):
            share = by_batch / 2
            batching.note(load * (1 - share + share * 20 / batching.ms), TICK_S)
            if batching.ms != found[-1]:
                found.append(batching.ms)
        return found

    run(60)
    assert len(run(60)) == 1
