"""Random faults on all sides at once: no crash, no leak, no settled word lost, no event lost; and the judge sees what is planted."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import chaos_laws
import chaos_words
import pytest
from chaos_laws import EventFact, Outcome, violations

BENCH = Path(__file__).parents[2] / "bench" / "chaos.py"
SEED, CALLS, SECONDS = 7, 6, 8
KILLED_SEED, KILLED_CALLS, KILLED_SECONDS = 6, 4, 6
"""The dice have it killed once in so short a time."""


def rage(seed, calls, seconds, *more):
    words = ["--seed", str(seed), "--calls", str(calls), "--seconds", str(seconds), *more]
    done = subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["broken"] == {}
    assert figures["calls"] >= calls
    assert figures["words"] > calls
    return figures


@pytest.mark.timeout(180)
def test_nothing_is_lost_in_chaos():
    figures = rage(SEED, CALLS, SECONDS)
    sides = {name.partition("_")[0] for name in figures["faults"]}
    assert sides >= {"soniox", "application", "phone", "api", "store", "watcher"}


@pytest.mark.timeout(180)
def test_nothing_is_lost_although_the_service_is_killed():
    figures = rage(KILLED_SEED, KILLED_CALLS, KILLED_SECONDS, "--kill")
    assert figures["faults"]["service_killed"] >= 1


GOOD = Outcome(
    heard=frozenset({"c1w1", "c1w2", "c1w3"}),
    settled={"c1w1": 10.0, "c1w2": 11.0, "c1w3": 12.0},
    callers={"CA1": 1, "CA2": 2},
    stayed=frozenset({"CA1"}),
    turns={"CA1": ["c1w1 c1w2"], "CA2": []},
    asides=[("CA1", "c1w3")],
    summed_up={"CA1": "Hello. c1w1 c1w2 c1w3"},
    events=[
        EventFact("a", "CA1", 1, "call.started", "delivered"),
        EventFact("b", "CA1", 2, "call.ended", "dead"),
        EventFact("c", "CA2", 1, "call.ended", "pending", "http://gone"),
    ],
    stopped=frozenset({"http://gone"}),
    calls={"CA1": "caller_hangup", "CA2": "stream_lost"},
    seen=frozenset({"a", "b"}),
    files=(10, 12),
    memory_kib=(100_000, 101_000),
)
ORDER = "words keep their order and their call"
WORDS = "a settled word is in exactly one turn"
DELIVERY = "every event is delivered, or waits for a reason"
BYTES = "an event keeps its bytes and its signature"
ENDS = "a call ends exactly once"


def test_the_judge_is_content_with_what_is_good():
    assert violations(GOOD) == {}


@pytest.mark.parametrize(
    ("change", "law"),
    [
        pytest.param({"turns": {"CA1": ["c1w1"], "CA2": []}}, WORDS, id="word-lost"),
        pytest.param({"turns": {"CA1": ["c1w1"]}, "kills": [9.0, 40.0]}, WORDS, id="word-lost-at-no-kill"),
        pytest.param({"asides": [("CA1", "c1w3 c1w2")]}, WORDS, id="word-twice"),
        pytest.param({"heard": GOOD.heard | {"c1w4"}}, "a word that was heard is not lost", id="word-not-replayed"),
        pytest.param({"turns": {"CA1": ["c1w2", "c1w1"]}}, ORDER, id="words-in-disorder"),
        pytest.param({"turns": {"CA1": ["c1w1"], "CA2": ["c1w2"]}}, ORDER, id="words-of-another-call"),
        pytest.param({"summed_up": {"CA1": "c1w1"}}, "the end of a call tells every turn", id="turn-untold"),
        pytest.param({"calls": {"CA1": "lost", "CA2": "x"}}, "a call that nobody has ended goes on", id="call-lost"),
        pytest.param({"deaths": ["-11"]}, "no process ends by itself", id="crash"),
        pytest.param({"seen": frozenset({"a"})}, DELIVERY, id="event-lost"),
        pytest.param({"stopped": frozenset()}, DELIVERY, id="event-that-waits-for-nothing"),
        pytest.param({"seen": frozenset("abx")}, DELIVERY, id="event-from-nowhere"),
        pytest.param({"changed": 1}, BYTES, id="other-bytes"),
        pytest.param({"unsigned": 1}, BYTES, id="wrong-signature"),
        pytest.param({"events": GOOD.events[1:]}, "sequences have no gap", id="gap"),
        pytest.param({"events": GOOD.events[:1]}, ENDS, id="no-end"),
        pytest.param({"calls": {"CA1": "x", "CA2": "x", "CA3": "x"}}, ENDS, id="call-without-a-word"),
        pytest.param({"logged": ["call.failed"]}, "nothing unexpected is logged", id="log"),
        pytest.param({"left": ["<Task>"]}, "no task is left", id="task"),
        pytest.param({"files": (10, 14)}, "open files are flat", id="files"),
        pytest.param({"memory_kib": (200_000, 260_000)}, "memory is flat", id="memory"),
    ],
)
def test_the_judge_sees(change, law):
    assert law in violations(replace(GOOD, **change))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"turns": {"CA1": ["c1w1"]}, "kills": [12.5]}, id="killed-before-the-turn"),
        pytest.param({"heard": GOOD.heard | {"c1w4"}, "deaf": frozenset({"CA1"})}, id="could-not-hear"),
        pytest.param({"calls": {"CA1": "bot_hangup", "CA2": "lost"}}, id="lost-by-the-phone"),
    ],
)
def test_the_judge_excuses(change):
    assert violations(replace(GOOD, **change)) == {}


@pytest.mark.parametrize("size", [1, 7, 160, 5_000])
def test_words_are_heard_in_sound_of_any_size(size):
    sound, ear = chaos_words.speech(7, Random(1), 9), chaos_words.Ear()
    words = [word for at in range(0, len(sound), size) for word in ear.hear(sound[at : at + size])]
    assert [word for word, _ in words] == [f"c7w{n}" for n in range(1, len(words) + 1)]
    assert len(words) > 5
    assert all(sound[: 8 * end_ms].count(chaos_words.MAGIC) == n for n, (_, end_ms) in enumerate(words, 1))


def test_what_waits_is_counted(blank_store):
    assert chaos_laws.pending(blank_store) == 0
    assert chaos_laws.at_rest(blank_store)
    assert chaos_laws.stored(blank_store) == Outcome(events=[])
