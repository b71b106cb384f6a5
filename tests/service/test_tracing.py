"""Ids that follow from the call, and an SDK that is there or not."""

import re
import sys

import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from voicebot.config import TracingSettings
from voicebot.errors import ConfigurationError
from voicebot.tracing import Tracing, open_tracing, span_of, trace_of, traceparent
from voicebot.tracing.sdk import open_provider


def kept(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exporter = InMemorySpanExporter()
    return Tracing(*open_provider(SimpleSpanProcessor(exporter))), exporter


def test_without_an_sdk_every_request_has_an_id_of_its_own_in_its_calls_trace():
    tracing = Tracing()
    call = tracing.call("CA1", SpanKind.SERVER, 0, {})
    headers = {traceparent(tracing.child(call, "POST", SpanKind.CLIENT, None)) for _ in range(20)}
    assert len(headers) == 20
    assert not tracing.on
    assert all(re.fullmatch(rf"00-{trace_of('CA1')}-[0-9a-f]{{16}}-01", header) for header in headers)


def test_another_process_hangs_its_spans_below_the_same_call(monkeypatch):
    first, exporter = kept(monkeypatch)
    first.call("CA1", SpanKind.SERVER, 0, {}).end()
    second, later = kept(monkeypatch)
    second.child(second.call_of("CA1"), "POST call.ended", SpanKind.CLIENT, None).end()
    [call], [request] = exporter.get_finished_spans(), later.get_finished_spans()
    assert request.parent.span_id == call.context.span_id == int(span_of("CA1"), 16)
    assert request.context.trace_id == call.context.trace_id == int(trace_of("CA1"), 16)


def test_only_the_spans_of_calls_have_ids_that_are_known_before(monkeypatch):
    tracing, _ = kept(monkeypatch)
    call = tracing.call("CA1", SpanKind.SERVER, 0, {})
    ids = {tracing.child(call, "turn", SpanKind.INTERNAL, None).get_span_context().span_id for _ in range(20)}
    assert len(ids) == 20
    assert int(span_of("CA1"), 16) not in ids


def test_a_late_request_is_sampled_as_its_call_was(monkeypatch):
    tracing, _ = kept(monkeypatch, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    decisions = []
    for number in range(40):
        call = tracing.call(f"CA{number}", SpanKind.SERVER, 0, {})
        late = tracing.child(tracing.call_of(f"CA{number}"), "POST call.ended", SpanKind.CLIENT, None)
        decisions.append((call.is_recording(), late.is_recording()))
    assert set(decisions) == {(True, True), (False, False)}


@pytest.mark.parametrize(("given", "name"), [("", "voicebot"), ("sales-bot", "sales-bot")])
def test_the_service_has_a_name(monkeypatch, given, name):
    tracing, exporter = kept(monkeypatch, **({"OTEL_SERVICE_NAME": given} if given else {}))
    tracing.call("CA1", SpanKind.SERVER, 0, {}).end()
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == name


async def test_it_is_off_unless_somebody_wants_it():
    async with open_tracing(TracingSettings()) as tracing:
        assert not tracing.on


async def test_switched_on_it_sends_over_otlp_and_hands_over_what_is_left(monkeypatch, site):
    site.pages["/v1/traces"] = lambda: web.Response(content_type="application/x-protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", site.url(""))
    async with open_tracing(TracingSettings(enabled=True)) as tracing:
        assert tracing.on
        tracing.call("CA1", SpanKind.SERVER, 0, {}).end()
    assert site.requests == [("POST", "/v1/traces")]


async def test_without_the_extra_it_says_what_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "voicebot.tracing.sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match="otel"):
        async with open_tracing(TracingSettings(enabled=True)):
            pass
