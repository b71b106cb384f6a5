"""Every parser, given what is nearly right and what is not right at all: it answers as it declares, or obeys its laws."""

import time

import pytest
from fuzzing.targets import ODD, TARGETS
from hypothesis import HealthCheck, given, settings
from mutations import near

# The suite is the same every time; `make fuzz` looks for what is new.
QUICK = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
DEEP = 60_000
LARGE = 65_536
MOST_CPU_S = 20
"""Many times what the slowest one needs: what grows with the square of its input needs more."""
BULKY = (b"[" * DEEP, b'{"a":' * DEEP, b"<a>" * (LARGE // 3), b"a" * LARGE, b"\n" * LARGE, b"[]," * (LARGE // 3))
# These are slow and linear: a caller's words, which are read many times over, and what the operator wrote himself.
SLOW = dict.fromkeys(("redaction", "entries", "words", "phone_scenario", "soniox_script"), 500) | {"sse": 8_192}


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_nearly_right(name):
    target = TARGETS[name]

    @QUICK
    @given(near(target.seeds, target.words))
    def run(data):
        target.run(data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_example_is_taken(name):
    for seed in TARGETS[name].seeds:
        assert not isinstance(TARGETS[name].run(seed), Exception), seed


@pytest.mark.parametrize("name", TARGETS)
def test_what_all_stumble_over(name):
    target = TARGETS[name]
    for odd in (b"", *ODD, *target.words):
        target.run(odd[: SLOW.get(name)])
        for first in sorted({seed[:1] for seed in target.seeds if seed[:1] < b" "}):
            target.run(first + odd[: SLOW.get(name)])


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_deep_or_large_takes_bounded_time(name):
    first = TARGETS[name].seeds[0][:1]
    for bulk in BULKY:
        began = time.process_time()
        TARGETS[name].run((first if first < b" " else b"") + bulk[: SLOW.get(name)])
        assert time.process_time() - began < MOST_CPU_S, bulk[:10]
