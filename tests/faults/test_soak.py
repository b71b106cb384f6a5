"""The soak's judge sees what grows, and a short soak of the whole service leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import soak
import soak_trend

BENCH = Path(__file__).parents[2] / "bench" / "soak.py"
HALF_AN_HOUR = [10 * number for number in range(1, 181)]


def samples(figure, *, per_hour=0.0, noise=1.0, mean=100.0):
    chance = Random(1)
    return [{"at_s": at, figure: mean + per_hour * at / 3_600 + chance.gauss(0, noise)} for at in HALF_AN_HOUR]


def test_noise_is_flat():
    found = soak_trend.trend(samples("rss_mib"), "rss_mib")
    assert found.flat
    assert abs(found.slope) < 3 * found.error


def test_a_leak_is_found_below_the_noise_of_one_sample():
    found = soak_trend.trend(samples("rss_mib", per_hour=12, noise=5), "rss_mib")
    assert not found.flat
    assert found.slope == pytest.approx(12, abs=4)
    assert "**no**" in soak_trend.table({"rss_mib": found})


def test_a_slope_of_no_account_is_flat():
    assert soak_trend.trend(samples("rss_mib", per_hour=2, noise=0.01), "rss_mib").flat


def test_few_samples_say_nothing():
    assert soak_trend.trend(samples("rss_mib", per_hour=500)[:15], "rss_mib").flat
    assert soak_trend.trend(samples("rss_mib")[:2], "rss_mib") is None


END = dict.fromkeys(("live", "pending", "failed", "lost", "frames_disordered"), 0) | {"ended": 5, "calls_ended": 5}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"pending": 2}, "pending: 2", id="pending"),
        pytest.param({"calls_ended": 4}, "calls without an end: 1", id="call-without-an-end"),
        pytest.param({"lost": 1}, "lost: 1", id="lost-stream"),
    ],
)
def test_what_is_left_is_told(change, fault):
    assert soak.judge({}, END) == []
    assert soak.judge({}, END | change) == [fault]


def test_what_grows_is_told():
    growing = soak_trend.trends(samples("webhook_p99_ms", per_hour=50))
    assert soak.judge(growing, END) == ["webhook_p99_ms grows"]
    assert soak.judge(soak_trend.trends(samples("webhook_p99_ms", per_hour=-50)), END) == []


@pytest.mark.parametrize(("figure", "told"), [("cpu_percent", []), ("cpu_per_work", ["cpu_per_work grows"])])
def test_a_machine_that_becomes_slower_is_no_fault_of_the_service(figure, told):
    assert soak.judge(soak_trend.trends(samples(figure, per_hour=50)), END) == told


@pytest.mark.timeout(150)
def test_a_short_soak(tmp_path):
    words = ["--calls", "4", "--minutes", "0.15", "--rate", "10", "--no-pin", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, check=False, timeout=140
    )
    assert done.returncode == 0, done.stdout + done.stderr
    whole = json.loads((tmp_path / "soak.json").read_text("utf-8"))
    assert whole["end"]["ended"] == whole["end"]["calls_ended"] >= 4
    assert {sample["live"] for sample in whole["samples"]} >= {4}
    assert all(sample["work_ms"] > 0 and sample["cpu_per_work"] > 0 for sample in whole["samples"])
    assert (tmp_path / "soak.md").read_text("utf-8").startswith("| | mean |")
    assert "<script" not in (tmp_path / "soak.svg").read_text("utf-8")
