"""Spans of calls, turns and requests, for an OpenTelemetry SDK where there is one."""

from voicebot.tracing.open import open_tracing
from voicebot.tracing.spans import Attributes, Tracing, at_ns, span_of, trace_of, traceparent

__all__ = ["Attributes", "Tracing", "at_ns", "open_tracing", "span_of", "trace_of", "traceparent"]
