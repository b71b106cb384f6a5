"""Puts the report of a finished call together from what its parts have kept."""

import math
from datetime import datetime

from voicebot.local.phone.events import as_entry
from voicebot.local.phone.expectations import reply_ms
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.line import Line
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.report import CallerTurn, CallReport, gaps_ms, judge
from voicebot.local.phone.script import Script


def assemble(
    options: CallOptions,
    call_sid: str,
    started: datetime,
    journal: Journal,
    line: Line,
    script: Script,
) -> CallReport:
    """The judged report of a call that is over."""
    answered = journal.answered_ms
    first = None if answered is None else line.bot.first_after(answered)
    report = CallReport(
        call_sid=call_sid,
        account_sid=options.account_sid,
        from_number=options.from_,
        to_number=options.to,
        voice_url=options.voice_url,
        started_at=started.isoformat(timespec="milliseconds"),
        duration_ms=round(journal.clock.now()),
        answered_ms=None if answered is None else round(answered),
        ended=journal.ended or "error",
        ended_detail=journal.ended_detail,
        first_audio_ms=None if first is None or answered is None else round(first - answered),
        heard_ms=round(line.bot.loud_ms()),
        spoken_ms=round(line.caller.loud_ms()),
        turns=_turns(script),
        verbs=journal.verbs,
        said=journal.said,
        played=journal.played,
        dialled=journal.dialled,
        requests=journal.requests,
        streams=journal.streams,
        gaps_ms=gaps_ms(journal.streams),
        failures=journal.failures,
        notes=journal.notes,
        timeline=[as_entry(event) for event in journal.timeline],
    )
    return judge(report)


def _turns(script: Script) -> list[CallerTurn]:
    evidence = script.evidence()
    found = []
    for number, (label, began) in enumerate(script.turns):
        later = script.turns[number + 1 :]
        reply = reply_ms(evidence, began, later[0][1] if later else math.inf)
        found.append(CallerTurn(label=label, began_ms=round(began), reply_ms=None if reply is None else round(reply)))
    return found
