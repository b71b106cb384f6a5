"""SVOX Pico speech synthesis: a whole sentence in a few hundredths of a second."""

from typing import Any, override

from voicebot.errors import ConfigurationError
from voicebot.local.engines.base import Voice
from voicebot.local.engines.files import install_hint

EXTRA = "local"
RATE = 16_000
VOLUME = 0.5
"""At 1, its own, the loudest syllables are cut off at full scale."""
VOICES = {"en": "en-US", "de": "de-DE", "es": "es-ES", "fr": "fr-FR", "it": "it-IT"}


class Pico(Voice):
    """Pico has one voice per language; the voice's name in a request is accepted and makes no difference."""

    rate = RATE
    languages = frozenset(VOICES)

    def __init__(self) -> None:
        try:
            from py_nanotts import NanoTTS  # noqa: PLC0415 - an optional package: only who asks for the voice needs it
        except ImportError as missing:
            raise ConfigurationError(f"py-nanotts is not installed; run: {install_hint(EXTRA)}") from missing
        self._engine: Any = NanoTTS()

    @override
    def speak(self, text: str, *, language: str, speed: float) -> bytes:
        if not any(character.isalnum() for character in text):
            return b""  # it reads lone punctuation as over a second of silence
        spoken: bytes = self._engine.speak(text, voice=VOICES[language], speed=speed, volume=VOLUME)
        return spoken
