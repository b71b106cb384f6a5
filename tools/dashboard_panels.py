"""What the dashboard shows: rows of panels, each with its expressions."""

from dataclasses import dataclass

HERE = '{job=~"$job",instance=~"$instance"'
EVERY = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """One panel: its expressions by legend."""

    title: str
    about: str
    unit: str
    lines: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


def now(metric: str, by: str = "", labels: str = "") -> str:
    """Return the sum of a gauge."""
    return f"sum{_by(by)} ({metric}{HERE}{labels}}})"


def per_second(metric: str, by: str = "", labels: str = "") -> str:
    """Return how often something happens."""
    return f"sum{_by(by)} (rate({metric}{HERE}{labels}}}{EVERY}))"


def per_minute(metric: str, by: str = "", labels: str = "") -> str:
    """Return how often something rare happens."""
    return f"60 * {per_second(metric, by, labels)}"


def quantile(share: float, metric: str, by: str = "", labels: str = "") -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share:g}, {per_second(f'{metric}_bucket', f'le, {by}' if by else 'le', labels)})"


def quantiles(metric: str, labels: str = "") -> dict[str, str]:
    """Return the three that people look at."""
    return {name: quantile(share, metric, labels=labels) for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


CALLS = (
    Panel(
        "Live calls",
        "Calls at this moment, of those allowed.",
        "none",
        {"calls": now("voicebot_calls"), "allowed": now("voicebot_calls_limit")},
        "stat",
        4,
    ),
    Panel(
        "Takes calls",
        "Processes that would take a further call (/readyz).",
        "none",
        {"ready": now("voicebot_ready")},
        "stat",
        4,
    ),
    Panel(
        "Not understood",
        "Calls whose recogniser is gone and sought again.",
        "none",
        {"calls": now("voicebot_calls_degraded")},
        "stat",
        4,
    ),
    Panel(
        "Live calls",
        "By mode and direction.",
        "none",
        {"{{mode}} {{direction}}": now("voicebot_calls", "mode, direction")},
        width=12,
        stacked=True,
    ),
    Panel(
        "Calls begun",
        "Calls taken per minute.",
        "none",
        {"{{direction}}": per_minute("voicebot_calls_started_total", "direction")},
    ),
    Panel(
        "Why calls end",
        "Per minute. error, stt_failed, stream_lost and no_stream are nobody's wish.",
        "none",
        {"{{reason}}": per_minute("voicebot_calls_ended_total", "reason")},
        stacked=True,
    ),
    Panel("How long calls last", "From the ring to the end.", "s", quantiles("voicebot_call_duration_seconds")),
    Panel(
        "Turned away",
        "Requests, streams and calls refused per minute, by door and reason.",
        "none",
        {"{{door}}: {{why}}": per_minute("voicebot_refused_total", "door, why")},
    ),
    Panel(
        "Streams resumed",
        "Calls gone on with on another media stream, per minute.",
        "none",
        {"{{why}}": per_minute("voicebot_calls_resumed_total", "why")},
    ),
    Panel(
        "Transfers",
        "Transfers that came to their end, per minute.",
        "none",
        {"{{outcome}}": per_minute("voicebot_transfers_total", "outcome")},
    ),
)
HEARD = ',part="audio_heard"'
TURNS = (
    Panel(
        "Caller stops → answer heard",
        "The whole wait, from the caller's last sound to the bot's first in the caller's ear.",
        "s",
        quantiles("voicebot_turn_latency_seconds", HEARD),
        width=12,
    ),
    Panel(
        "Where the time goes",
        "Median of each step since the caller's last sound: settled (Soniox), decided (turn policy), sent, "
        "reply began and replied (your application), audio sent (speech), audio heard (carrier).",
        "s",
        {"{{part}}": quantile(0.5, "voicebot_turn_latency_seconds", "part")},
        width=12,
    ),
    Panel(
        "The wait in full",
        "How many answers were heard after how long.",
        "s",
        {"{{le}}": f"sum by (le) (increase(voicebot_turn_latency_seconds_bucket{HERE}{HEARD}}}{EVERY}))"},
        "heatmap",
    ),
    Panel(
        "Turns",
        "Turns per minute, by what ended them.",
        "none",
        {"{{reason}}": per_minute("voicebot_turns_total", "reason")},
        stacked=True,
    ),
    Panel(
        "Barge-ins",
        "Per minute; false ones came to nothing, and the bot went on.",
        "none",
        {
            "{{cause}}": per_minute("voicebot_barge_ins_total", "cause"),
            "false": per_minute("voicebot_false_barge_ins_total"),
        },
    ),
    Panel(
        "Not a turn",
        "Signs of listening and echoes of the bot, silences, keys, per minute.",
        "none",
        {
            "{{kind}}": per_minute("voicebot_asides_total", "kind"),
            "no input": per_minute("voicebot_no_inputs_total"),
            "keys": per_minute("voicebot_digits_total"),
        },
    ),
    Panel(
        "Provisional turns",
        "Offered early, confirmed, taken back, per minute.",
        "none",
        {"{{step}}": per_minute("voicebot_provisional_turns_total", "step")},
    ),
)
SONIOX = (
    Panel(
        "Audio forwarded within",
        "From a batch's newest audio to its hand-over to the Soniox socket, and how long batches are.",
        "s",
        quantiles("voicebot_forward_latency_seconds") | {"batch": f"max (voicebot_batch_seconds{HERE}}})"},
    ),
    Panel(
        "Errors",
        "Sessions refused, broken or not opened, per minute, by side and kind.",
        "none",
        {"{{side}} {{kind}}": per_minute("voicebot_soniox_errors_total", "side, kind")},
    ),
    Panel(
        "Reconnects",
        "Further recognition sessions within a call, per minute.",
        "none",
        {"{{why}}": per_minute("voicebot_soniox_reconnects_total", "why")},
    ),
    Panel(
        "Audio lost and heard again",
        "Milliseconds of the callers' audio per second.",
        "ms",
        {
            "dropped": per_second("voicebot_audio_dropped_ms_total"),
            "replayed": per_second("voicebot_soniox_replayed_ms_total"),
        },
    ),
    Panel(
        "Given up",
        "Recognisers lost for a call, utterances not spoken, per minute.",
        "none",
        {
            "recognisers": per_minute("voicebot_stt_failed_total"),
            "utterances": per_minute("voicebot_speech_failed_total"),
        },
    ),
    Panel(
        "Text → first speech",
        "From the first text to the first audio.",
        "s",
        quantiles("voicebot_speech_first_audio_seconds"),
    ),
    Panel("Fallback account", "1 while it is in use.", "none", {"fallback": now("voicebot_soniox_fallback")}, "stat"),
    Panel(
        "Media out of order",
        "Media messages that came twice or late, per minute.",
        "none",
        {"messages": per_minute("voicebot_media_out_of_order_total")},
    ),
    Panel(
        "Audio to play",
        "Audio asked for by `play`, per minute.",
        "none",
        {"{{outcome}}": per_minute("voicebot_play_fetches_total", "outcome")},
    ),
)
WEBHOOKS = (
    Panel(
        "Requests",
        "Requests to the application per second, by answer.",
        "reqps",
        {"{{outcome}}": per_second("voicebot_webhook_attempts_total", "outcome")},
        stacked=True,
    ),
    Panel(
        "Requests that ask",
        "How long those take that a caller waits for.",
        "s",
        quantiles("voicebot_webhook_attempt_seconds", ',purpose="ask"'),
    ),
    Panel(
        "Replies",
        "Performed, empty, not performed, and those not got, per minute.",
        "none",
        {
            "{{outcome}}": per_minute("voicebot_replies_total", "outcome"),
            "failed: {{reason}}": per_minute("voicebot_replies_failed_total", "reason"),
        },
    ),
    Panel(
        "Actions",
        "What replies ask for, per minute.",
        "none",
        {"{{type}}": per_minute("voicebot_actions_total", "type")},
        stacked=True,
    ),
    Panel(
        "Outbox",
        "Events that wait and dead letters that are kept; 10,000 means more.",
        "none",
        {
            "wait": now("voicebot_outbox_pending"),
            "dead": now("voicebot_outbox_dead"),
            "dead per minute": per_minute("voicebot_webhooks_dead_total"),
        },
    ),
    Panel(
        "Oldest event that waits",
        "Its age.",
        "s",
        {
            "age": f"max (voicebot_outbox_oldest_seconds{HERE}}})",
            "endpoints stopped (410)": now("voicebot_endpoints_stopped"),
        },
    ),
)
PROCESS = (
    Panel(
        "Lag of the event loop",
        "How late the loop runs; above 0.1 s callers notice.",
        "s",
        quantiles("voicebot_loop_lag_seconds"),
    ),
    Panel(
        "CPU",
        "Cores in use; one process has no use for more than one.",
        "none",
        {"{{instance}}": per_second("process_cpu_seconds_total", "instance")},
    ),
    Panel("Memory", "Resident memory.", "bytes", {"{{instance}}": now("process_resident_memory_bytes", "instance")}),
    Panel("Commits", "How long the store takes to write.", "s", quantiles("voicebot_store_commit_seconds")),
    Panel(
        "Writes",
        "Writes that wait, and writes not taken per minute.",
        "none",
        {"wait": now("voicebot_store_waiting"), "failed": per_minute("voicebot_store_failed_total")},
    ),
    Panel(
        "Readers of live events",
        "Who watches, and who was too slow (per minute).",
        "none",
        {
            "readers": now("voicebot_live_readers"),
            "dropped: {{why}}": per_minute("voicebot_live_readers_dropped_total", "why"),
        },
    ),
    Panel(
        "Versions",
        "Which version runs how often.",
        "none",
        {"{{version}}": now("voicebot_build_info", "version")},
        "stat",
    ),
    Panel(
        "Protects itself",
        "1 while a further call would hurt, by reason.",
        "none",
        {
            "{{why}}": f"max by (why) (voicebot_overloaded{HERE}}})",
            "lag, last seconds": f"max (voicebot_loop_lag_window_seconds{HERE}}})",
        },
    ),
    Panel(
        "Up since",
        "When each process was started.",
        "dateTimeFromNow",
        {"{{instance}}": f"1000 * max by (instance) (process_start_time_seconds{HERE}}})"},
        "stat",
    ),
)
ROWS = {"Calls": CALLS, "Turns": TURNS, "Soniox and sound": SONIOX, "Your application": WEBHOOKS, "Process": PROCESS}
