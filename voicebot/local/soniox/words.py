"""Makes protocol tokens of recognised words: leading spaces, times, speaker and language as the client asked."""

from collections.abc import Sequence

from voicebot.local.soniox.config import SttConfig
from voicebot.local.soniox.frames import Token
from voicebot.local.soniox.languages import ENGLISH
from voicebot.local.soniox.segment import TimedWord

ONLY_SPEAKER = "1"
"""The local engines cannot tell speakers apart."""


class TokenWriter:
    """One token per word (the real service splits words further); every word but the session's first starts with a space."""

    def __init__(self, config: SttConfig) -> None:
        self._extras: Token = {}
        if config.diarize:
            self._extras["speaker"] = ONLY_SPEAKER
        if config.identify_language:
            self._extras["language"] = ENGLISH
        self._begun = False

    def pending(self, words: Sequence[TimedWord]) -> list[Token]:
        """Tokens of words that may still change."""
        return [self._token(word, spaced=self._begun or place > 0) for place, word in enumerate(words)]

    def settled(self, words: Sequence[TimedWord]) -> list[Token]:
        """Tokens of words that are final now."""
        tokens = self.pending(words)
        self._begun = self._begun or bool(tokens)
        return tokens

    def _token(self, word: TimedWord, *, spaced: bool) -> Token:
        text = f" {word.text}" if spaced else word.text
        return {
            "text": text,
            "start_ms": word.start_ms,
            "end_ms": word.end_ms,
            "confidence": word.confidence,
            **self._extras,
        }
