"""An event of every kind that watchers are told, its name, and the JSON of its own fields."""

from voicebot.core.entries import Entry
from voicebot.core.events import Token, Turn
from voicebot.core.playback import Spoken
from voicebot.wire import live_events as live

TURN = Turn(
    3,
    "Guten Tag, ja.",
    "endpoint",
    (
        Token("Guten", 100, 300, 0.5, "1", "de"),
        Token(" Tag,", 300, 500, 0.75, "1", "de"),
        Token(" ja.", 500, 700, 1.0, "1", "de"),
        Token("Good day", language="en", source_language="de", translation=True),
    ),
    digits="7",
    translation="Good day",
    entry=Entry("yes_no", "yes", complete=True),
    settled_at=12.5,
    started_ms=100,
    ended_ms=700,
)
WORDS = [
    {"text": "Guten", "start_ms": 100, "end_ms": 300, "confidence": 0.5, "language": "de", "speaker": "1"},
    {"text": "Tag,", "start_ms": 300, "end_ms": 500, "confidence": 0.75, "language": "de", "speaker": "1"},
    {"text": "ja.", "start_ms": 500, "end_ms": 700, "confidence": 1.0, "language": "de", "speaker": "1"},
]
TURN_JSON = {
    "number": 3,
    "text": "Guten Tag, ja.",
    "translation": "Good day",
    "languages": ["de"],
    "speakers": ["1"],
    "confidence": 0.75,
    "reason": "endpoint",
    "digits": "7",
    "entry": {"kind": "yes_no", "value": "yes", "complete": True},
    "words": WORDS,
    "started_ms": 100,
    "ended_ms": 700,
}
SPOKEN_JSON = {
    "utterance": 2,
    "text": "Hello there",
    "heard": "Hello",
    "unheard": " there",
    "ms": 420,
    "interrupted": True,
}
EVENTS = [
    (
        live.CallOpened("CA1", "+1", "+2", "outbound", "bot"),
        "call.opened",
        {"from": "+1", "to": "+2", "direction": "outbound", "mode": "bot"},
    ),
    (live.StreamOpened("CA1", "MZ1"), "stream.opened", {"stream": "MZ1"}),
    (live.Partial("CA1", "caller", "I", " w"), "partial", {"track": "caller", "settled": "I", "tentative": " w"}),
    (live.TurnEnded("CA1", "agent", TURN), "turn.completed", {"track": "agent", "turn": TURN_JSON}),
    (live.TurnOffered("CA1", TURN, 2), "turn.provisional", {"turn": TURN_JSON, "revision": 2}),
    (live.TurnTakenBack("CA1", 3, 2), "turn.retracted", {"number": 3, "revision": 2}),
    (live.Overheard("CA1", "echo", "mhm"), "overheard", {"kind": "echo", "text": "mhm"}),
    (live.DigitPressed("CA1"), "digit", {}),
    (
        live.WebhookAttempt("CA1", 5, "turn.completed", 2, None, "reset", 31),
        "webhook.attempt",
        {"sequence": 5, "event": "turn.completed", "attempt": 2, "status": None, "error": "reset", "ms": 31},
    ),
    (live.ReplyTaken("CA1", 4, ("say",)), "reply", {"sequence": 4, "actions": ["say"], "dropped": None}),
    (
        live.ReplyMissing("CA1", 4, "deadline", "10 s"),
        "reply.missing",
        {"sequence": 4, "reason": "deadline", "detail": "10 s"},
    ),
    (live.BotSays("CA1", 2, "Hello"), "bot.started", {"utterance": 2, "text": "Hello"}),
    (live.BotSaid("CA1", Spoken(2, "Hello there", "Hello", " there", 420, interrupted=True)), "bot.said", SPOKEN_JSON),
    (live.CallResumed("CA1", "restart", None), "call.resumed", {"why": "restart", "gap_ms": None}),
    (live.BotResumed("CA1"), "bot.resumed", {}),
    (live.Latency("CA1", 3, {"settled_ms": 210}), "latency", {"turn": 3, "parts": {"settled_ms": 210}}),
    (live.Trouble("CA1", "no “speech”\n"), "trouble", {"what": "no “speech”\n"}),
    (live.CallClosed("CA1", "caller", 900, 1), "call.ended", {"reason": "caller", "duration_ms": 900, "turns": 1}),
]  # fmt: skip
