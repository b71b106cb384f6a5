"""Spans whose ids follow from the call's id, so that one call is one trace over restarts, with an SDK or without."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from importlib.metadata import version
from random import Random, SystemRandom
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    TracerProvider,
    format_span_id,
    format_trace_id,
    get_tracer_provider,
    set_span_in_context,
)

TRACE_BYTES = 16
"""W3C Trace Context: a trace's id has 16 bytes, a span's 8."""
SPAN_BYTES = 8

type Value = str | int | float | bool | tuple[str, ...]
type Attributes = Mapping[str, Value]

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Ids(Protocol):
    """What a provider that is ours can do: take the ids of a call's span, and say whether such a trace is sampled."""

    def set(self, trace_id: int, span_id: int) -> AbstractContextManager[None]:
        """Let the span that is started within have these ids."""

    def sampled(self, trace_id: int) -> bool:
        """Say what the sampler decides of a trace."""


def trace_of(call_id: str) -> str:
    """Return the W3C trace (32 hexadecimal digits) of a call, the same over restarts."""
    return _digest(call_id)[:TRACE_BYTES].hex()


def span_of(call_id: str) -> str:
    """Return the id (16 hexadecimal digits) of a call's own span, the same over restarts."""
    return _digest(call_id)[TRACE_BYTES : TRACE_BYTES + SPAN_BYTES].hex()


def at_ns(loop_time: float) -> int:
    """Return an instant of the loop's clock as nanoseconds since 1970, as spans count."""
    return time.time_ns() - round((asyncio.get_running_loop().time() - loop_time) * 1e9)


def traceparent(span: Span) -> str:
    """Return the header that makes others' spans children of this one (W3C Trace Context, traceparent)."""
    context = span.get_span_context()
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"


class Tracing:
    """Makes spans; without an SDK they carry their ids to the application and are otherwise lost."""

    def __init__(
        self, provider: TracerProvider | None = None, ids: Ids | None = None, chance: Random | None = None
    ) -> None:
        provider = provider or get_tracer_provider()
        self.on = not isinstance(provider, ProxyTracerProvider | NoOpTracerProvider)
        """Somebody keeps the spans."""
        self._tracer = provider.get_tracer("voicebot", version("voicebot"))
        self._ids = ids
        self._chance = chance or SystemRandom()

    def call_of(self, call_id: str) -> Span:
        """Return a call's span as others know it, who did not make it: it can have children, and nothing else."""
        trace_id, span_id = int(trace_of(call_id), 16), int(span_of(call_id), 16)
        flags = _SAMPLED if self._ids is None or self._ids.sampled(trace_id) else TraceFlags(TraceFlags.DEFAULT)
        return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))

    def call(self, call_id: str, kind: SpanKind, start_ns: int, attributes: Attributes) -> Span:
        """Begin the span of a call: the root of its trace.

        Under another's provider, which makes its own ids, it is the child of a span that nobody has made.
        """
        known = self.call_of(call_id)
        if self._ids is None:
            return self.child(known, "call", kind, start_ns, attributes)
        context = known.get_span_context()
        with self._ids.set(context.trace_id, context.span_id):
            return self._tracer.start_span("call", Context(), kind, attributes, start_time=start_ns)

    def child(
        self, parent: Span, name: str, kind: SpanKind, start_ns: int | None, attributes: Attributes | None = None
    ) -> Span:
        """Begin a span below another one."""
        if self.on:
            return self._tracer.start_span(
                name, set_span_in_context(parent, Context()), kind, attributes, start_time=start_ns
            )
        above = parent.get_span_context()
        span_id = self._chance.getrandbits(8 * SPAN_BYTES) or 1  # 0 is no id
        return NonRecordingSpan(SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags))


def _digest(call_id: str) -> bytes:
    return sha256(call_id.encode()).digest()
