"""TwiML documents read into verbs, with everything Twilio would complain about noted beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET

from voicebot.local.phone.codes import INVALID_TRACK, PARSE_FAILURE, SCHEMA_WARNING, TOO_LARGE

#: Largest document Twilio accepts, in bytes.
MAX_DOCUMENT_BYTES: Final = 64 * 1024
#: Longest `<Parameter>`: name and value together, in characters (Twilio, TwiML Stream).
MAX_PARAMETER_CHARS: Final = 500
#: `<Pause>` without a length, in seconds.
DEFAULT_PAUSE_S: Final = 1.0
#: `<Dial>` without a timeout, in seconds.
DEFAULT_DIAL_TIMEOUT_S: Final = 30.0

type Track = Literal["inbound_track", "outbound_track", "both_tracks"]
TRACKS: Final[Mapping[str, Track]] = {
    "inbound_track": "inbound_track",
    "outbound_track": "outbound_track",
    "both_tracks": "both_tracks",
}


class TwimlError(ValueError):
    """A document that Twilio would refuse as a whole; `code` is Twilio's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a document that Twilio reports, and whether it counts as an error there."""

    code: int
    message: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """`<Stream>`: where the audio goes, under which name, with which parameters."""

    url: str
    name: str | None = None
    track: Track = "inbound_track"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Connect:
    """`<Connect><Stream>`: both directions; what follows waits for the end of the stream."""

    stream: Stream
    action: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Start:
    """`<Start><Stream>`: from the call to the service only; what follows runs at once."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Stop:
    """`<Stop><Stream name>`: ends a stream begun by `<Start>`."""

    name: str


@dataclass(frozen=True, slots=True)
class Say:
    """`<Say>`: text that Twilio speaks; `loop` 0 means until the call ends."""

    text: str
    voice: str | None = None
    language: str | None = None
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """`<Play>`: an audio file, or DTMF digits; `loop` 0 means until the call ends."""

    url: str
    digits: str | None = None
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    """`<Pause>`: silence, in seconds."""

    length_s: float = DEFAULT_PAUSE_S


@dataclass(frozen=True, slots=True)
class Dial:
    """`<Dial>`: other parties to connect the caller to."""

    numbers: tuple[str, ...]
    action: str | None = None
    method: str = "POST"
    timeout_s: float = DEFAULT_DIAL_TIMEOUT_S
    caller_id: str | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """`<Redirect>`: go on with the document at this URL."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """`<Hangup>`: end the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """`<Reject>`: do not take the call."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class Unknown:
    """An element this phone does not know; skipped, and noted."""

    name: str


type Verb = Connect | Start | Stop | Say | Play | Pause | Dial | Redirect | Hangup | Reject | Unknown


@dataclass(frozen=True, slots=True)
class Document:
    """The verbs of one TwiML document in order, and what Twilio would complain about."""

    verbs: tuple[Verb, ...]
    problems: tuple[Problem, ...] = ()


_STREAM_ATTRIBUTES: Final = frozenset(
    {"url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName", "audioFormat", "sampleRate"},
)
_CALLED: Final = frozenset({"Number", "Sip", "Client", "Conference", "Queue", "Application", "WhatsApp"})
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "Response": frozenset(),
    "Connect": frozenset({"action", "method"}),
    "Start": frozenset({"action", "method"}),
    "Stop": frozenset(),
    "Stream": _STREAM_ATTRIBUTES,
    "Parameter": frozenset({"name", "value"}),
    "Say": frozenset({"voice", "language", "loop"}),
    "Play": frozenset({"loop", "digits"}),
    "Pause": frozenset({"length"}),
    "Redirect": frozenset({"method"}),
    "Hangup": frozenset(),
    "Reject": frozenset({"reason"}),
}


def parse(body: bytes) -> Document:
    """Read a TwiML document; raises `TwimlError` where Twilio would give up on it (12100, 11750)."""
    if len(body) > MAX_DOCUMENT_BYTES:
        raise TwimlError(TOO_LARGE, f"the document has {len(body)} bytes; Twilio takes at most {MAX_DOCUMENT_BYTES}")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise TwimlError(PARSE_FAILURE, "a document type declaration is not TwiML; remove it")
    try:
        root = ET.fromstring(body)  # noqa: S314 - entities need a document type, which is refused above
    except (ET.ParseError, ValueError, LookupError) as error:
        start = body[:80].decode(errors="replace")
        raise TwimlError(PARSE_FAILURE, f"not well-formed XML ({error}); it begins {start!r}") from error
    if root.tag != "Response":
        raise TwimlError(PARSE_FAILURE, f"the root element must be <Response>, not <{root.tag}>")
    reader = _Reader()
    verbs = tuple(reader.verb(element) for element in root)
    return Document(verbs, tuple(reader.problems))


class _Reader:
    """Reads elements, collecting problems on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def verb(self, element: ET.Element) -> Verb:
        """The verb of one child of `<Response>`."""
        readers: Mapping[str, Callable[[ET.Element], Verb]] = {
            "Connect": self._connect,
            "Start": self._start,
            "Stop": self._stop,
            "Say": self._say,
            "Play": self._play,
            "Pause": lambda found: Pause(self._number(found, "length", DEFAULT_PAUSE_S)),
            "Dial": self._dial,
            "Redirect": lambda found: Redirect(_text(found), self._method(found, "method")),
            "Hangup": lambda _: Hangup(),
            "Reject": lambda found: Reject(found.get("reason", "rejected")),
        }
        read = readers.get(element.tag)
        if read is None:
            return self._unknown(element.tag)
        self._check_attributes(element)
        return read(element)

    def _connect(self, element: ET.Element) -> Verb:
        stream = self._stream(element)
        if stream is None:
            return Unknown("Connect")
        if stream.track != "inbound_track":
            message = f"<Connect><Stream track={stream.track!r}>: a bidirectional stream carries inbound_track only"
            self._complain(INVALID_TRACK, message, error=True)
        return Connect(stream, element.get("action"), self._method(element, "method"))

    def _start(self, element: ET.Element) -> Verb:
        stream = self._stream(element)
        return Unknown("Start") if stream is None else Start(stream)

    def _stop(self, element: ET.Element) -> Verb:
        found = element.find("Stream")
        if found is None or not found.get("name"):
            self._complain(SCHEMA_WARNING, "<Stop> needs <Stream name=...> to know what to stop")
            return Unknown("Stop")
        return Stop(found.get("name", ""))

    def _stream(self, parent: ET.Element) -> Stream | None:
        found = parent.find("Stream")
        if found is None:
            nouns = ", ".join(f"<{child.tag}>" for child in parent) or "nothing"
            self._complain(SCHEMA_WARNING, f"<{parent.tag}> holds {nouns}; this phone knows <Stream> there")
            return None
        self._check_attributes(found)
        if not found.get("url"):
            self._complain(SCHEMA_WARNING, "<Stream> needs a url", error=True)
        return Stream(
            url=found.get("url", ""),
            name=found.get("name"),
            track=self._track(found),
            status_callback=found.get("statusCallback"),
            status_callback_method=self._method(found, "statusCallbackMethod"),
            parameters=tuple(self._parameter(child) for child in found if child.tag == "Parameter"),
        )

    def _track(self, element: ET.Element) -> Track:
        wanted = element.get("track", "inbound_track")
        if wanted not in TRACKS:
            self._complain(INVALID_TRACK, f"<Stream track={wanted!r}>: one of {', '.join(TRACKS)}", error=True)
        return TRACKS.get(wanted, "inbound_track")

    def _parameter(self, element: ET.Element) -> tuple[str, str]:
        self._check_attributes(element)
        name, value = element.get("name", ""), element.get("value", "")
        if len(name) + len(value) >= MAX_PARAMETER_CHARS:
            message = f"<Parameter name={name!r}>: name and value must stay under {MAX_PARAMETER_CHARS} characters"
            self._complain(SCHEMA_WARNING, message)
        return name, value

    def _say(self, element: ET.Element) -> Verb:
        text = " ".join("".join(element.itertext()).split())
        return Say(text, element.get("voice"), element.get("language"), int(self._number(element, "loop", 1)))

    def _play(self, element: ET.Element) -> Verb:
        if not _text(element) and not element.get("digits"):
            self._complain(SCHEMA_WARNING, "<Play> needs a URL or digits", error=True)
        return Play(_text(element), element.get("digits"), int(self._number(element, "loop", 1)))

    def _dial(self, element: ET.Element) -> Verb:
        nested = tuple(_text(child) for child in element if child.tag in _CALLED)
        numbers = nested or ((_text(element),) if _text(element) else ())
        if not numbers:
            self._complain(SCHEMA_WARNING, "<Dial> names nobody to call", error=True)
        return Dial(
            numbers=numbers,
            action=element.get("action"),
            method=self._method(element, "method"),
            timeout_s=self._number(element, "timeout", DEFAULT_DIAL_TIMEOUT_S),
            caller_id=element.get("callerId"),
        )

    def _unknown(self, name: str) -> Unknown:
        self._complain(SCHEMA_WARNING, f"<{name}> is not a verb this phone can follow; it is skipped")
        return Unknown(name)

    def _method(self, element: ET.Element, name: str) -> str:
        method = element.get(name, "POST").upper()
        if method not in {"GET", "POST"}:
            self._complain(SCHEMA_WARNING, f"<{element.tag} {name}={method!r}>: GET or POST; POST is used")
            return "POST"
        return method

    def _number(self, element: ET.Element, name: str, default: float) -> float:
        text = element.get(name)
        if text is None:
            return default
        try:
            return max(0.0, float(text))
        except ValueError:
            self._complain(SCHEMA_WARNING, f"<{element.tag} {name}={text!r}>: not a number; {default:g} is used")
            return default

    def _check_attributes(self, element: ET.Element) -> None:
        known = _ATTRIBUTES.get(element.tag)
        for name in element.attrib:
            if known is not None and name not in known:
                self._complain(SCHEMA_WARNING, f"<{element.tag}> has no attribute {name!r}; Twilio ignores it")

    def _complain(self, code: int, message: str, *, error: bool = False) -> None:
        self.problems.append(Problem(code, message, error))


def _text(element: ET.Element) -> str:
    return (element.text or "").strip()
