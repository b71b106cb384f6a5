"""What a handover must satisfy beyond its shape: the policy's numbers, and addresses that the carrier can follow safely."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from voicebot.core.actions import Action, Redirect, Transfer
from voicebot.core.addresses import is_local_name, literal_fault
from voicebot.core.handover import HandoverPolicy

type Fault = tuple[str, str]
"""Where in the action (a JSON path that begins with a dot, or nothing) and what is wrong."""

_SCHEMES = {"Sip": "sip:", "Client": "client:"}
# Twilio, TwiML <Dial>, <Refer>, <Enqueue> and the like: what is dialled, and what is asked for TwiML that goes on with the call.
_DIALLED = frozenset({"Dial", "Number", "Sip", "Client"})
_FETCHED = frozenset({"action", "url", "waitUrl"})
_SEPARATORS = re.compile(r"[\s().-]+")


def handover_fault(action: Action, policy: HandoverPolicy) -> Fault | None:
    """Return why an action may not be carried out although its shape is right, or None."""
    match action:
        case Transfer(to=to) if not policy.may_dial(to):
            return ".to", "may not be dialled here (setting webhook.handover.numbers)"
        case Redirect(url=str(url)) if why := url_fault(url, policy):
            return ".url", why
        case Redirect(twiml=str(document)) if why := _document_fault(document, policy):
            return ".twiml", why
        case _:
            return None


def url_fault(url: str, policy: HandoverPolicy) -> str:
    """Say why a call may not be handed to the TwiML behind an absolute http(s) URL; empty if it may."""
    if "\\" in url:
        return "may not hold a backslash, which some read as a slash"
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.username is not None or parts.password is not None:
        return "may not hold a user or a password"
    if policy.hosts and host not in {allowed.lower() for allowed in policy.hosts}:
        return "leads to a host that calls may not be redirected to (setting webhook.handover.hosts)"
    if policy.insecure:
        return ""
    if parts.scheme not in {"https", "wss"}:
        return "must be https (setting webhook.handover.insecure)"
    if is_local_name(host):
        return f"{host[:60]} is a name inside one network"
    return literal_fault(host)


def _document_fault(document: str, policy: HandoverPolicy) -> str:
    """Look into a well-formed document: its numbers, and where else it hands the call."""
    root = ET.fromstring(document.encode("utf-8"))  # noqa: S314 - checked before (webhook_rules)
    for element in root.iter():
        for target in _dialled(element):
            if not policy.may_dial(target):
                return "dials what may not be dialled here (setting webhook.handover.numbers)"
        for url in _urls(element):
            if why := url_fault(url, policy):
                return f"leads to {urlsplit(url).hostname or 'a URL'}: {why}"
    return ""


def _dialled(element: ET.Element) -> Iterator[str]:
    text = (element.text or "").strip()
    if text and element.tag in _DIALLED:
        scheme = _SCHEMES.get(element.tag, "")
        target = text if scheme else _SEPARATORS.sub("", text)
        yield target if target.startswith(scheme) else scheme + target


def _urls(element: ET.Element) -> Iterator[str]:
    """Yield the absolute URLs by which others take over the call; relative ones cannot be, in a document without a base."""
    given = [(element.text or "").strip()] if element.tag == "Redirect" else []
    given += [value.strip() for name, value in element.attrib.items() if name in _FETCHED]
    for url in given:
        try:
            whole = bool(urlsplit(url).hostname)
        except ValueError:  # the carrier cannot read it either
            continue
        if whole:
            yield url
