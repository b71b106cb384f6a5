"""Audio for `play`: fetched within limits, converted once, kept."""

from voicebot.clips.clips import Clips

__all__ = ["Clips"]
