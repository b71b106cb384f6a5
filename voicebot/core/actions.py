"""What an application may ask for in a reply, as frozen values; the webhook contract validates into them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

type Text = Annotated[str, Len(1, 5_000)]
"""Speech of one action; the upper limit is Soniox's for one stream (TTS, limits and quotas)."""
type Milliseconds = Annotated[int, Ge(0), Le(600_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Speak a text."""

    text: Text
    """What to say."""
    language: str | None = None
    """Two-letter code; the call's own when left out."""
    voice: str | None = None
    """A voice of Soniox's list."""
    speed: Annotated[float, Ge(0.7), Le(1.3)] | None = None
    """1 is the voice's own pace."""
    interruptible: bool = True
    """The caller's voice stops it."""
    more: bool = False
    """The sentence goes on in the next `say`; only in streamed replies."""
    type: Literal["say"] = "say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play the audio behind an http(s) URL."""

    url: Annotated[str, Len(1, 2_000)]
    """http or https; WAV, MP3, OGG or FLAC. Fetched once and kept for other calls."""
    from_ms: Milliseconds = 0
    """Begin so far into it."""
    interruptible: bool = True
    """The caller's voice stops it."""
    type: Literal["play"] = "play"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stay silent; the caller may speak meanwhile."""

    ms: Annotated[int, Gt(0), Le(60_000)]
    """How long, in milliseconds."""
    type: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeInPolicy:
    """When the caller's voice stops the bot: after `min_ms` of speech or `min_words` words, whichever comes first."""

    enabled: bool = True
    """Off: the bot is never interrupted."""
    min_ms: Milliseconds = 250
    """So much speech of the caller stops the bot."""
    min_words: Annotated[int, Ge(1), Le(50)] = 1
    """So many recognised words do."""
    backchannels: tuple[str, ...] | None = None
    """Words that are no wish to speak ("mhm", "okay"); left out, the list of the caller's language; empty for none."""
    resume: bool = True
    """Say the unheard rest when no words follow: it was a cough, not the caller."""
    resume_after_ms: Milliseconds = 800
    """So much silence without words after the sound that stopped the bot."""


type ExpectKind = Literal["free", "yes_no", "digits", "spelling", "email"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What the application expects next, in words or in keys: it stretches and shortens the patience for both.

    Keys are collected to `digits` of them, the finish key or a pause between keys, whatever the kind.
    """

    kind: ExpectKind = "free"
    """`yes_no`, `digits`, `spelling` and `email` are read from the words into `turn.entry`."""
    digits: Annotated[int, Ge(1), Le(64)] | None = None
    """How many keys, spoken digits or letters complete the entry; unknown when left out."""
    finish_key: Annotated[str, Len(0, 1)] = "#"
    """This key ends the collection; empty for none."""
    between_digits_ms: Milliseconds = 3_000
    """So long after the last key the collection ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPolicy:
    """When the recogniser says that an utterance is over (Soniox, endpoint detection); what is not named stays.

    Soniox takes these at the start of a session, so a change opens a new one.
    """

    enable_endpoint_detection: bool | None = None
    """Without it silence alone ends turns."""
    max_endpoint_delay_ms: Annotated[int, Ge(500), Le(3_000)] | None = None
    """Longest time between the end of speech and its endpoint."""
    endpoint_sensitivity: Annotated[float, Ge(-1), Le(1)] | None = None
    """Higher gives more and earlier endpoints."""
    endpoint_latency_adjustment_level: Annotated[int, Ge(0), Le(3)] | None = None
    """Higher gives earlier endpoints at some cost in accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Change the turn policy from now on; what is not named stays as it is."""

    finalize_after_ms: Annotated[int, Ge(200), Le(10_000)] | None = None
    """Silence after which the recogniser is asked to settle its words."""
    commit_after_ms: Annotated[int, Ge(200), Le(30_000)] | None = None
    """Silence after which settled words are a turn although no endpoint came."""
    endpoint_after_ms: Annotated[int, Ge(0), Le(10_000)] | None = None
    """Least silence before an endpoint ends the turn; more is more patience, 0 takes the recogniser's word for it."""
    max_turn_ms: Annotated[int, Ge(1_000), Le(600_000)] | None = None
    """Longest turn, from its first word."""
    no_input_ms: Milliseconds | None = None
    """Silence after the bot's last heard word before `no_input`; 0 is never."""
    provisional: bool | None = None
    """Post the turn as soon as its words are settled, before its end is sure."""
    barge_in: BargeInPolicy | None = None
    """When the caller's voice stops the bot."""
    expect: Expect | None = None
    """What is expected: an answer of a kind, keys."""
    endpoint: EndpointPolicy | None = None
    """When the recogniser ends an utterance."""
    type: Literal["listen"] = "listen"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits:
    """Press keys towards the other side; ``w`` waits half a second (TwiML `<Play digits>`)."""

    digits: Annotated[str, Len(1, 64)]
    """`0`-`9`, `*`, `#`, `A`-`D`, and `w` for half a second."""
    type: Literal["send_digits"] = "send_digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Connect the caller to somebody else once everything said before has been heard."""

    to: Annotated[str, Len(1, 200)]
    """A number in E.164 (`+15550100`), `sip:…` or `client:…`."""
    caller_id: str | None = None
    """What the other side sees; the caller's own number when left out."""
    timeout: Annotated[int, Ge(5), Le(600)] = 30
    """How long it rings, in seconds."""
    on_failure: Literal["return", "hangup"] = "return"
    """`return` brings the caller back to the bot, with `transfer.failed`."""
    type: Literal["transfer"] = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Hand the call to other TwiML: a document (`twiml`) or where to fetch one (`url`); exactly one of them."""

    twiml: Annotated[str, Len(1, 64_000)] | None = None
    """A TwiML document."""
    url: Annotated[str, Len(1, 2_000)] | None = None
    """Where Twilio fetches one."""
    type: Literal["redirect"] = "redirect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Change how the rest of the call is recognised and spoken; what is not named stays as it is."""

    language_hints: tuple[str, ...] | None = None
    """Languages to expect, as two-letter codes."""
    language_hints_strict: bool | None = None
    """Recognise no other language."""
    context: dict[str, object] | None = None
    """What the call is about (Soniox, context): `general`, `text`, `terms`, `translation_terms`."""
    voice: str | None = None
    """Speak with this voice."""
    language: str | None = None
    """Speak this language."""
    speed: Annotated[float, Ge(0.7), Le(1.3)] | None = None
    """Speak at this pace."""
    type: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the call once everything said before has been heard."""

    reason: Annotated[str, Len(0, 200)] = ""
    """For your own records: it is in the log."""
    type: Literal["hangup"] = "hangup"


type Action = Say | Play | Pause | Listen | SendDigits | Transfer | Redirect | Configure | HangUp
