"""Shows what happens on the calls to a person: words as they grow, turns, webhooks, what the bot says, latency."""

import time
from typing import Self

from rich.console import Console
from rich.live import Live as Screen
from rich.text import Text

from voicebot import live

LATENCY_NAMES = {
    "settled_ms": "words settled",
    "decided_ms": "turn decided",
    "reply_began_ms": "reply",
    "audio_sent_ms": "audio sent",
    "audio_heard_ms": "audio heard",
}
"""Steps of a turn, each in milliseconds since the end of speech."""


class CallView:
    """Prints one line per event; on a terminal the open utterance grows in place below them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._screen = Screen(Text(""), console=console, refresh_per_second=15, transient=True)
        self._partial = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()

    def show(self, event: live.LiveEvent) -> None:
        """Show one event."""
        if isinstance(event, live.Partial):
            self._grow(event)
            return
        if line := _line(event):
            self._settle()
            self._print(line)

    def say(self, text: str, style: str = "dim") -> None:
        """Print a line of our own."""
        self._print(Text(text, style))

    def _print(self, line: Text) -> None:
        # A pipe has no width: lines stay whole there.
        clock = Text(f"{time.monotonic() - self._began:6.2f}", "dim")
        self._console.print(clock + line, soft_wrap=not self._console.is_terminal)

    def _grow(self, partial: live.Partial) -> None:
        words = (partial.settled + partial.tentative).strip()
        if words == self._partial:
            return
        self._partial = words
        line = Text.assemble(
            (f"  {partial.track:>8} ", "cyan"), partial.settled.lstrip(), (partial.tentative, "dim italic")
        )
        if self._console.is_terminal:
            self._screen.update(Text(" " * 6) + line)
        elif words:
            self._print(Text.assemble(line, (" …", "dim")))

    def _settle(self) -> None:
        self._partial = ""
        if self._console.is_terminal:
            self._screen.update(Text(""))


def _line(event: live.LiveEvent) -> Text | None:  # noqa: C901, PLR0911, PLR0912 - one arm per event
    match event:
        case live.CallOpened(from_=from_, to=to):
            return _labelled("call", f"{from_} → {to}", "bold")
        case live.StreamOpened():
            return _labelled("media", "the carrier's stream is open", "dim")
        case live.CallResumed(why=why, gap_ms=gap_ms):
            return _labelled(
                "call", f"goes on: {why}{'' if gap_ms is None else f', {gap_ms} ms without a stream'}", "bold"
            )
        case live.TurnEnded(track=track, turn=turn):
            text = Text.assemble(turn.text, (f"   turn {turn.number}, {turn.reason}", "dim"))
            return Text.assemble((f"  {track:>8} ", "bold cyan"), text)
        case live.TurnOffered(turn=turn, revision=revision):
            return _labelled("caller", f"{turn.text}   turn {turn.number}, provisional {revision}", "dim cyan")
        case live.TurnTakenBack(number=number, revision=revision):
            return _labelled("caller", f"goes on: turn {number}, provisional {revision} is taken back", "dim cyan")
        case live.Overheard(kind=kind, text=text):
            return _labelled("caller", f"{text}   {kind}, no turn", "dim cyan")
        case live.BotResumed():
            return _labelled("bot", "goes on: it was no speech that stopped it", "yellow")
        case live.DigitPressed():
            return _labelled("key", "the caller pressed a key", "cyan")
        case live.WebhookAttempt(event=name, attempt=attempt, status=status, error=error, ms=ms):
            outcome = f"{status}" if status else f"{error}"
            again = f", attempt {attempt}" if attempt > 1 else ""
            return _labelled("webhook", f"{name} → {outcome} in {ms} ms{again}", "magenta" if not error else "red")
        case live.ReplyTaken(actions=actions, dropped=dropped):
            said = ", ".join(actions) or "nothing: keep listening"
            return _labelled("reply", f"{said}{f'   not performed: {dropped}' if dropped else ''}", "magenta")
        case live.ReplyMissing(reason=reason, detail=detail):
            return _labelled("reply", f"none: {reason} {detail}", "red")
        case live.BotSays(text=text):
            return _labelled("bot", text, "green")
        case live.BotSaid(spoken=spoken) if spoken.interrupted:
            return _labelled("bot", f"interrupted; heard: “{spoken.heard}”", "yellow")
        case live.BotSaid():
            return None
        case live.Latency(turn=turn, parts=parts):
            told = "  ".join(f"{LATENCY_NAMES[name]} {ms}" for name, ms in parts.items() if name in LATENCY_NAMES)
            return _labelled("latency", f"turn {turn}, ms since end of speech: {told}", "blue")
        case live.Trouble(what=what):
            return _labelled("trouble", what, "red")
        case live.CallClosed(reason=reason, duration_ms=ms, turns=turns):
            return _labelled("call", f"ended: {reason}, {ms / 1_000:.1f} s, {turns} turns", "bold")
        case live.Partial():
            return None


def _labelled(label: str, text: str, style: str) -> Text:
    return Text.assemble((f"  {label:>8} ", style), text)
