"""Judging what a scenario expects against what has happened."""

import math
from dataclasses import dataclass
from typing import Final

from voicebot.local.phone.hearing import SpeechLog
from voicebot.local.phone.report import Failure
from voicebot.local.phone.scenario import Expectation

#: Silence that counts as the end of the bot's speech when nothing was cleared, in milliseconds.
STOP_GAP_MS: Final = 500.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known at one moment; times in milliseconds since dialling."""

    now_ms: float
    answered_ms: float
    #: When the caller's last `say` or `play` began to sound; None when he has said nothing.
    spoke_ms: float | None
    bot: SpeechLog
    caller: SpeechLog
    clears: tuple[float, ...] = ()
    streams: int = 0
    gaps_ms: tuple[int, ...] = ()
    marks_echoed: int = 0
    verbs: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    dialled: tuple[str, ...] = ()
    dial_status: str | None = None
    ended_by: str = "nobody"
    codes: tuple[int, ...] = ()


def first_audio_ms(evidence: Evidence) -> float | None:
    """From the caller's last words (or the answer) to the sound that followed; None when none followed."""
    if evidence.spoke_ms is None:
        start = evidence.bot.first_after(evidence.answered_ms)
        return None if start is None else start - evidence.answered_ms
    return reply_ms(evidence, evidence.spoke_ms)


def reply_ms(evidence: Evidence, began_ms: float, until_ms: float = math.inf) -> float | None:
    """From the last sound of what the caller began to say at `began_ms` to the next sound of the bot before `until_ms`."""
    start = evidence.bot.first_after(began_ms)
    if start is None or start >= until_ms:
        return None
    ends = [run.end for run in evidence.caller.runs if run.start >= began_ms and run.end <= start]
    return start - (ends[-1] if ends else began_ms)


def stopped_ms(evidence: Evidence) -> float | None:
    """From the caller's interruption to the end of what was playing; None when it went on or nothing was playing."""
    began = evidence.spoke_ms
    if began is None or not evidence.bot.spoke_at(began):
        return None
    cleared = next((at for at in evidence.clears if at >= began), None)
    silent = evidence.bot.fell_silent(began, STOP_GAP_MS, evidence.now_ms)
    moments = [at for at in (cleared, silent) if at is not None]
    return min(moments) - began if moments else None


def judge(wanted: Expectation, evidence: Evidence, step: int | None) -> tuple[Failure, ...]:
    """Everything in an expectation that does not hold, each with what was wanted and what was found."""
    checks = (
        *_sounds(wanted, evidence),
        *_counts(wanted, evidence),
        *_facts(wanted, evidence),
    )
    return tuple(
        Failure(step=step, what=what, expected=asked, found=found) for what, ok, asked, found in checks if not ok
    )


type _Check = tuple[str, bool, str, str]


def _sounds(wanted: Expectation, evidence: Evidence) -> list[_Check]:
    since = evidence.answered_ms if evidence.spoke_ms is None else evidence.spoke_ms
    checks: list[_Check] = []
    for what, least, found in (
        ("heard_ms", wanted.heard_ms, evidence.bot.loud_ms(since)),
        ("total_heard_ms", wanted.total_heard_ms, evidence.bot.loud_ms()),
    ):
        if least is not None:
            checks.append((what, found >= least, f"at least {least:g} ms of sound", f"{found:.0f} ms"))
    for what, most, at in (
        ("first_audio_within_ms", wanted.first_audio_within_ms, first_audio_ms(evidence)),
        ("stopped_within_ms", wanted.stopped_within_ms, stopped_ms(evidence)),
        ("resumed_within_ms", wanted.resumed_within_ms, max(evidence.gaps_ms, default=None)),
    ):
        if most is not None:
            checks.append((what, at is not None and at <= most, f"within {most:g} ms", _ms(what, at, evidence)))
    return checks


def _counts(wanted: Expectation, evidence: Evidence) -> list[_Check]:
    checks: list[_Check] = []
    for what, least, found in (
        ("marks_echoed", wanted.marks_echoed, evidence.marks_echoed),
        ("clears", wanted.clears, len(evidence.clears)),
        ("streams", wanted.streams, evidence.streams),
    ):
        if least is not None:
            checks.append((what, found >= least, f"at least {least}", str(found)))
    return checks


def _facts(wanted: Expectation, evidence: Evidence) -> list[_Check]:
    checks: list[_Check] = []
    for what, value, found in (
        ("verb", wanted.verb, evidence.verbs),
        ("dialed", wanted.dialed, evidence.dialled),
        ("error", None if wanted.error is None else str(wanted.error), tuple(str(code) for code in evidence.codes)),
    ):
        if value is not None:
            checks.append((what, value in found, value, ", ".join(found) or "none"))
    if wanted.said is not None:
        heard = " / ".join(evidence.said)
        checks.append(("said", wanted.said.casefold() in heard.casefold(), repr(wanted.said), repr(heard)))
    if wanted.ended_by is not None:
        checks.append(("ended_by", wanted.ended_by == evidence.ended_by, wanted.ended_by, evidence.ended_by))
    if wanted.dial_status is not None:
        found_status = evidence.dial_status or "no dial"
        checks.append(("dial_status", wanted.dial_status == found_status, wanted.dial_status, found_status))
    return checks


def _ms(what: str, at: float | None, evidence: Evidence) -> str:
    if at is not None:
        return f"{at:.0f} ms"
    if what == "resumed_within_ms":
        return "no second stream"
    if what == "first_audio_within_ms":
        return "no sound yet"
    began = evidence.spoke_ms
    return "it went on" if began is not None and evidence.bot.spoke_at(began) else "nothing was playing"
