"""Speech-to-text over Soniox: one recognition per track, sessions inside it."""

from voicebot.stt.recognition import Recognition

__all__ = ["Recognition"]
