"""The SDK of OpenTelemetry with an OTLP exporter, as its own environment variables (`OTEL_…`) set it up; the extra `otel`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import override

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler

SAMPLED = {Decision.RECORD_AND_SAMPLE}


class CallIds(RandomIdGenerator):
    """Random ids, except for the spans of calls."""

    def __init__(self) -> None:
        self._next: tuple[int, int] | None = None
        self.sampler: Sampler | None = None

    @contextmanager
    def set(self, trace_id: int, span_id: int) -> Iterator[None]:
        """Let the span that is started within, before anything else is awaited, have these ids."""
        self._next = trace_id, span_id
        try:
            yield
        finally:
            self._next = None

    def sampled(self, trace_id: int) -> bool:
        """Say what the sampler decides of a trace that begins."""
        return self.sampler is None or self.sampler.should_sample(None, trace_id, "call").decision in SAMPLED

    @override
    def is_trace_id_random(self) -> bool:
        return False  # the ids of calls are digests

    @override
    def generate_trace_id(self) -> int:
        return self._next[0] if self._next else super().generate_trace_id()

    @override
    def generate_span_id(self) -> int:
        return self._next[1] if self._next else super().generate_span_id()


def open_provider(processor: SpanProcessor | None = None) -> tuple[TracerProvider, CallIds]:
    """Return a provider that sends to `OTEL_EXPORTER_OTLP_ENDPOINT`, in batches and from a thread of its own."""
    ids = CallIds()
    # What the environment says (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins over the name given here.
    found = Resource.create()
    named = found if _is_named(found) else found.merge(Resource({SERVICE_NAME: "voicebot"}))
    provider = TracerProvider(resource=named, id_generator=ids, shutdown_on_exit=False)
    ids.sampler = provider.sampler
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    return provider, ids


def _is_named(resource: Resource) -> bool:
    return not str(resource.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service")
