"""Loads engines by name, each only when it is asked for."""

from collections.abc import Callable

from voicebot.errors import ConfigurationError
from voicebot.local.engines.base import Hearing, Recogniser, Voice
from voicebot.local.engines.moonshine import Moonshine
from voicebot.local.engines.pico import Pico
from voicebot.local.engines.silero import Silero
from voicebot.local.engines.tone import Tone
from voicebot.local.engines.whisper import Whisper

RECOGNISERS: dict[str, Callable[[], Recogniser]] = {"moonshine": Moonshine, "whisper": Whisper}
VOICES: dict[str, Callable[[], Voice]] = {"pico": Pico, "tone": Tone}


def load_hearing(name: str) -> Hearing:
    """A recogniser and the speech gate; blocking, a second or two. Raises ConfigurationError saying what to install."""
    if name not in RECOGNISERS:
        raise ConfigurationError(f"unknown recogniser {name!r}; choose one of {', '.join(RECOGNISERS)}")
    recogniser = RECOGNISERS[name]()
    return Hearing(recogniser, Silero().open_gate)


def load_voice(name: str) -> Voice:
    """A voice; raises ConfigurationError saying what to install."""
    if name not in VOICES:
        raise ConfigurationError(f"unknown voice {name!r}; choose one of {', '.join(VOICES)}")
    return VOICES[name]()
