"""Metrics of several workers as one page."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse

from voicebot.wire.metrics_text import merge

ODD = 'a "quoted" } value, with\\ everything {and spaces}'


def registry(calls):
    made = CollectorRegistry()
    Gauge("calls", "Calls", registry=made).set(calls)
    counter = Counter("refused", "Refused, # HELP and all", ["why"], registry=made)
    counter.labels(ODD).inc(calls)
    counter.labels("line\nbreak").inc()
    Histogram("latency", "Latency", ["part"], buckets=(0.1, 1), registry=made).labels("x").observe(calls / 10)
    return made


@pytest.mark.parametrize(
    ("write", "read"), [(generate_latest, parse), (open_metrics, parse_open_metrics)], ids=["text", "openmetrics"]
)
def test_every_sample_is_there_with_its_worker(write, read):
    registries = {0: registry(2), 2: registry(3)}
    page = merge({index: write(each).decode() for index, each in registries.items()}, 3)
    families = list(read(page))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family is in one piece"
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}
    for index, each in registries.items():
        for family in read(write(each).decode()):
            for sample in family.samples:
                labels = sample.labels | {"worker": str(index)}
                assert found.pop((sample.name, tuple(sorted(labels.items())))) == sample.value
    assert found == {("voicebot_worker_up", (("worker", str(index)),)): float(index != 1) for index in range(3)}


def test_what_only_one_has_is_there_too():
    page = merge({0: "# HELP a A\n# TYPE a gauge\na 1.0\n", 1: "# HELP b B\n# TYPE b gauge\nb{} 2.0\n"}, 2)
    assert 'a{worker="0"} 1.0\n' in page
    assert 'b{worker="1"} 2.0\n' in page
