"""Plays a script against the audio clock: which entries are due, and what a finalize takes out of them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from voicebot.local.soniox.frames import Token
from voicebot.local.soniox.script import Entry, Script, shifted


class Reel:
    """
    One session's place in the script.

    A finalize settles the pending words early, so the script's own final tokens for the same words are left out
    afterwards: a final token is sent once.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._next = 0
        self._offset_ms = 0
        self._pending: tuple[Token, ...] = ()
        self._taken: deque[str] = deque()

    def due(self, position_ms: int) -> list[Entry]:
        """Entries up to `position_ms` of audio not played yet."""
        entries = []
        while (entry := self._upcoming()) is not None and entry.at_ms + self._offset_ms <= position_ms:
            entries.append(self._played(shifted(entry, self._offset_ms)))
            self._advance()
        return entries

    def settle(self) -> tuple[Token, ...]:
        """The pending words, which the caller now sends as final."""
        settled, self._pending = self._pending, ()
        self._taken.extend(token["text"] for token in settled)
        return settled

    def _upcoming(self) -> Entry | None:
        entries = self._script.entries
        return entries[self._next] if self._next < len(entries) else None

    def _advance(self) -> None:
        self._next += 1
        if self._next == len(self._script.entries) and self._script.period_ms is not None:
            self._next = 0
            self._offset_ms += self._script.period_ms

    def _played(self, entry: Entry) -> Entry:
        final = self._untaken(entry.final)
        for _ in range(len(entry.final) - len(final)):
            self._taken.popleft()
        if final or entry.end:
            self._taken.clear()
        partial = None if entry.partial is None else self._untaken(entry.partial)
        if partial is not None:
            self._pending = partial
        return replace(entry, final=final, partial=partial)

    def _untaken(self, tokens: Sequence[Token]) -> tuple[Token, ...]:
        """The tokens without the ones at their head that a finalize has settled already."""
        taken = 0
        for token, text in zip(tokens, self._taken, strict=False):
            if token["text"] != text:
                break
            taken += 1
        return tuple(tokens[taken:])
