"""The counters of the service, in a registry of its own."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LATENCY_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """Every label has a small fixed set of values."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.calls = Gauge("voicebot_calls", "Calls at this moment", registry=registry)
        self.calls_ended = Counter("voicebot_calls_ended", "Calls ended", ["reason"], registry=registry)
        self.refused = Counter("voicebot_refused", "Requests and streams refused", ["door", "why"], registry=registry)
        self.loop_lag = Histogram(
            "voicebot_loop_lag_seconds", "How late the event loop runs", buckets=LAG_BUCKETS, registry=registry
        )
        self.loop_lag_window = Gauge(
            "voicebot_loop_lag_window_seconds", "The same over the last seconds", ["quantile"], registry=registry
        )
        self.overloaded = Gauge("voicebot_overloaded", "1 while further calls would hurt", ["why"], registry=registry)
        self.turns = Counter("voicebot_turns", "Turns completed", ["reason"], registry=registry)
        self.barge_ins = Counter("voicebot_barge_ins", "Barge-ins", ["cause"], registry=registry)
        self.false_barge_ins = Counter(
            "voicebot_false_barge_ins", "Barge-ins that came to nothing: the bot went on", registry=registry
        )
        self.provisional_turns = Counter(
            "voicebot_provisional_turns", "Provisional turns offered, confirmed, retracted", ["step"], registry=registry
        )
        self.asides = Counter("voicebot_asides", "Words that are no turn", ["kind"], registry=registry)
        self.replies_failed = Counter("voicebot_replies_failed", "Replies not got", ["reason"], registry=registry)
        self.audio_dropped = Counter("voicebot_audio_dropped_ms", "Caller audio dropped, ms", registry=registry)
        self.frames_out_of_order = Counter(
            "voicebot_media_out_of_order", "Media messages that came twice or late", registry=registry
        )
        self.stt_failed = Counter("voicebot_stt_failed", "Recognisers lost for a call", registry=registry)
        self.speech_failed = Counter("voicebot_speech_failed", "Utterances not spoken", registry=registry)
        self.turn_latency = Histogram(
            "voicebot_turn_latency_seconds",
            "Steps of a turn since the end of speech",
            ["part"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
