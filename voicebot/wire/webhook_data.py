"""What the events of the webhook contract carry: calls, turns, words, speech, totals."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

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
    """Custom parameters of the carrier's stream (TwiML `<Parameter>`)."""
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
    """Where the time went between the caller's last word and the bot's first sound, for the turn before this one."""

    endpoint_ms: int | None = None
    """From the caller's last word to the decision that the turn is over."""
    webhook_ms: int | None = None
    """From that decision to the first byte of the application's reply."""
    reply_ms: int | None = None
    """From the first byte of the reply to its end."""
    first_audio_ms: int | None = None
    """From the end of the reply to the first audio of its speech."""
    total_ms: int | None = None
    """From the caller's last word to the first audio of the bot's answer."""


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


class CallStartedData(Model):
    """The call has begun; the reply is the greeting."""

    carrier: dict[str, str] = {}
    """What the carrier's voice webhook said (Twilio: CallerName, FromCity, …)."""
    mode: Literal["bot", "transcribe"] = "bot"
    """`transcribe` only listens: nothing can be said."""


class TurnCompletedData(Model):
    """The caller has said something and waits."""

    turn: TurnData
    """What was said."""
    spoken: tuple[SpokenData, ...] = ()
    """What the bot said since the last event that carried this field."""
    latency: LatencyData | None = None
    """Parts of the delay of the previous turn's answer."""


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
    """Everything that was said and heard, in order."""
