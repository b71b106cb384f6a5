"""What an operator sees of a call: one line per turn and call, a tree of spans, numbers with few labels; its words in none."""

import asyncio
import io
import json
import logging
import re
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog
from aiohttp import web
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from voicebot import live
from voicebot.app import running
from voicebot.config import LogSettings
from voicebot.local.soniox.server import Faults
from voicebot.logs import set_up
from voicebot.tracing import Tracing, span_of, trace_of
from voicebot.tracing.sdk import open_provider

HELLO = {"at_ms": 200, "say": "hello pelican", "until_ms": 600, "end_ms": 800}
SECOND = {"at_ms": 1_200, "say": "second thing", "until_ms": 1_600, "end_ms": 1_800}
SAY = {"type": "say", "text": "Flamingo."}
HANG_UP = {"type": "hangup", "reason": "heron"}
PARTS = ["settled_ms", "decided_ms", "sent_ms", "reply_began_ms", "replied_ms", "audio_sent_ms", "audio_heard_ms"]


def lines(logs, event):
    return [entry for entry in logs if entry["event"] == event]


def hexadecimal(span):
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@pytest.fixture
def kept():
    """What the SDK keeps of the spans."""
    return InMemorySpanExporter()


@asynccontextmanager
async def observed(h, tracing):
    async with running(h.settings, tracing) as service:
        h.service = service
        yield
        h.service = service


def ours(kept):
    return Tracing(*open_provider(SimpleSpanProcessor(kept)))


async def converse(h, mouth):
    """Two turns, each answer heard to its end."""
    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.completed", {"actions": [SAY]}, {"actions": [SAY, HANG_UP]})
    phone = h.dial(**mouth.phone)
    for spoken in (1, 2):
        await h.app.until("speech.finished", spoken)
        mouth.say(phone)
    await phone.report()
    await h.empty()
    return phone.sid


async def test_one_line_for_each_turn_and_one_for_the_call(house, logs, mouth):
    h = await house([HELLO, SECOND], **mouth.service)
    sid = await converse(h, mouth)
    first, second = lines(logs, "turn")
    for number, line in enumerate((first, second), 1):
        assert line["call"] == sid
        assert (line["turn"], line["track"], line["reason"], line["reply"]) == (
            number,
            "caller",
            "endpoint",
            "performed",
        )
        assert (line["words"], line["attempts"], line["status"]) == (2, 1, 200)
        assert [part for part in PARTS if part not in line] == []
        assert "text" not in line
    assert (first["actions"], second["actions"]) == (("say",), ("say", "hangup"))
    assert first["characters"] == len("hello pelican")
    [call] = lines(logs, "call.ended")
    assert (call["call"], call["direction"], call["mode"], call["line"]) == (sid, "inbound", "bot", "default")
    assert (call["reason"], call["turns"], call["utterances"], call["streams"]) == ("bot_hangup", 2, 3, 1)
    assert call["attempts"] == len(h.app.headers)
    assert call["failed_attempts"] == 0
    assert call["answered"] == 2


async def test_a_turn_that_is_tried_twice_says_so(house, logs):
    h = await house([HELLO])
    failing = iter([500, 200])
    h.app.on("turn.completed", lambda _event: web.json_response({"actions": [HANG_UP]}, status=next(failing)))
    await h.call()
    [line] = lines(logs, "turn")
    assert (line["attempts"], line["status"], line["reply"], line["actions"]) == (2, 200, "performed", ("hangup",))
    [call] = lines(logs, "call.ended")
    assert call["failed_attempts"] == 1
    assert h.metric("webhook_attempts_total", purpose="ask", outcome="5xx") == 1
    assert h.metric("webhook_attempt_seconds_count") == len(h.app.headers)


async def test_a_turn_without_an_answer_says_why(house, logs):
    h = await house([HELLO])
    h.app.on("turn.completed", lambda _event: web.Response(status=404))
    phone = h.dial()
    await h.live(live.ReplyMissing)
    await phone.hang_up()
    await h.empty()
    [line] = lines(logs, "turn")
    assert (line["attempts"], line["status"], line["reply"], line["actions"]) == (1, 404, "dead", ())
    assert h.metric("webhooks_dead_total") == h.metric("replies_failed_total", reason="dead") == 1


async def test_what_is_only_transcribed_has_its_lines_too(house, logs):
    only = {"mode": "transcribe", "track": "inbound_track", "then": "<Pause length='60'/>"}
    h = await house([HELLO, SECOND], default=only)
    phone = h.dial()
    await h.app.until("transcript.final", 2)
    await phone.hang_up()
    await h.empty()
    numbers = [(line["turn"], line["track"], line["words"], line["attempts"]) for line in lines(logs, "turn")]
    assert numbers == [(1, "caller", 2, 1), (2, "caller", 2, 1)]
    assert lines(logs, "call.ended")[0]["mode"] == "transcribe"


@pytest.mark.parametrize("shown", [True, False])
async def test_words_are_in_the_log_where_the_operator_wants_them(house, logs, shown):
    h = await house([HELLO], log={"transcripts": shown})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call()
    text = json.dumps([{key: str(value) for key, value in entry.items()} for entry in logs])
    assert ("pelican" in text) is shown


async def test_the_numbers_of_a_call(house, mouth):
    h = await house([HELLO, SECOND], **mouth.service)
    calls = []
    h.app.on("call.ended", lambda _event: calls.append(h.metric("calls", mode="bot", direction="inbound")) or {})
    await converse(h, mouth)
    assert (calls, h.metric("calls")) == ([1], 0)
    assert h.metric("calls_started_total", mode="bot", direction="inbound") == 1
    assert h.metric("calls_ended_total", reason="bot_hangup") == h.metric("calls_ended_total") == 1
    assert h.metric("call_duration_seconds_count") == 1
    assert h.metric("turns_total", reason="endpoint") == 2
    for part in PARTS:
        assert h.metric("turn_latency_seconds_count", part=part.removesuffix("_ms")) == 2
    assert h.metric("actions_total", type="say") == h.metric("speech_first_audio_seconds_count") == 3
    assert h.metric("replies_total", outcome="performed") == 3
    assert h.metric("webhook_attempts_total", outcome="2xx") == len(h.app.headers)
    assert h.metric("forward_latency_seconds_count") > 0
    assert h.metric("store_commit_seconds_count") > 0
    assert h.metric("ready") == 1


async def test_the_outbox_is_counted_when_somebody_asks(house):
    h = await house()
    h.app.on("call.started", lambda _event: web.Response(status=404))
    h.app.on("call.ended", lambda _event: web.Response(status=410))
    phone = h.dial()
    await h.live(live.ReplyMissing)
    await phone.hang_up()
    await h.empty()
    async with aiohttp.ClientSession() as session, session.get(f"{h.address}/metrics") as page:
        shown = dict(re.findall(r"^(voicebot_\w+) (\S+)$", await page.text(), re.MULTILINE))
    assert float(shown["voicebot_outbox_dead"]) == float(shown["voicebot_webhooks_dead_total"]) == 1
    assert float(shown["voicebot_outbox_pending"]) == float(shown["voicebot_endpoints_stopped"]) == 1
    assert float(shown["voicebot_outbox_oldest_seconds"]) > 0


async def test_no_word_of_an_application_or_caller_becomes_a_label(house):
    h = await house([HELLO])
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call(from_="+15550123")
    labels = {
        value
        for metric in h.service.metrics.registry.collect()
        for sample in metric.samples
        for value in sample.labels.values()
    }
    assert not {value for value in labels if re.search(r"heron|pelican|\+1555|http|CA[0-9a-f]{8}", value)}


async def test_a_call_is_one_trace_and_its_requests_carry_it(house, kept, mouth):
    h = await house([HELLO, SECOND], serve=False, **mouth.service)
    async with observed(h, ours(kept)):
        sid = await converse(h, mouth)
    spans = {hexadecimal(span)[1]: span for span in kept.get_finished_spans()}
    named = {name: [span for span in spans.values() if span.name == name] for name in {s.name for s in spans.values()}}
    [call] = named["call"]
    assert hexadecimal(call) == (trace_of(sid), span_of(sid))
    assert call.parent is None
    assert call.kind is SpanKind.SERVER
    assert [f"{span.parent.span_id:016x}" for span in named["recognition"]] == [span_of(sid)]
    assert {hexadecimal(span)[0] for span in spans.values()} == {trace_of(sid)}
    assert [f"{turn.parent.span_id:016x}" for turn in named["turn"]] == [span_of(sid)] * 2
    turns = {turn.context.span_id: turn for turn in named["turn"]}
    for turn in turns.values():
        assert [event.name + "_ms" for event in turn.events if event.name != "speech_ended"] == PARTS
        assert call.start_time <= turn.start_time < turn.end_time
    # Each answer to a turn hangs below it, and so does the request that asked for it.
    assert {span.parent.span_id for span in named["POST turn.completed"]} == set(turns)
    assert {span.parent.span_id for span in named["speech"]} == {*turns, call.context.span_id}
    sent = {tuple(header["traceparent"].split("-")[1:3]) for header in h.app.headers}
    assert sent == {hexadecimal(span) for span in spans.values() if span.name.startswith("POST ")}
    assert {header["traceparent"][-2:] for header in h.app.headers} == {"01"}


async def test_no_span_holds_a_word_or_a_number_of_the_call(house, kept, mouth):
    h = await house([HELLO, SECOND], serve=False, **mouth.service, log={"transcripts": True})
    h.settings = h.settings.model_copy(
        update={"webhook": h.settings.webhook.model_copy(update={"url": h.app.url + "?key=ostrich"})}
    )
    async with observed(h, ours(kept)):
        await converse(h, mouth)
    text = "".join(span.to_json() for span in kept.get_finished_spans())
    assert "POST turn.completed" in text
    assert not re.search(r"pelican|second thing|flamingo|heron|ostrich|\+1555", text, re.IGNORECASE)


async def test_a_request_that_fails_is_an_error(house, kept):
    h = await house([HELLO], serve=False)
    failing = iter([500, 200])
    h.app.on("turn.completed", lambda _event: web.json_response({"actions": [HANG_UP]}, status=next(failing)))
    async with observed(h, ours(kept)):
        await h.call()
    first, second = [span for span in kept.get_finished_spans() if span.name == "POST turn.completed"]
    assert first.status.status_code is StatusCode.ERROR
    assert (first.attributes["error.type"], first.attributes["http.response.status_code"]) == ("500", 500)
    assert second.status.status_code is not StatusCode.ERROR
    assert second.attributes["http.request.resend_count"] == 1


async def test_a_call_that_breaks_is_an_error(house, kept):
    listens = {"mode": "transcribe", "then": '<Pause length="60"/>'}
    h = await house(soniox={"api_key": "another-key"}, serve=False, default=listens)
    async with observed(h, ours(kept)):
        phone = h.dial()
        await h.app.until("call.ended")
        await phone.hang_up()
        await h.empty()
    [call] = [span for span in kept.get_finished_spans() if span.name == "call"]
    assert call.status.status_code is StatusCode.ERROR
    assert call.attributes["voicebot.reason"] == call.attributes["error.type"] == "stt_failed"


async def test_under_anothers_sdk_the_trace_is_the_same(house, kept):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    h = await house([HELLO], serve=False)
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    async with observed(h, Tracing(provider)):
        phone = h.dial()
        await phone.report()
        await h.empty()
    spans = kept.get_finished_spans()
    assert {hexadecimal(span)[0] for span in spans} == {trace_of(phone.sid)}
    [call] = [span for span in spans if span.name == "call"]
    assert f"{call.parent.span_id:016x}" == span_of(phone.sid)


async def test_what_a_sampler_leaves_out_is_told_to_the_application(house, kept, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    h = await house([HELLO], serve=False)
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    async with observed(h, ours(kept)):
        await h.call()
    assert kept.get_finished_spans() == ()
    assert {header["traceparent"][-2:] for header in h.app.headers} == {"00"}


async def test_every_line_of_a_calls_tasks_names_the_call(house):
    h = await house([[HELLO], [HELLO]], faults=[Faults(drop_at_ms=300), None])
    out = io.StringIO()
    before = logging.root.handlers[:], logging.root.level
    structlog.reset_defaults()
    set_up(LogSettings(format="json", level="debug"), out)
    structlog.configure(cache_logger_on_first_use=False)  # later tests want these loggers for themselves
    try:
        h.app.on("turn.completed", {"actions": [HANG_UP]})
        phone = h.dial()
        await asyncio.sleep(0)
        await phone.report()
        await h.empty()
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:], logging.root.level = before
    logged = [json.loads(line) for line in out.getvalue().splitlines()]
    of_call = [line for line in logged if line["event"].startswith(("stt.", "call.", "turn", "webhook."))]
    assert {line["event"] for line in of_call} >= {"call.ended", "webhook.attempt", "stt.lost"}
    assert [line for line in of_call if line.get("call") != phone.sid] == []
