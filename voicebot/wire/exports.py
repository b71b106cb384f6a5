"""A call's transcript as a file to take along: text, JSON, and subtitles for the recording."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from voicebot.wire.api import CallDetail, TurnItem, UtteranceItem

type Format = Literal["txt", "json", "vtt", "srt"]

SPEAKERS = {"caller": "Caller", "agent": "Agent", "bot": "Bot"}
LEAST_CUE_MS = 500
"""Subtitles are on the screen at least so long, unless the next ones come sooner."""
MAX_CUE_CHARS = 84
"""Two lines of 42 characters; a longer turn is shown in parts."""
PAUSE_CHARS_MS = 60
"""How long a character is spoken, where nobody has measured it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Something that was said, from and to milliseconds since the call's start; `cut` is what was not heard of it."""

    begin_ms: int
    end_ms: int
    speaker: str
    text: str
    cut: str = ""
    digits: str = ""
    words: tuple[tuple[int, str], ...] = ()
    """When each word began, where that is known."""


def passages(detail: CallDetail) -> tuple[Passage, ...]:
    """Return everything that was said and heard, in the order in which it began."""
    zero = detail.call.started_at
    said = [*(_turn(turn, zero) for turn in detail.turns), *(_utterance(each, zero) for each in detail.utterances)]
    return tuple(sorted(said, key=lambda passage: passage.begin_ms))


def export(detail: CallDetail, form: Format) -> str:
    """Return the file; for subtitles `detail` should hold the words, whose times make them follow the voice."""
    return _WRITERS[form](detail)


MEDIA: Mapping[str, str] = {
    "txt": "text/plain",
    "json": "application/json",
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
}


# --- what was said --------------------------------------------------------------------------------


def _turn(turn: TurnItem, zero: datetime) -> Passage:
    begin = _ms(turn.started_at or turn.ended_at or zero, zero)
    end = _ms(turn.ended_at, zero) if turn.ended_at else begin
    words = turn.words or ()
    first = next((word.start_ms for word in words if word.start_ms is not None), None)
    timed = tuple(
        (begin + word.start_ms - first, word.text.strip())
        for word in words
        if first is not None and word.start_ms is not None
    )
    return Passage(
        begin_ms=begin,
        end_ms=max(end, begin),
        speaker=turn.track,
        text=turn.text.strip(),
        digits=turn.digits,
        words=timed if len(timed) == len(words) else (),
    )


def _utterance(utterance: UtteranceItem, zero: datetime) -> Passage:
    begin = _ms(utterance.started_at, zero)
    return Passage(
        begin_ms=begin,
        end_ms=begin + utterance.ms,
        speaker="bot",
        text=utterance.heard.strip(),
        cut=utterance.unheard.strip(),
    )


def _ms(at: datetime, zero: datetime) -> int:
    """Clocks of carrier and service may differ a little: nothing is before the call."""
    return max(0, (at - zero) // timedelta(milliseconds=1))


# --- text -----------------------------------------------------------------------------------------


def _txt(detail: CallDetail) -> str:
    call = detail.call
    lines = [
        f"Call {call.id}, {call.direction}, from {call.from_ or 'unknown'} to {call.to or 'unknown'}",
        f"{call.started_at:%Y-%m-%d %H:%M:%S} UTC, "
        + (f"{_clock(call.duration_ms)} long, ended by {call.reason}" if call.duration_ms is not None else "not ended"),
        "",
    ]
    lines += [f"[{_clock(each.begin_ms)}] {SPEAKERS[each.speaker]}: {_line(each)}" for each in passages(detail)]
    return "\n".join(_one_line(line) for line in lines) + "\n"


def _line(passage: Passage) -> str:
    parts = [passage.text]
    if passage.digits:
        parts.append(f"(keys {passage.digits})")
    if passage.cut:
        parts.append(f"(not heard: {passage.cut})")
    return " ".join(part for part in parts if part)


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)


def _json(detail: CallDetail) -> str:
    return detail.model_dump_json(indent=2, by_alias=True) + "\n"


# --- subtitles ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cue:
    begin_ms: int
    end_ms: int
    speaker: str
    text: str


def _vtt(detail: CallDetail) -> str:
    """WebVTT (W3C): no blank line and no arrow inside a cue, `&`, `<` and `>` escaped, the speaker as a voice span."""
    blocks = ["WEBVTT"]
    for number, cue in enumerate(_cues(detail), 1):
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        times = f"{_stamp(cue.begin_ms, '.')} --> {_stamp(cue.end_ms, '.')}"
        blocks.append(f"{number}\n{times}\n<v {SPEAKERS[cue.speaker]}>{text}</v>")
    return "\n\n".join(blocks) + "\n"


def _srt(detail: CallDetail) -> str:
    """SubRip: no escapes exist, so what players would take for markup is set apart."""
    blocks = []
    for number, cue in enumerate(_cues(detail), 1):
        text = cue.text.replace("<", "\u2039").replace(">", "\u203a").replace("{", "(").replace("}", ")")
        times = f"{_stamp(cue.begin_ms, ',')} --> {_stamp(cue.end_ms, ',')}"
        blocks.append(f"{number}\n{times}\n{SPEAKERS[cue.speaker]}: {text}\n")
    return "\n".join(blocks)


def _cues(detail: CallDetail) -> Iterator[_Cue]:
    """Yield the cues in order; each is long enough to be read, unless the same voice goes on sooner."""
    cues = sorted(
        (cue for passage in passages(detail) for cue in _parts(passage)), key=lambda cue: (cue.begin_ms, cue.end_ms)
    )
    following = {
        id(cue): later.begin_ms
        for voice in SPEAKERS
        for cue, later in pairwise([c for c in cues if c.speaker == voice])
    }
    for cue in cues:
        end = max(cue.end_ms, cue.begin_ms + LEAST_CUE_MS)
        latest = following.get(id(cue), end)
        yield _Cue(cue.begin_ms, max(min(end, latest), cue.begin_ms + 1), cue.speaker, cue.text)


def _parts(passage: Passage) -> Iterator[_Cue]:
    """Cut what was said into cues of at most MAX_CUE_CHARS, at the times of its words."""
    words = passage.words or _guessed(passage)
    line: list[str] = []
    begin = passage.begin_ms
    for at, word in words:
        if line and len(" ".join([*line, word])) > MAX_CUE_CHARS:
            yield _Cue(begin, max(at, begin), passage.speaker, _one_line(" ".join(line)))
            line, begin = [], at
        if word:
            begin = begin if line else max(at, passage.begin_ms)
            line.append(word)
    if line:
        yield _Cue(begin, max(passage.end_ms, begin), passage.speaker, _one_line(" ".join(line)))


def _guessed(passage: Passage) -> tuple[tuple[int, str], ...]:
    """Spread words without times evenly over the passage, letter by letter."""
    words = passage.text.split()
    letters = sum(len(word) + 1 for word in words)
    length = (passage.end_ms - passage.begin_ms) or letters * PAUSE_CHARS_MS
    spread, before = [], 0
    for word in words:
        spread.append((passage.begin_ms + length * before // max(letters, 1), word))
        before += len(word) + 1
    return tuple(spread)


def _stamp(ms: int, point: str) -> str:
    return f"{_clock(ms)}{point}{ms % 1_000:03}"


_WRITERS: Mapping[str, Callable[[CallDetail], str]] = {"txt": _txt, "json": _json, "vtt": _vtt, "srt": _srt}
