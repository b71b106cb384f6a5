"""Random faults on all sides at once: no crash, no leak, no settled word lost, no event lost; and the judge sees what is planted."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import chaos_laws
import pytest
from chaos_laws import EventFact, Outcome, violations

BENCH = Path(__file__).parents[2] / "bench" / "chaos.py"
SEED, CALLS, SECONDS = 7, 6, 8


@pytest.mark.timeout(180)
def test_nothing_is_lost_in_chaos():
    words = ["--seed", str(SEED), "--calls", str(CALLS), "--seconds", str(SECONDS)]
    done = subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["broken"] == {}
    assert figures["calls"] >= CALLS
    assert figures["words"] > CALLS
    sides = {name.partition("_")[0] for name in figures["faults"]}
    assert sides >= {"soniox", "application", "phone", "api", "store", "watcher"}


GOOD = Outcome(
    settled=[["s0w1", "s0w2", "s0w3"]],
    turns={"CA1": ["s0w1 s0w2"], "CA2": []},
    asides=["s0w3"],
    events=[
        EventFact("a", "CA1", 1, "call.started", "delivered"),
        EventFact("b", "CA1", 2, "call.ended", "dead"),
        EventFact("c", "CA2", 1, "call.ended", "pending", "http://gone"),
    ],
    stopped=frozenset({"http://gone"}),
    calls=frozenset({"CA1", "CA2"}),
    seen=frozenset({"a", "b"}),
    files=(10, 12),
    memory_kib=(100_000, 101_000),
)
WORDS = "a settled word is in exactly one turn"
DELIVERY = "every event is delivered, or waits for a reason"
BYTES = "an event keeps its bytes and its signature"
ENDS = "a call ends exactly once"


def test_the_judge_is_content_with_what_is_good():
    assert violations(GOOD) == {}


@pytest.mark.parametrize(
    ("change", "law"),
    [
        pytest.param({"turns": {"CA1": ["s0w1"], "CA2": []}}, WORDS, id="word-lost"),
        pytest.param({"asides": ["s0w3 s0w2"]}, WORDS, id="word-twice"),
        pytest.param({"turns": {"CA1": ["s0w2", "s0w1"]}}, "settled words keep their order", id="words-in-disorder"),
        pytest.param({"seen": frozenset({"a"})}, DELIVERY, id="event-lost"),
        pytest.param({"stopped": frozenset()}, DELIVERY, id="event-that-waits-for-nothing"),
        pytest.param({"seen": frozenset("abx")}, DELIVERY, id="event-from-nowhere"),
        pytest.param({"changed": 1}, BYTES, id="other-bytes"),
        pytest.param({"unsigned": 1}, BYTES, id="wrong-signature"),
        pytest.param({"events": GOOD.events[1:]}, "sequences have no gap", id="gap"),
        pytest.param({"events": GOOD.events[:1]}, ENDS, id="no-end"),
        pytest.param({"calls": frozenset({"CA1", "CA2", "CA3"})}, ENDS, id="call-without-a-word"),
        pytest.param({"logged": ["call.failed"]}, "nothing unexpected is logged", id="log"),
        pytest.param({"left": ["<Task>"]}, "no task is left", id="task"),
        pytest.param({"files": (10, 14)}, "open files are flat", id="files"),
        pytest.param({"memory_kib": (200_000, 260_000)}, "memory is flat", id="memory"),
    ],
)
def test_the_judge_sees(change, law):
    assert law in violations(replace(GOOD, **change))


def test_what_waits_is_counted(blank_store):
    assert chaos_laws.pending(blank_store) == 0
    assert chaos_laws.stored(blank_store) == Outcome()
