"""Reads the application's whole reply into actions, or says where and why it is refused."""

import re
from http import HTTPStatus

from voicebot.core.actions import Say
from voicebot.core.handover import PUBLIC, HandoverPolicy
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.wire.webhook_order import MAX_ACTIONS, MAX_TEXT, UNSET, Order, Reply, Unset
from voicebot.wire.webhook_stream import media_type, open_stream
from voicebot.wire.webhook_strict import SHOWN, ReplyDocument, read_document

__all__ = ["MAX_ACTIONS", "MAX_TEXT", "UNSET", "Reply", "ReplyDocument", "Unset", "parse_reply"]

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)


def parse_reply(
    status: int, content_type: str | None, body: bytes, *, max_bytes: int, handover: HandoverPolicy = PUBLIC
) -> Reply:
    """Return what a reply with a 2xx `status` asks for; raises ReplyRefused with the JSON path of the first fault."""
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise LocalProtocolError(f"status {status} carries no reply")
    if len(body) > max_bytes:
        raise ReplyRefused("$", f"is larger than {max_bytes} bytes")
    if status == HTTPStatus.NO_CONTENT or not body.strip():
        return Reply()
    match media_type(content_type):
        case "application/json":
            return _from_document(body, handover)
        case "text/plain":
            say = _say(content_type or "", body)
            return Reply((Order(streamed=False, handover=handover).add("$", say, ()),))
        case kind:
            return _from_stream(kind, body, handover)


def _from_document(body: bytes, handover: HandoverPolicy) -> Reply:
    document = read_document(body)
    if len(document.actions) > MAX_ACTIONS:
        raise ReplyRefused("$", f"has {len(document.actions)} actions; {MAX_ACTIONS} are the most")
    order = Order(streamed=False, handover=handover)
    actions = tuple(order.add(f"$.actions[{number}]", action, ()) for number, action in enumerate(document.actions))
    return Reply(actions, document.state if "state" in document.model_fields_set else UNSET)


def _from_stream(kind: str, body: bytes, handover: HandoverPolicy) -> Reply:
    stream = open_stream(kind, max_bytes=len(body), handover=handover)
    if stream is None:
        known = "application/json, text/plain, application/x-ndjson, text/event-stream, or 204 without a body"
        raise ReplyRefused("$", f"has the content type {kind[:SHOWN] or '(none)'}; send {known}")
    first, last = stream.push(body), stream.end()
    if last.refusal is not None:
        raise last.refusal
    return Reply(first.actions + last.actions, first.state if last.state is UNSET else last.state)


def _say(content_type: str, body: bytes) -> Say:
    charset = match[1] if (match := _CHARSET.search(content_type)) else "utf-8"
    try:
        text = body.decode(charset).strip()
        text.encode()  # some charsets can spell halves of characters
    except (LookupError, ValueError):  # no charset, or not of it; not all of them raise UnicodeDecodeError
        raise ReplyRefused("$", f"is no text in {charset[:SHOWN]}") from None
    if len(text) > MAX_TEXT:
        raise ReplyRefused("$", f"has {len(text)} characters of speech; {MAX_TEXT} are the most in one action")
    return Say(text=text)
