"""The local engines' voices as the phone wants them: text in, µ-law out."""

import asyncio

from voicebot.errors import ConfigurationError
from voicebot.local.engines.load import load_voice
from voicebot.local.phone.options import Voice
from voicebot.local.phone.sound import from_pcm


def open_voice(name: str, language: str) -> Voice:
    """A voice by name, speaking one language; raises `ConfigurationError` saying what to install or to choose."""
    engine = load_voice(name)
    if engine.languages and language not in engine.languages:
        known = ", ".join(sorted(engine.languages))
        raise ConfigurationError(f"the voice {name} does not speak {language!r}; it speaks {known}")

    async def speak(text: str) -> bytes:
        pcm = await asyncio.to_thread(engine.speak, text, language=language, speed=1.0)
        return from_pcm(pcm, engine.rate)

    return speak
