"""The parsers of what an application or a client of the API sends."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from pydantic_core import to_json

from fuzzing.laws import Broken, Target, check_value, declared, loose_text_of, same, text_of
from voicebot.core.actions import Action, Redirect, Transfer
from voicebot.errors import ReplyRefused
from voicebot.store.cursors import from_cursor, to_cursor
from voicebot.store.records import InvalidCursor
from voicebot.store.search_query import fts5, parse, tsquery
from voicebot.wire import api_requests, twiml
from voicebot.wire.api_requests import BadRequest, read_body, read_query
from voicebot.wire.twiml import Doors
from voicebot.wire.webhook_order import UNSET
from voicebot.wire.webhook_reply import parse_reply
from voicebot.wire.webhook_stream import open_stream

DOORS = Doors("https://voice.example.com")
MAX_BYTES = 65_536
TYPES = (
    "application/json",
    "text/plain",
    "text/plain; charset=utf-16",
    "application/x-ndjson",
    "text/event-stream; charset=utf-8",
)
QUERIES = (
    api_requests.PageQuery,
    api_requests.CallsQuery,
    api_requests.CallQuery,
    api_requests.SearchQuery,
    api_requests.DeliveriesQuery,
    api_requests.ExportQuery,
)
BODIES = (
    api_requests.DialRequest,
    api_requests.ActionsRequest,
    api_requests.HangUpRequest,
    api_requests.SessionRequest,
)
SCOPE = ("a", 1, datetime(2026, 11, 1, tzinfo=UTC))


def _check_actions(actions: tuple[Action, ...]) -> None:
    """What was accepted can be sent on: to Soniox, to Twilio, to the store."""
    check_value(actions)
    for action in actions:
        match action:
            case Transfer():
                check_value(twiml.dial(DOORS, action))
            case Redirect(url=str(url)):
                check_value(twiml.redirect(url))
            case _:
                pass


@declared(ReplyRefused)
def run_reply(data: bytes) -> object:
    """A whole reply; the first byte chooses its content type."""
    kind, body = TYPES[data[0] % len(TYPES)] if data else TYPES[0], data[1:]
    reply = parse_reply(200, kind, body, max_bytes=MAX_BYTES)
    _check_actions(reply.actions)
    if reply.state is not UNSET:
        to_json(reply.state)
    return reply


@declared(ReplyRefused)
def run_charset(data: bytes) -> object:
    """A reply in plain text, its charset on the first line."""
    charset, _, body = data.partition(b"\n")
    reply = parse_reply(200, f"text/plain; charset={text_of(charset)}", body, max_bytes=MAX_BYTES)
    _check_actions(reply.actions)
    return reply


@declared()
def run_stream(data: bytes) -> object:
    """A streamed reply, whole and in pieces; the first byte chooses the format, the second the size of the pieces."""
    if len(data) < 2:
        return None
    kind, size, body = ("application/x-ndjson", "text/event-stream")[data[0] % 2], data[1] % 16 + 1, data[2:]
    whole = _streamed(kind, [body])
    same(_streamed(kind, [body[at : at + size] for at in range(0, len(body), size)]), whole, f"pieces of {size}")
    return whole


def _streamed(kind: str, pieces: list[bytes]) -> object:
    stream = open_stream(kind, max_bytes=MAX_BYTES)
    if stream is None:
        raise Broken(f"{kind} is no stream")
    parts = [*map(stream.push, pieces), stream.end()]
    actions = tuple(action for part in parts for action in part.actions)
    _check_actions(actions)
    states = [part.state for part in parts if part.state is not UNSET]
    refusal = parts[-1].refusal
    check_value(str(refusal))
    return actions, repr(states[-1:]), refusal and (refusal.path, refusal.reason)


@declared(BadRequest)
def run_query(data: bytes) -> object:
    """The query of an API request; the first byte chooses the operation."""
    model = QUERIES[data[0] % len(QUERIES)] if data else QUERIES[0]
    given = dict(parse_qsl(text_of(data[1:]), keep_blank_values=True))
    read = read_query(model, given)
    check_value(read)
    for name in ("since", "until"):
        if instant := getattr(read, name, None):
            instant.astimezone(UTC)  # as the store keeps it
    return read


@declared(BadRequest, ReplyRefused)
def run_body(data: bytes) -> object:
    """The body of an API request; the first byte chooses the operation."""
    model = BODIES[data[0] % len(BODIES)] if data else BODIES[0]
    read = read_body(model, data[1:])
    check_value(read)
    return read


@declared(InvalidCursor)
def run_cursor(data: bytes) -> object:
    """A cursor: what is read can be written again."""
    keys = from_cursor(text_of(data), str, int, datetime)
    check_value(keys)
    same(from_cursor(to_cursor(keys), str, int, datetime), keys, "the cursor")
    return keys


@declared()
def run_search(data: bytes) -> object:
    """What somebody types into the search box."""
    terms = parse(loose_text_of(data))
    check_value((fts5(terms), tsquery(terms)))
    return terms


@declared(ValueError)
def run_verbs(data: bytes) -> object:
    """TwiML verbs of the setting `then`: what passes the check can be served."""
    verbs = text_of(data)
    twiml.check_verbs(verbs)
    document = twiml.start(DOORS, "token", track="both_tracks", then=verbs)
    check_value(document)
    return document


_ACTIONS = (
    {"type": "say", "text": "Hello.", "voice": "Maya", "language": "de", "speed": 1.1, "interruptible": False},
    {"type": "play", "url": "https://example.com/a.wav"},
    {"type": "pause", "ms": 500},
    {"type": "listen", "expect": {"kind": "digits", "digits": 4, "finish_key": "#"}, "no_input_ms": 5000},
    {"type": "configure", "language_hints": ["en", "de"]},
    {"type": "transfer", "to": "+15550100", "timeout": 20, "caller_id": "+15550101"},
    {"type": "redirect", "twiml": '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'},
    {"type": "redirect", "url": "https://[2606:4700::1111]:8/x?y"},
    {"type": "send_digits", "digits": "12w#"},
    {"type": "hangup", "reason": "done"},
)
_WHOLE = json.dumps({"actions": _ACTIONS[:5], "state": {"step": [1, None, "x"]}}).encode()
_LINES = b"\n".join(json.dumps(action).encode() for action in (*_ACTIONS[:3], {"state": {"a": 1}}, _ACTIONS[5]))
_PIECES = b'{"type":"say","text":"One, ","more":true}\n{"type":"say","text":"two."}\n'
_EVENTS = b"".join(b"data: %s\r\n\r\n" % json.dumps(action).encode() for action in _ACTIONS[:3])
_WORDS = (
    *(b'"%s"' % str(action["type"]).encode() for action in _ACTIONS),
    b'"more":true',
    b'"state":',
    b"encoding='utf-16'",
    b"encoding='x'",
    b"<!DOCTYPE",
)

TARGETS = (
    Target(
        "reply",
        run_reply,
        (
            b"\0" + _WHOLE,
            *(b"\0" + json.dumps({"actions": [action]}).encode() for action in _ACTIONS),
            b"\1Hello.",
            b"\2" + "Hello.".encode("utf-16"),
            b"\3" + _LINES,
            b"\4" + _EVENTS,
        ),
        _WORDS,
    ),
    Target(
        "reply_charset",
        run_charset,
        (b"utf-8\nHello.", b'"ISO-8859-1"\nGr\xfc\xdfe', b"utf-16\nH\0i\0", b"us-ascii\nHi"),
        tuple(
            word + b"\n\\ud800"
            for word in (b"idna", b"punycode", b"unicode_escape", b"utf-7", b"undefined", b"hex", b"mbcs")
        ),
    ),
    Target("reply_stream", run_stream, (b"\0\3" + _LINES, b"\0\5" + _PIECES, b"\1\1" + _EVENTS), _WORDS),
    Target(
        "api_query",
        run_query,
        (
            b"\0limit=20&cursor=abc",
            b"\1state=live&from=%2B1555&since=2026-11-22T12:00:00Z&until=2026-11-22T12:00:00+01:00&q=a",
            b"\2words=true",
            b"\3q=%22a+phrase%22",
            b"\4state=dead&type=turn.completed&url=https://a.example",
            b"\5format=vtt",
        ),
        (b"since=0001-01-01T00:00:00%2B14:00", b"until=9999-12-31T23:59:59-14:00", b"%ED%A0%80", b"%00", b"&limit="),
    ),
    Target(
        "api_body",
        run_body,
        (
            b'\0{"to":"+15550100","from":"+15550101","parameters":{"a":"b"}}',
            b"\1" + json.dumps({"actions": _ACTIONS[:5], "interrupt": True}).encode(),
            b'\2{"reason":"x"}',
            b'\3{"token":"x"}',
        ),
        _WORDS,
    ),
    Target("cursor", run_cursor, (to_cursor(SCOPE).encode() + b"",)),
    Target(
        "search", run_search, (b'invoice "number four" beg*', b'"open', b"* - AND"), (b'"', b"*", b"NEAR(", b"\\", b"'")
    ),
    Target(
        "twiml_verbs", run_verbs, (b"<Say>Hi</Say><Pause length='3'/>", b"<Dial><Number>+1</Number></Dial>"), (b"<a>",)
    ),
)
"""What an application and clients of the API send."""
