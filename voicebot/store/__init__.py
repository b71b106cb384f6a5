"""Where calls, turns, utterances and events are kept."""

from voicebot.store.rows import AttemptRow, CallEnd, CallRow, EventRow, EventState, TurnRow, UtteranceRow
from voicebot.store.store import Store

__all__ = ["AttemptRow", "CallEnd", "CallRow", "EventRow", "EventState", "Store", "TurnRow", "UtteranceRow"]
