"""Recordings of calls, for `voicebot replay`."""

from voicebot.recorder.call import CallRecording
from voicebot.recorder.files import load
from voicebot.recorder.recorder import Recorder

__all__ = ["CallRecording", "Recorder", "load"]
