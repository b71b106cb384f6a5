"""Writes monitoring/grafana.json from the panels; run by `make docs`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboard_panels import HERE, ROWS, Panel

TARGET = Path(__file__).parent.parent / "monitoring" / "grafana.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 8


def document() -> str:
    """Return the dashboard as Grafana imports it (dashboard JSON model)."""
    dashboard = {
        "uid": "voicebot",
        "title": "voicebot",
        "description": "Calls, turns, Soniox, webhooks and the process; docs/observability.md says what each number means.",
        "tags": ["voicebot"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": list(_variables())},
        "annotations": {"list": [_restarts()]},
        "panels": list(_panels()),
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    for name, label, query in (
        ("job", "Job", "label_values(voicebot_build_info, job)"),
        ("instance", "Instance", 'label_values(voicebot_build_info{job=~"$job"}, instance)'),
    ):
        yield {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": SOURCE,
            "query": query,
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
        }


def _restarts() -> dict[str, Any]:
    expression = f"changes(process_start_time_seconds{HERE}}}[1m]) > 0"
    return {"name": "Starts", "datasource": SOURCE, "enable": True, "iconColor": "orange", "expr": expression}


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, y, WIDTH, 1),
        }
        x, y = 0, y + 1
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT
            number += 1
            yield _panel(panel, number, _at(x, y, panel.width, HEIGHT))
            x += panel.width
        y += HEIGHT


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if panel.stacked else "none"}}
    made = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0} | ({"custom": custom} if panel.kind == "timeseries" else {}),
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            | ({"format": "heatmap"} if panel.kind == "heatmap" else {})
            for place, (legend, expr) in enumerate(panel.lines.items())
        ],
    }
    if panel.kind == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": panel.unit}, "cellGap": 1}
    return made


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
