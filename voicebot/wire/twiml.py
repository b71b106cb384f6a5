"""The TwiML documents that we serve."""

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote
from xml.etree import ElementTree as ET

from twilio.twiml.voice_response import Connect, Dial, Start, Stream, VoiceResponse

from voicebot.core.actions import Transfer

TOKEN = "token"  # noqa: S105 - the parameter's name, not a secret
CONTENT_TYPE = "text/xml"
LOCALES = {
    "ca": "ca-ES",
    "da": "da-DK",
    "de": "de-DE",
    "en": "en-US",
    "es": "es-ES",
    "fi": "fi-FI",
    "fr": "fr-FR",
    "it": "it-IT",
    "ja": "ja-JP",
    "ko": "ko-KR",
    "nl": "nl-NL",
    "no": "nb-NO",
    "pl": "pl-PL",
    "pt": "pt-BR",
    "ru": "ru-RU",
    "sv": "sv-SE",
    "zh": "zh-CN",
}
"""What the carrier's voice calls our languages (TwiML Say, language); others are left to its default."""
PATIENCE = "#ct=2000&rt=5000&tt=15000&rc=5&rp=all"
"""How the carrier asks what follows a stream while the service may be restarting: the most that it allows.

Milliseconds to connect, to read and in all, retries and what is retried (Twilio, webhook connection overrides). A fragment
is neither sent nor signed.
"""


@dataclass(frozen=True, slots=True)
class Doors:
    """Our public URLs; `origin` looks like ``https://voice.example.com`` or has a path below it."""

    origin: str
    named: bool = False
    """Where several workers share a service: the address of a stream names its call, and with it the worker of the call."""
    call: str = ""

    def of(self, call: str) -> "Doors":
        """Return the doors as a call is told them; `call` is the carrier's id."""
        return replace(self, call=call) if self.named else self

    @property
    def media(self) -> str:
        """The WebSocket door, as Twilio is told and as it signs it."""
        return self.media_of(self.call)

    def media_of(self, call: str) -> str:
        """Return the WebSocket door of a call; without one, that of all."""
        name = f"/{quote(call, safe='')}" if call else ""
        return self.origin.replace("http", "ws", 1) + "/twilio/media" + name

    def at(self, path: str) -> str:
        """Return the public URL of one of Twilio's HTTP doors, for example ``connected``."""
        return f"{self.origin}/twilio/{path}"


def connect(doors: Doors, token: str, *, digits: str = "", say: str = "", language: str = "") -> str:
    """Open a two-way stream; what follows it, however it ended, is asked for at ``connected``.

    `digits` are pressed and `say` is said first. The verb behind `<Connect>` follows an ended and a broken stream alike
    (Twilio Media Streams, overview). An `action` would be asked first and end the call when it could not be fetched, so
    there is none.
    """
    response = VoiceResponse()
    if say:
        locale = LOCALES.get(language)
        text = "".join(character if character.isprintable() else " " for character in say)
        response.say(text, **({"language": locale} if locale else {}))
    if digits:
        response.play(digits=digits)
    connection = Connect()
    connection.append(_stream(doors, token))
    response.append(connection)
    response.redirect(doors.at("connected") + PATIENCE, method="POST")
    return str(response)


def start(
    doors: Doors, token: str, *, track: Literal["inbound_track", "outbound_track", "both_tracks"], then: str
) -> str:
    """Open a one-way stream beside the call, which goes on with the verbs of `then` (TwiML without its root)."""
    response = VoiceResponse()
    beginning = Start()
    beginning.append(_stream(doors, token, track=track))
    response.append(beginning)
    root = ET.fromstring(str(response))  # noqa: S314 - our own document
    root.extend(_verbs(then))
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode")


def check_verbs(verbs: str) -> None:
    """Raise ValueError unless `verbs` are TwiML verbs as `start` takes them."""
    try:
        ET.tostring(_verbs(verbs))
    except ET.ParseError as error:
        raise ValueError(f"is not well-formed XML: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def dial(doors: Doors, transfer: Transfer) -> str:
    """Connect the caller to somebody else; how that went is told at ``dialed``."""
    response = VoiceResponse()
    options = {"caller_id": transfer.caller_id} if transfer.caller_id else {}
    verb = Dial(action=doors.at("dialed") + PATIENCE, method="POST", timeout=transfer.timeout, **options)
    scheme, _, rest = transfer.to.partition(":")
    match scheme:
        case "sip" | "sips":
            verb.sip(transfer.to)
        case "client":
            verb.client(rest)
        case _:
            verb.number(transfer.to)
    response.append(verb)
    return str(response)


def redirect(url: str) -> str:
    """Hand the call to the TwiML behind `url`."""
    response = VoiceResponse()
    response.redirect(url, method="POST")
    return str(response)


def hangup() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def nothing() -> str:
    """Go on with what the document before said."""
    return str(VoiceResponse())


def refuse(verbs: str) -> str:
    """Answer a call that is not taken with the operator's `verbs` (TwiML without its root)."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(_verbs(verbs), encoding="unicode")


def _verbs(verbs: str) -> ET.Element:
    return ET.fromstring(f"<Response>{verbs}</Response>")  # noqa: S314 - the operator's own setting


def _stream(doors: Doors, token: str, **attributes: str) -> Stream:
    stream = Stream(
        url=doors.media, status_callback=doors.at("stream-status"), status_callback_method="POST", **attributes
    )
    stream.parameter(name=TOKEN, value=token)
    return stream
