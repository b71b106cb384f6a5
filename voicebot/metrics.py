"""The counters of the service, in a registry of its own."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import assert_never

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from voicebot.core.incidents import KINDS, SIDES, WHYS, Failed, Incident, Reconnecting, Replayed, Switched

OTHER = "other"
"""What a label says of a value that is not among its own."""
WAITS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 10)
"""What a person on the phone feels lies between 0.1 and 5 s."""
REQUESTS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 120)
"""Requests that answer at once, up to streamed replies at their deadline."""
MOMENTS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""What should not be felt at all."""
LAGS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
CALLS_S = (5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200)

MODES = ("bot", "transcribe")
DIRECTIONS = ("inbound", "outbound")
REASONS = (
    *("caller_hangup", "bot_hangup", "transferred", "transfer_failed", "redirected"),
    *("no_stream", "stream_lost", "lost", "stt_failed", "error", "shutdown"),
)
"""Why calls end; an application's own words for a hang-up are in the log."""
RESUMPTIONS = ("stream_lost", "restart")
TURN_REASONS = ("endpoint", "finalize", "digits", "max_turn", "command", "hangup")
PARTS = ("settled", "decided", "sent", "reply_began", "replied", "audio_sent", "audio_heard")
CAUSES = ("speech", "words", "digit")
FAILURES = ("deadline", "refused", "dead", "no_endpoint", "broken", "cancelled", "superseded")
ACTIONS = ("say", "play", "pause", "listen", "configure", "send_digits", "transfer", "redirect", "hangup")
PURPOSES = ("ask", "inform", "later", "copy")
ANSWERS = ("2xx", "3xx", "4xx", "5xx", "timeout", "unreachable")
FETCHES = ("cached", "fetched", "refused", "unavailable", "unusable")

HTTP_CLASS = 100


class Metrics:
    """Every label has a small fixed set of values, and every series is there from the start, so that its first event counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        build = self._gauge("build_info", "Which version runs; always 1", version=())
        build.labels(version("voicebot")).set(1)
        self._of_calls()
        self._of_turns()
        self._of_audio()
        self._of_webhooks()
        self._of_rooms()

    def _of_calls(self) -> None:
        self.ready = self._gauge("ready", "1 when a further call would be taken, as /readyz says")
        self.calls_limit = self._gauge("calls_limit", "Most calls at a time (limits.max_calls)")
        self.calls = self._gauge("calls", "Calls at this moment", mode=MODES, direction=DIRECTIONS)
        self.calls_started = self._counter("calls_started", "Calls taken", mode=MODES, direction=DIRECTIONS)
        self.calls_ended = self._counter("calls_ended", "Calls ended", reason=REASONS)
        self.resumed = self._counter("calls_resumed", "Calls gone on with on another stream", why=RESUMPTIONS)
        self.call_duration = self._histogram("call_duration_seconds", "From the ring to the end of a call", CALLS_S)
        self.refused = self._counter("refused", "Requests and streams refused", door=(), why=())
        self.transfers = self._counter(
            "transfers", "Transfers that came to their end", outcome=("done", "failed", "returned")
        )

    def _of_turns(self) -> None:
        self.turns = self._counter("turns", "Turns completed", reason=TURN_REASONS)
        self.turn_latency = self._histogram(
            "turn_latency_seconds", "Steps of a turn since the caller's last sound", WAITS_S, part=PARTS
        )
        self.barge_ins = self._counter("barge_ins", "Barge-ins", cause=CAUSES)
        self.false_barge_ins = self._counter("false_barge_ins", "Barge-ins that came to nothing: the bot went on")
        self.provisional_turns = self._counter(
            "provisional_turns", "Provisional turns", step=("offered", "confirmed", "retracted")
        )
        self.asides = self._counter("asides", "Words that are no turn", kind=("backchannel", "echo"))
        self.no_inputs = self._counter("no_inputs", "Times that the caller said nothing")
        self.digits = self._counter("digits", "Keys pressed")
        self.replies = self._counter(
            "replies", "Replies of the application", outcome=("performed", "empty", "not_performed")
        )
        self.actions = self._counter("actions", "Actions that replies ask for", type=ACTIONS)
        self.replies_failed = self._counter("replies_failed", "Replies not got", reason=FAILURES)

    def _of_audio(self) -> None:
        self.audio_dropped = self._counter("audio_dropped_ms", "Caller audio dropped, ms")
        self.frames_out_of_order = self._counter("media_out_of_order", "Media messages that came twice or late")
        self.forward_latency = self._histogram(
            "forward_latency_seconds", "From a batch's newest audio to its hand-over to the Soniox socket", MOMENTS_S
        )
        self.stt_failed = self._counter("stt_failed", "Recognisers lost for a call")
        self.first_audio = self._histogram(
            "speech_first_audio_seconds", "From the first text to the first audio of speech", WAITS_S
        )
        self.speech_failed = self._counter("speech_failed", "Utterances not spoken")
        self.soniox_errors = self._counter(
            "soniox_errors", "Soniox sessions not opened, refused or broken", side=SIDES, kind=sorted(KINDS)
        )
        self.soniox_reconnects = self._counter(
            "soniox_reconnects", "Further recognition sessions within a call", why=WHYS
        )
        self.soniox_replayed = self._counter("soniox_replayed_ms", "Caller audio heard again by a new session, ms")
        self.soniox_fallback = self._gauge("soniox_fallback", "Whether the fallback account is in use")
        self.calls_degraded = self._gauge("calls_degraded", "Calls without recognition")
        self.play_fetches = self._counter("play_fetches", "Audio asked for by `play`", outcome=FETCHES)

    def _of_webhooks(self) -> None:
        self.webhook_attempts = self._counter(
            "webhook_attempts", "Requests to the application", purpose=PURPOSES, outcome=ANSWERS
        )
        self.webhook_attempt = self._histogram(
            "webhook_attempt_seconds", "One request to the application", REQUESTS_S, purpose=PURPOSES
        )
        self.webhooks_dead = self._counter("webhooks_dead", "Events that became dead letters")
        self.outbox_pending = self._gauge("outbox_pending", "Events that wait for their delivery; 10,000 means more")
        self.outbox_oldest = self._gauge("outbox_oldest_seconds", "Age of the oldest event that waits")
        self.outbox_dead = self._gauge("outbox_dead", "Dead letters that are kept; 10,000 means more")
        self.endpoints_stopped = self._gauge("endpoints_stopped", "Endpoints that have answered 410")

    def _of_rooms(self) -> None:
        self.batch = self._gauge("batch_seconds", "Audio that goes up in one message")
        self.loop_lag = self._histogram("loop_lag_seconds", "How late the event loop runs", LAGS_S)
        self.loop_lag_window = self._gauge("loop_lag_window_seconds", "The same over the last seconds", quantile=())
        self.overloaded = self._gauge("overloaded", "1 while further calls would hurt", why=())
        self.store_commit = self._histogram("store_commit_seconds", "One commit of the store", MOMENTS_S)
        self.store_waiting = self._gauge("store_waiting", "Writes that wait for the store")
        self.store_failed = self._counter("store_failed", "Writes that the store did not take")
        self.readers = self._gauge("live_readers", "Readers of live events over HTTP and inside")
        self.readers_dropped = self._counter(
            "live_readers_dropped", "Readers of live events that were too slow", why=("behind", "slow")
        )

    def soniox(self, incident: Incident) -> None:
        """Count what happened on the way to Soniox."""
        match incident:
            case Failed(side=side):
                self.soniox_errors.labels(side, incident.label).inc()
            case Reconnecting(why=why):
                self.soniox_reconnects.labels(why).inc()
            case Replayed(ms=ms):
                self.soniox_replayed.inc(ms)
            case Switched(fallback=fallback):
                self.soniox_fallback.set(fallback)
            case _:
                assert_never(incident)

    def value(self, sample: str, /, **labels: str) -> float:
        """Return the sum of the samples of this name (`voicebot_calls`, `…_total`, `…_count`) that have these labels."""
        samples = (one for metric in self.registry.collect() for one in metric.samples if one.name == sample)
        return sum(one.value for one in samples if labels.items() <= one.labels.items())

    # --- making them ------------------------------------------------------------------------------

    def _counter(self, name: str, about: str, **labels: Sequence[str]) -> Counter:
        return _filled(Counter(f"voicebot_{name}", about, tuple(labels), registry=self.registry), labels)

    def _gauge(self, name: str, about: str, **labels: Sequence[str]) -> Gauge:
        return _filled(Gauge(f"voicebot_{name}", about, tuple(labels), registry=self.registry), labels)

    def _histogram(self, name: str, about: str, buckets: Sequence[float], **labels: Sequence[str]) -> Histogram:
        made = Histogram(f"voicebot_{name}", about, tuple(labels), buckets=buckets, registry=self.registry)
        return _filled(made, labels)


def one_of(values: Sequence[str], value: str) -> str:
    """Return a label's value, or `other` for one that it does not know."""
    return value if value in values else OTHER


def answer(status: int | None, error: str) -> str:
    """Return how a request to the application went, in one word of ANSWERS."""
    if status is not None:
        return one_of(ANSWERS, f"{status // HTTP_CLASS}xx")
    return "timeout" if error.startswith(("no answer within", "cut off after")) else "unreachable"


def _filled[M: Counter | Gauge | Histogram](metric: M, labels: dict[str, Sequence[str]]) -> M:
    """Make every series that is known beforehand."""
    rows: list[tuple[str, ...]] = [()]
    for values in labels.values():
        rows = [(*row, value) for row in rows for value in values]
    for row in rows if labels else ():
        metric.labels(*row)
    return metric
