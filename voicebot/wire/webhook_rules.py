"""What an action must satisfy beyond its types: numbers, addresses, keys, documents."""

import re
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from pydantic import ValidationError

from voicebot.core.actions import (
    Action,
    Configure,
    HangUp,
    Listen,
    Pause,
    Play,
    Redirect,
    Say,
    SendDigits,
    Transfer,
)
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.soniox_tts import VoiceOptions

type Fault = tuple[str, str]
"""Where in the action (a JSON path that begins with a dot, or nothing) and what is wrong."""

# E.164: a plus, a country code that does not begin with 0, fifteen digits at most.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
# Twilio, TwiML <Sip> and <Client>.
_SIP = re.compile(r"sips?:[^\s@]+@[^\s@]+")
_CLIENT = re.compile(r"client:[^\s:@]+")
# Twilio, TwiML <Play digits>: keys, and w or W for pauses.
_DIGITS = re.compile(r"[0-9*#A-Dw]+", re.IGNORECASE)
_KEYS = frozenset("0123456789*#")
_ROOT = "Response"
_SHOWN = 60
"""Most characters of a foreign name that an error repeats."""


def fault_of(action: Action) -> Fault | None:
    """Return the first fault of an action whose types are right, or None."""
    match action:
        case Say(text=text):
            return _options_fault(VoiceOptions, action) if text.strip() else (".text", "is blank")
        case Play(url=url):
            return _url_fault(".url", url)
        case SendDigits(digits=digits):
            return None if _DIGITS.fullmatch(digits) else (".digits", "may hold 0-9 * # A-D and w (half a second)")
        case Listen():
            return _listen_fault(action)
        case Transfer():
            return _transfer_fault(action)
        case Redirect():
            return _redirect_fault(action)
        case Configure():
            return _options_fault(VoiceOptions, action) or _options_fault(SttOptions, action)
        case Pause() | HangUp():
            return None


def _listen_fault(action: Listen) -> Fault | None:
    if action.expect is None or not action.expect.finish_key or action.expect.finish_key in _KEYS:
        return None
    return ".expect.finish_key", "is one of 0-9 * #, or empty for none"


def _options_fault(options: type[VoiceOptions | SttOptions], action: Say | Configure) -> Fault | None:
    """What is named must be something that Soniox takes: it would refuse the whole session otherwise."""
    named = {name: value for name in options.model_fields if (value := getattr(action, name, None)) is not None}
    if not named:
        return None
    try:
        options.model_validate(named)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return "".join(f".{part}" for part in first["loc"]), first["msg"]
    return None


def _transfer_fault(action: Transfer) -> Fault | None:
    if not any(pattern.fullmatch(action.to) for pattern in (_E164, _SIP, _CLIENT)):
        return ".to", "is neither a number like +15550100 (E.164) nor sip:user@host nor client:name"
    if action.caller_id is None or any(pattern.fullmatch(action.caller_id) for pattern in (_E164, _CLIENT)):
        return None
    return ".caller_id", "is neither a number like +15550100 (E.164) nor client:name"


def _redirect_fault(action: Redirect) -> Fault | None:
    if (action.twiml is None) is (action.url is None):
        return "", "needs exactly one of twiml and url"
    return _url_fault(".url", action.url) if action.url is not None else _twiml_fault(action.twiml or "")


def _url_fault(where: str, url: str) -> Fault | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address in brackets that is none
        usable = False
    if not usable or any(letter.isspace() or not letter.isprintable() for letter in url):
        return where, "is not an absolute http(s) URL"
    return None


def _twiml_fault(document: str) -> Fault | None:
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        return ".twiml", "may not declare a document type or entities"
    try:
        root = ET.fromstring(document.encode("utf-8"))  # noqa: S314 - entities are refused above, the size is bounded
    except (ET.ParseError, LookupError, ValueError) as error:  # or it declares an encoding that is none
        return ".twiml", f"is not well-formed XML: {error}"
    return None if root.tag == _ROOT else (".twiml", f"has the root {root.tag[:_SHOWN]}, not {_ROOT}")
