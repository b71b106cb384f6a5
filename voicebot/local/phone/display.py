"""Shows a call while it happens, and its summary afterwards, to a person."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voicebot.local.phone import events
from voicebot.local.phone.codes import NO_VIOLATION
from voicebot.local.phone.report import CallReport, ExitCode

_MS: Final = 1000.0
_MAX_TEXT: Final = 110
#: Requests not worth a line of their own when they succeed.
_QUIET_PURPOSES: Final = ("stream-", "call status")
_SUCCESS: Final = range(200, 300)
_MEANING: Final = {
    ExitCode.PASSED: "[bold green]pass[/]",
    ExitCode.EXPECTATION_FAILED: "[bold red]fail[/]: an expectation did not hold",
    ExitCode.BOT_NEVER_SPOKE: "[bold red]fail[/]: the bot never spoke",
    ExitCode.PROTOCOL_VIOLATION: "[bold red]fail[/]: the service broke the protocol",
    ExitCode.USAGE: "[bold red]fail[/]: wrong usage",
    ExitCode.CANNOT_CONNECT: "[bold red]fail[/]: nobody could be reached",
}


class Display:
    """Prints one line per event, with the time since dialling in seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, event: events.PhoneEvent) -> None:
        """Print what is worth a line."""
        text = line(event)
        if text is not None:
            self._console.print(f"[dim]{event.at_ms / _MS:7.2f}[/]  {text}", highlight=False)

    def summary(self, report: CallReport) -> None:
        """Print the outcome, the latencies and everything that was wrong."""
        console = self._console
        console.print(_table(report))
        for failure in report.failures:
            console.print(f"  [red]✗[/] {escape(failure.message)}", highlight=False)
        for note in report.notes:
            colour = "yellow" if note.level == "warning" or note.code in NO_VIOLATION else "red"
            console.print(f"  [{colour}]{note.code}[/] {escape(note.message)}", highlight=False)
        console.print(f"{_MEANING[report.exit_code]} [dim](exit {int(report.exit_code)})[/]")


def line(event: events.PhoneEvent) -> str | None:
    """One event in rich markup; None for what would only be noise."""
    match event:
        case events.Dialled() | events.Requested() | events.Answered() | events.VerbStarted() | events.Ended():
            return _call_line(event)
        case events.StreamOpened() | events.StreamClosed() | events.MarkEchoed() | events.Cleared() | events.Trouble():
            return _stream_line(event)
        case _:
            return _speech_line(event)


def _call_line(
    event: events.Dialled | events.Requested | events.Answered | events.VerbStarted | events.Ended,
) -> str | None:
    match event:
        case events.Dialled(url=url, call_sid=sid):
            return f"[bold]☎ dialling[/] {_cut(url)} [dim]{sid}[/]"
        case events.Requested(status=status, purpose=purpose):
            return None if status in _SUCCESS and purpose.startswith(_QUIET_PURPOSES) else _request_line(event)
        case events.Answered():
            return "[bold]answered[/]"
        case events.VerbStarted(verb=verb, detail=detail):
            return f"[blue]<{verb}>[/] {_cut(detail)}"
        case events.Ended(reason=reason):
            return f"[bold]☎ ended[/] {_cut(reason)}"


def _request_line(event: events.Requested) -> str:
    colour = "green" if event.status in _SUCCESS else "red"
    status = event.status or "no answer"
    return f"{event.purpose}: {event.method} {_cut(event.url)} [{colour}]{status}[/] [dim]{event.took_ms:.0f} ms[/]"


def _stream_line(
    event: events.StreamOpened | events.StreamClosed | events.MarkEchoed | events.Cleared | events.Trouble,
) -> str:
    match event:
        case events.StreamOpened(stream_sid=sid):
            return f"stream open [dim]{sid}[/]"
        case events.StreamClosed(code=code, reason=reason):
            return f"stream closed {code or 'without a close frame'} {_cut(reason)}"
        case events.MarkEchoed(name=name, cleared=cleared):
            return f"[dim]mark {_cut(name)} {'cleared' if cleared else 'played'}[/]"
        case events.Cleared(dropped_ms=dropped):
            return f"[magenta]clear[/] [dim]{dropped:.0f} ms thrown away[/]"
        case events.Trouble(code=code, message=message):
            return f"[yellow]{code}[/] {_cut(message)}"


def _speech_line(
    event: events.CallerSpeaks
    | events.CallerQuiet
    | events.BotSpeaks
    | events.BotQuiet
    | events.Digit
    | events.Transferred
    | events.Checked,
) -> str | None:
    match event:
        case events.CallerSpeaks(label=label):
            return f"[cyan]caller ▸[/] {_cut(label)}"
        case events.CallerQuiet():
            return "[cyan]caller ▪[/] [dim]done[/]"
        case events.BotSpeaks():
            return "[green]bot    ▸[/] speaks"
        case events.BotQuiet():
            return "[green]bot    ▪[/] [dim]quiet[/]"
        case events.Digit(digit=digit):
            return f"[cyan]caller ▸[/] key {digit}"
        case events.Transferred(number=number, status=status):
            return f"transfer to {_cut(number)}: {status}"
        case events.Checked(what=what, passed=passed):
            return f"[green]✓[/] {_cut(what)}" if passed else f"[red]✗[/] {_cut(what)}"


def _table(report: CallReport) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    marks = report.marks
    rows = [
        ("call", f"{report.call_sid}, {report.duration_ms / _MS:.1f} s, ended by {report.ended}"),
        ("bot", f"first sound after {_ms(report.first_audio_ms)}, heard {report.heard_ms / _MS:.1f} s"),
        ("caller", f"spoke {report.spoken_ms / _MS:.1f} s"),
        *(("", f"{_cut(turn.label)}: answer after {_ms(turn.reply_ms)}") for turn in report.turns),
        ("marks", f"{sum(mark.echoed_ms is not None for mark in marks)} of {len(marks)}, clears {len(report.clears)}"),
        ("requests", f"{len(report.requests)}, streams {len(report.streams)}"),
        *([("gaps", ", ".join(f"{ms} ms" for ms in report.gaps_ms))] if report.gaps_ms else []),
    ]
    for name, value in rows:
        table.add_row(f"[dim]{name}[/]", value)
    return table


def _ms(value: int | None) -> str:
    return "— (never)" if value is None else f"{value} ms"


def _cut(text: str) -> str:
    return escape(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…")
