"""`kill -9` at any moment under load: every committed event arrives, with the same id and bytes, live ones in order."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "kills.py"
KILLS = 20


@pytest.fixture
def kills(monkeypatch):
    """The bench, imported as its parts import each other."""
    monkeypatch.syspath_prepend(str(BENCH.parent))
    import kills

    return kills


@pytest.mark.timeout(180)
def test_nothing_is_lost_over_kills(database):
    command = [sys.executable, str(BENCH), "--kills", str(KILLS), "--seed", "7", "--store", database.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["kills"] == KILLS
    assert figures["delivered"] == figures["committed"] > KILLS
    assert figures["lost"] == figures["out_of_order"] == figures["changed"] == figures["not_settled"] == 0


def judged(kills, *arrived, committed=(), **known):
    application = kills.Application(None)
    for event_id in arrived:
        application.first.setdefault(event_id, "digest")
        application.times[event_id] += 1
    states = dict.fromkeys(arrived, "delivered") | known
    return kills.judge(1, application, set(committed), states, 1.0)


A, B, C = "evt_CA1_1_live", "evt_CA1_2_info", "evt_CA1_3_live"


def test_the_judge_is_content_with_what_is_good(kills):
    figures = judged(kills, A, C, B, A, committed=[A, B, C])
    assert figures.good, "information may come late"
    assert (figures.twice, figures.delivered, figures.committed) == (1, 3, 3)


@pytest.mark.parametrize(
    ("arrived", "committed", "known", "fault"),
    [
        pytest.param([A], [A, B], {}, "lost", id="committed-and-lost"),
        pytest.param([A], [A], {B: "delivered"}, "lost", id="in-the-store-and-lost"),
        pytest.param([C, A], [A, C], {}, "out_of_order", id="order"),
        pytest.param([A], [A], {A: "pending"}, "not_settled", id="pending"),
    ],
)
def test_the_judge_sees(kills, arrived, committed, known, fault):
    figures = judged(kills, *arrived, committed=committed, **known)
    assert not figures.good
    assert getattr(figures, fault) == 1
