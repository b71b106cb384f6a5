"""Reads the labels of a recording: JSON in the shape of eot-bench, with the utterances beside the silences."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from voicebot.core.score_labels import Labels, Silence, Utterance, utterances_between
from voicebot.wire.recording import RecordingError


class _Part(BaseModel):
    """Fields that are not read here may be there: words, messages, where the sound comes from."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Span(_Part):
    start_ms: float
    end_ms: float

    @model_validator(mode="after")
    def _check_order(self) -> "_Span":
        if self.end_ms < self.start_ms:
            raise ValueError("ends before it starts")
        return self


class _Silence(_Span):
    kind: Literal["hold", "eot"]


class _Utterance(_Span):
    text: str = ""
    kind: Literal["turn", "backchannel"] = "turn"


class _Labels(_Part):
    id: str
    silence_spans: tuple[_Silence, ...]
    utterances: tuple[_Utterance, ...] = ()
    kind: str = ""
    offset_ms: float = 0.0


def read_labels(text: str | bytes) -> Labels:
    """Return the labels in a JSON text; raises RecordingError naming the first fault and its place."""
    try:
        read = _Labels.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise RecordingError(f"labels: {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None
    silences = tuple(Silence(each.start_ms, each.end_ms, each.kind) for each in read.silence_spans)
    utterances = tuple(Utterance(each.start_ms, each.end_ms, each.text, each.kind) for each in read.utterances)
    return Labels(
        id=read.id,
        silences=silences,
        utterances=tuple(sorted(utterances, key=lambda each: each.start_ms)) or utterances_between(silences),
        kind=read.kind,
        offset_ms=read.offset_ms,
    )
