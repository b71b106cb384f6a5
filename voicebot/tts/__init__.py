"""Text-to-speech over Soniox: streams of speech on a few shared sockets."""

from voicebot.tts.voices import SpeechChunk, SpeechStream, Voices

__all__ = ["SpeechChunk", "SpeechStream", "Voices"]
