"""The parsers of what Twilio and Soniox send, and of our own live events."""

import json
from datetime import UTC, datetime

from fuzzing.laws import Broken, Target, check_value, declared, same, text_of
from voicebot.core.audio import Timeline
from voicebot.core.delivery import retry_after
from voicebot.core.events import Media
from voicebot.errors import PeerProtocolError
from voicebot.wire import live_json, soniox_stt, soniox_tts, sse, twilio
from voicebot.wire.soniox_ledger import Ledger

BASE_MS = 1_000
MAX_GAP_MS = 10_000
BYTES_PER_SECOND = 8_000
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@declared(PeerProtocolError)
def run_twilio(data: bytes) -> object:
    """A message of the media stream, as text and as bytes."""
    event = twilio.read(text_of(data))
    if isinstance(event, Media):
        audio = Timeline(MAX_GAP_MS).place(event.timestamp_ms, event.payload)
        if len(audio) > len(event.payload) + MAX_GAP_MS * 8:
            raise Broken("one message makes more audio than its gap allows")
    else:
        check_value(event)
    return event


@declared(PeerProtocolError)
def run_stt(data: bytes) -> object:
    """A message of speech-to-text; what it says goes through the books of its session."""
    read = soniox_stt.read(text_of(data), BASE_MS)
    check_value(read)
    if isinstance(read, soniox_stt.Message):
        ledger = Ledger(BYTES_PER_SECOND)
        ledger.ask(1.0)
        check_value([*ledger.take(read), *ledger.settle()])
    return read


@declared(PeerProtocolError)
def run_tts(data: bytes) -> object:
    """A message of text-to-speech."""
    read = soniox_tts.read(text_of(data))
    check_value(read)
    return read


@declared(PeerProtocolError)
def run_live(data: bytes) -> object:
    """A live event as a watcher reads it."""
    return live_json.decode(data)


@declared()
def run_sse(data: bytes) -> object:
    """A stream of events, whole and in pieces of every size."""
    whole = sse.Reader()
    messages = list(whole.push(data + b"\n\n"))
    for size in (1, 7):
        reader = sse.Reader()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        same([each for piece in [*pieces, b"\n\n"] for each in reader.push(piece)], messages, f"pieces of {size}")
        same(reader.last_id, whole.last_id, "the last id")
    check_value(messages)
    return messages


@declared()
def run_retry_after(data: bytes) -> object:
    """The header Retry-After."""
    seconds = retry_after(data.decode("latin-1"), NOW)
    check_value(seconds)
    return seconds


def _json(*documents: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in documents)


_START = {
    "accountSid": "AC1",
    "streamSid": "MZ1",
    "callSid": "CA1",
    "tracks": ["inbound"],
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    "customParameters": {"token": "t", "Name": "Ümit"},
}
_TOKEN = {"text": " hello", "start_ms": 60, "end_ms": 300, "confidence": 0.98, "is_final": True, "speaker": "1"}
_OPENED = {"from": "+1", "to": "+2", "direction": "inbound", "mode": "bot", "started_at": "2026-11-01T00:00:00Z"}
_LIVE = {"call": "CA1", "at": "2026-11-01T00:00:00Z"}

TARGETS = (
    Target(
        "twilio",
        run_twilio,
        _json(
            {"event": "connected", "protocol": "Call", "version": "1.0.0"},
            {"event": "start", "sequenceNumber": "1", "start": _START, "streamSid": "MZ1"},
            {"event": "media", "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "/////w=="}},
            {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "5"}, "streamSid": "MZ1"},
            {"event": "mark", "mark": {"name": "u-1"}, "streamSid": "MZ1"},
            {"event": "stop", "stop": {"accountSid": "AC1", "callSid": "CA1"}, "streamSid": "MZ1"},
        ),
        (b'"outbound"', b'"audio/x-mulaw"', b'"timestamp"'),
    ),
    Target(
        "soniox_stt",
        run_stt,
        _json(
            {"tokens": [_TOKEN, {"text": "<end>", "is_final": True}], "final_audio_proc_ms": 300},
            {"tokens": [{"text": " hal", "is_final": False, "translation_status": "translation"}]},
            {"tokens": [{"text": "<fin>", "is_final": True}], "total_audio_proc_ms": 900, "finished": True},
            {"error_code": 503, "error_type": "x", "error_message": "again", "request_id": "r"},
        ),
        (b'"<end>"', b'"<fin>"', b'"is_final":true', b'"language":"de"', b'"source_language"'),
    ),
    Target(
        "soniox_tts",
        run_tts,
        _json(
            {"stream_id": "s1", "audio": "/////w==", "audio_end": False},
            {
                "stream_id": "s1",
                "audio": "/w==",
                "audio_end": True,
                "timestamps": {
                    "characters": ["H", "i"],
                    "character_start_times_seconds": [0.0, 0.1],
                    "character_end_times_seconds": [0.1, 0.25],
                },
            },
            {"stream_id": "s1", "terminated": True},
            {"stream_id": "s1", "error_code": 400, "error_message": "no"},
        ),
    ),
    Target(
        "live_json",
        run_live,
        _json(
            {"type": "call.opened", **_LIVE, **_OPENED},
            {"type": "partial", **_LIVE, "track": "caller", "settled": "a", "tentative": "b"},
            {"type": "digit", **_LIVE},
            {"type": "trouble", **_LIVE, "what": "x"},
            {
                "type": "bot.said",
                **_LIVE,
                "utterance": 1,
                "text": "Hi",
                "heard": "H",
                "unheard": "i",
                "ms": 1,
                "interrupted": True,
            },
        ),
        (b'"turn.completed"', b'"latency"', b'"webhook.attempt"', b'"reply"', b'"call.ended"'),
    ),
    Target(
        "sse",
        run_sse,
        (b"id: 4\nevent: digit\ndata: {}\n\n", b":\n\ndata: a\r\ndata: b\r\rretry: 1\n\n", b"data:\n\n"),
        (b"id:", b"event:", b"data:", b"\r", b"\r\n", b"\n\n", b"\0"),
    ),
    Target(
        "retry_after", run_retry_after, (b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"0"), (b"GMT", b"+2400", b"Feb 30")
    ),
)
"""What other parties of a call send."""
