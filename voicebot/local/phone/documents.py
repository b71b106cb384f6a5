"""Fetching the next TwiML document, and what Twilio makes of answers that are none."""

from dataclasses import dataclass
from typing import Final

import aiohttp

from voicebot.local.phone import twiml
from voicebot.local.phone.codes import INVALID_CONTENT_TYPE, RETRIEVAL_FAILURE
from voicebot.local.phone.webhooks import Answer, Ask, WebhookFailure, Webhooks

_XML: Final = frozenset({"text/xml", "application/xml", "text/html"})
_ERROR_QUOTE: Final = 160


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document and the URL it came from, against which its relative URLs are resolved."""

    document: twiml.Document
    url: str


async def fetch(webhooks: Webhooks, session: aiohttp.ClientSession, ask: Ask) -> Fetched:
    """Ask for a document; raises `WebhookFailure` with 11200, 12100, 12300 ... when there is none to follow."""
    answer = await webhooks.ask(session, ask)
    try:
        return Fetched(document_of(answer), answer.url)
    except twiml.TwimlError as error:
        raise WebhookFailure(error.code, f"{answer.url}: {error}") from error


def document_of(answer: Answer) -> twiml.Document:
    """The document in an answer: XML is TwiML, audio is played, plain text is read out (Twilio, TwiML for Voice)."""
    if not answer.ok:
        quote = answer.body[:_ERROR_QUOTE].decode(errors="replace").strip()
        raise WebhookFailure(RETRIEVAL_FAILURE, f"{answer.url}: HTTP {answer.status}: {quote}")
    kind = answer.content_type.split(";")[0].strip().lower()
    if not kind:
        raise WebhookFailure(RETRIEVAL_FAILURE, f"{answer.url}: the answer has no Content-Type; send text/xml")
    if kind in _XML:
        return twiml.parse(answer.body)
    if kind.startswith("audio/"):
        return twiml.Document((twiml.Play(answer.url),))
    if kind == "text/plain":
        return twiml.Document((twiml.Say(answer.body.decode(errors="replace").strip()),))
    message = f"{answer.url}: Content-Type {answer.content_type!r}; TwiML is sent as text/xml"
    raise WebhookFailure(INVALID_CONTENT_TYPE, message)
