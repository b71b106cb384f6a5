"""Shows a transcript as it grows: speaker, language and translation tags, tentative words dim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from voicebot.core.events import Endpoint, Finished, Heard, SttEvent, SttFailed, Token

LONGEST = 800
"""Characters of an open utterance."""
SPEAKER, LANGUAGE, TENTATIVE = "bold cyan", "magenta", "dim italic"


@dataclass(frozen=True, slots=True)
class Tags:
    """Who speaks in which language, as last written."""

    speaker: str | None = None
    language: str | None = None


def render(tokens: Iterable[Token], tags: Tags, style: str = "") -> tuple[Text, Tags]:
    """Write tokens one behind the other, with a tag wherever the speaker or the language changes."""
    text = Text()
    for token in tokens:
        written = token.text
        if token.speaker is not None and token.speaker != tags.speaker:
            text.append(("\n\n" if tags.speaker else "") + f"Speaker {token.speaker}:", SPEAKER)
            tags = Tags(token.speaker, None)
        if token.language is not None and token.language != tags.language:
            tags = Tags(tags.speaker, token.language)
            text.append(f"\n{'[Translation] ' if token.translation else ''}[{token.language}] ", LANGUAGE)
            written = written.lstrip()
        text.append(written, style)
    return text, tags


class Transcript:
    """On a terminal the open utterance grows in place; elsewhere only settled words are written, one utterance a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._open = Text()
        self._tags = Tags()
        self.failure: SttFailed | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close_utterance()
        self._live.stop()

    async def show(self, event: SttEvent) -> None:
        """Show what was recognised."""
        match event:
            case Heard(settled, tentative):
                self._grow(settled, tentative)
            case Endpoint() | Finished():
                self._close_utterance()
            case SttFailed():
                self.failure = event
            case _:
                pass

    def _grow(self, settled: Sequence[Token], tentative: Sequence[Token]) -> None:
        if len(self._open) > LONGEST and settled and settled[0].text.startswith(" "):
            self._close_utterance()  # what grows must fit on the screen
        text, self._tags = render(settled, self._tags)
        self._open.append(text)
        if self._console.is_terminal:
            preview, _ = render(tentative, self._tags, TENTATIVE)
            self._live.update(_trimmed(Text.assemble(self._open, preview)), refresh=True)

    def _close_utterance(self) -> None:
        text, self._open = _trimmed(self._open), Text()
        if self._console.is_terminal:
            self._live.update(Text(), refresh=True)
        if text.plain:
            self._console.print(text, soft_wrap=True, highlight=False)


def _trimmed(text: Text) -> Text:
    """Leave out the spaces that the first word brings along; line breaks before a tag stay."""
    spaces = len(text.plain) - len(text.plain.lstrip(" "))
    trimmed = text[spaces:]
    trimmed.rstrip()
    return trimmed
