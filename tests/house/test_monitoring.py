"""The alerts and the dashboard ask for numbers that there are, in the language that Prometheus understands."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dashboard import document

from voicebot.metrics import Metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
PROMETHEUS_OWN = {"up"}
DERIVED = re.compile(r"_created$")
EXPRESSIONS = {f"alert {rule['alert']}": rule["expr"] for rule in RULES} | {
    f"panel {panel['id']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


def exposed():
    """Every name that /metrics shows."""
    names = {sample.name for metric in Metrics().registry.collect() for sample in metric.samples}
    unseen = {f"{metric.name}{suffix}" for metric in Metrics().registry.collect() for suffix in SUFFIXES[metric.type]}
    return {name for name in names | unseen if not DERIVED.search(name)}


SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
    "unknown": ("",),
    "summary": ("_count", "_sum"),
}


def asked_for(expression):
    bare = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b(?:voicebot|process|python)_\w+|\bup\b", bare))


def plain(expression):
    """Put values in the place of Grafana's variables."""
    for name, value in {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}.items():
        expression = expression.replace(name, value)
    return expression


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_number_asked_for_exists(where):
    names = asked_for(EXPRESSIONS[where])
    assert names
    assert names - exposed() - PROMETHEUS_OWN == set()


def test_every_number_is_looked_at():
    """What neither the dashboard nor an alert shows is not worth counting."""
    seen = set().union(*(asked_for(expression) for expression in EXPRESSIONS.values()))
    families = {
        metric.name: {f"{metric.name}{suffix}" for suffix in SUFFIXES[metric.type]}
        for metric in Metrics().registry.collect()
        if metric.name.startswith("voicebot_")
    }
    assert {name for name, samples in families.items() if not samples & seen} == set()


def test_every_number_is_documented():
    told = set(re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE))
    names = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
        if metric.name.startswith("voicebot_")
    }
    assert names - told == set()
    assert {name for name in told - names if name.startswith("voicebot_")} == set()


def test_every_alert_says_what_to_do():
    heads = {re.sub(r"[^\w-]", "", head.lower()) for head in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        page, _, place = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / page).exists()
        assert place == rule["alert"].lower()
        assert place in heads


def test_every_alert_is_shown_to_ring():
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    rings = set(re.findall(r'alertname="(\w+)"', json.dumps(tests).replace('\\"', '"')))
    assert rings == {rule["alert"] for rule in RULES}


@promtool
def test_prometheus_takes_the_rules():
    assert f"{len(RULES)} rules found" in run("promtool", "check", "rules", str(MONITORING / "alerts.yml"))


@promtool
def test_alerts_ring_when_they_must_and_are_quiet_when_they_must():
    run("promtool", "test", "rules", "alerts_test.yml", cwd=MONITORING)


@promtool
def test_prometheus_understands_every_panel(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": plain(expression)}
        for number, expression in enumerate(EXPRESSIONS.values())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    run("promtool", "check", "rules", str(file))


def test_the_dashboard_is_what_the_panels_say():
    assert (MONITORING / "grafana.json").read_text(encoding="utf-8") == document(), "run: make docs"


def test_the_dashboard_can_be_read():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken), "panels lie over each other"
