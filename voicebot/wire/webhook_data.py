"""What the events of the webhook contract carry: calls, turns, words, speech, totals."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from voicebot.core.actions import ExpectKind
from voicebot.core.events import DigitsReason, Track, TurnReason

type Role = Literal["user", "assistant", "agent"]


class Model(BaseModel):
    """Frozen, every field always present: `null` where there is no value."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        populate_by_name=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


class CallInfo(Model):
    """The call that an event belongs to."""

    id: str
    """Name of the call; begins with the carrier's (Twilio: CallSid)."""
    from_: str = Field(alias="from")
    """The calling number, as the carrier gives it."""
    to: str
    """The called number."""
    direction: Literal["inbound", "outbound"]
    """`inbound`: somebody called the number; `outbound`: the service dialled."""
    started_at: AwareDatetime
    """When the call came in."""
    parameters: dict[str, str] = {}
    """Custom parameters of the carrier's stream (TwiML `<Parameter>`), or what `POST /calls` was given along."""
    turns: int = 0
    """Turns completed so far: a provisional turn with this number, or a smaller one, stands."""
    state: JsonValue = None
    """What the application last set as `state` in a reply; `null` before."""


class Word(Model):
    """One recognised word."""

    text: str
    """The word, with its punctuation."""
    start_ms: int | None = None
    """From the first audio of the media stream to the start of the word; `null` where the recogniser gave no time."""
    end_ms: int | None = None
    """From the first audio of the media stream to the end of the word."""
    confidence: float | None = None
    """0 to 1."""
    language: str | None = None
    """ISO code, with language identification switched on."""
    speaker: str | None = None
    """Speaker number, with diarization switched on."""


class EntryData(Model):
    """What was expected (`listen.expect`), as read from the words; for `digits` and `spelling` from the keys as well."""

    kind: ExpectKind
    """The kind that was expected."""
    value: str
    """`yes` or `no`; digits; letters in small; an address; empty when the words held none."""
    complete: bool
    """An answer, the number of digits or letters asked for, a whole address."""


class TurnData(Model):
    """What one side said until it stopped."""

    number: int
    """Counts the turns of the call from 1."""
    text: str
    """The words as one text; empty when the turn holds only keys."""
    translation: str = ""
    """The text in the other language, with translation switched on."""
    languages: tuple[str, ...] = ()
    """Languages of the words, in order of first appearance."""
    speakers: tuple[str, ...] = ()
    """Speakers of the words, in order of first appearance."""
    confidence: float | None = None
    """Mean confidence of the words, 0 to 1."""
    started_at: AwareDatetime | None = None
    """When the first word began."""
    ended_at: AwareDatetime | None = None
    """When the last word ended."""
    reason: TurnReason
    """Why the turn ended: `endpoint` and `finalize` by silence, `digits`, `max_turn`, `command`, `hangup`."""
    digits: str = ""
    """Keys pressed during the turn."""
    entry: EntryData | None = None
    """What was expected, read from the words; `null` when nothing was."""
    words: tuple[Word, ...] = ()
    """The words, one by one."""


class SpokenData(Model):
    """One utterance of the bot, and how much of it the caller heard."""

    text: str
    """What was to be said; for `play` the URL."""
    heard: str
    """The part that was played."""
    unheard: str = ""
    """The part that was cut off."""
    ms: int
    """Audio played, in milliseconds."""
    interrupted: bool = False
    """The caller spoke over it."""


class LatencyData(Model):
    """When each step between the caller's last sound and the bot's first happened, for the turn answered last.

    Milliseconds since the end of the caller's speech on the audio clock; `null` where a step did not happen.
    """

    settled_ms: int | None = None
    """The recogniser had settled the last word."""
    decided_ms: int | None = None
    """The turn was over: endpoint, silence, or another reason."""
    sent_ms: int | None = None
    """The request was sent; before `decided_ms` when the turn was told provisionally."""
    reply_began_ms: int | None = None
    """The first byte of the reply came."""
    replied_ms: int | None = None
    """Its last byte came; a streamed reply may still be spoken and written at once."""
    audio_sent_ms: int | None = None
    """The first audio of the answer was sent to the carrier."""
    audio_heard_ms: int | None = None
    """The carrier had played its beginning: what the caller felt, and the carrier's way back."""


class LatencySummary(Model):
    """How soon the caller heard an answer over the whole call, from end of speech to `audio_heard_ms`."""

    turns: int
    """Turns that were answered with sound."""
    p50_ms: int
    """Half of them sooner than this."""
    p95_ms: int
    """Nineteen of twenty sooner than this."""
    max_ms: int
    """The slowest."""


class Message(Model):
    """One line of the conversation, ready for a language model."""

    role: Literal["user", "assistant"]
    """`user` is the caller, `assistant` the bot."""
    content: str
    """What was said; of the bot only what was heard."""


class TranscriptLine(Model):
    """One line of the whole call."""

    role: Role
    """`user` is the caller, `assistant` the bot, `agent` the other side of a call that is only transcribed."""
    text: str
    """What was said; of the bot only what was heard."""
    at: AwareDatetime
    """When it began."""


class Totals(Model):
    """The call in numbers."""

    turns: int = 0
    """Turns of the caller (or of both sides, where the call is only transcribed)."""
    utterances: int = 0
    """Utterances of the bot."""
    interruptions: int = 0
    """Utterances that the caller cut off."""
    no_inputs: int = 0
    """Times that nobody spoke."""
    refused_replies: int = 0
    """Replies of the application that had the wrong shape."""
    missed_replies: int = 0
    """Events that wanted a reply and got none in time."""
    retracted_turns: int = 0
    """Provisional turns that the caller went on with."""
    resumptions: int = 0
    """Interruptions that came to nothing: the bot went on."""
    lost_streams: int = 0
    """Times that the call lost its media stream, or the service was restarted, and it went on."""
    latency: LatencySummary | None = None
    """How soon answers were heard; `null` when there was none."""


class CallStartedData(Model):
    """The call has begun; the reply is the greeting."""

    carrier: dict[str, str] = {}
    """What the carrier's voice webhook said (Twilio: CallerName, FromCity, …)."""
    mode: Literal["bot", "transcribe"] = "bot"
    """`transcribe` only listens: nothing can be said."""


class CallResumedData(Model):
    """The call has lost its media stream and goes on on another one; the reply says how."""

    why: Literal["stream_lost", "restart"]
    """`stream_lost`: the stream broke; `restart`: the service was restarted."""
    gap_ms: int | None
    """How long the caller was alone, in milliseconds; `null` after a restart, when nobody knows."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""


class TurnCompletedData(Model):
    """The caller has said something and waits."""

    turn: TurnData
    """What was said."""
    revision: int = 1
    """Counts from 1 the versions of this turn that were told; more than 1 where provisional ones were retracted."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""
    latency: LatencyData | None = None
    """The delay of the previous turn's answer, step by step."""


class TurnProvisionalData(TurnCompletedData):
    """The caller may have finished: the words are settled, the end is not sure. The reply is held until it is."""


class TurnRetractedData(Model):
    """The caller went on: this version of the turn is not what was said, and its reply is not performed."""

    number: int
    """The turn."""
    revision: int
    """The version that is taken back."""
    text: str
    """Its words, without punctuation."""


class DigitsCompletedData(Model):
    """The caller has pressed keys and said nothing."""

    digits: str
    """The keys, without the finish key; may be empty."""
    reason: DigitsReason
    """`count`, `finish_key`, `timeout` or `hangup`."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""


class NoInputData(Model):
    """Nobody has spoken for the policy's `no_input_ms`."""

    count: int
    """How often in a row."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""


class TransferFailedData(Model):
    """A transfer did not come about and the caller is back."""

    to: str
    """Where the caller should have gone."""
    status: str
    """The carrier's word: `busy`, `no-answer`, `failed`, `canceled`."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""


class CallDegradedData(Model):
    """A part of the service is gone and the call goes on without it."""

    what: Literal["recognition"]
    """`recognition`: nothing the caller says is understood; keys are."""
    kind: str
    """What went wrong, in Soniox's words (`error_type`), or `unreachable`, `connection_lost`, `refused`."""
    code: int
    """Its number (`error_code`, or the status of the handshake); 0 where there is none."""
    message: str
    """What went wrong, for a person."""
    recovering: bool
    """It is tried again in the background; `false`: only a person can help."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""


class CallRecoveredData(Model):
    """What was gone is back."""

    what: Literal["recognition"]
    """As in `call.degraded`."""
    ms: int
    """How long it was gone."""


class TranscriptFinalData(Model):
    """Something was said on a call that is only transcribed."""

    turn: TurnData
    """What was said."""
    track: Track
    """Which side said it."""


class SpeechData(Model):
    """The bot has stopped speaking."""

    text: str
    """What was to be said."""
    heard: str
    """The part that was played."""
    unheard: str = ""
    """The part that was cut off."""
    ms: int
    """Audio played, in milliseconds."""


class CallEndedData(Model):
    """The call is over."""

    reason: str
    """Why: who hung up, or what failed."""
    duration_ms: int
    """From `started_at` to the end."""
    totals: Totals = Totals()
    """How much of everything there was."""
    transcript: tuple[TranscriptLine, ...] = ()
    """Everything that was said and heard, in order; of a very long call the end, as in `messages`. The store has it all."""
