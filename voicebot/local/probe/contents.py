"""Cases about what events may hold: more than is known, a great deal, nothing, every script, the longest call."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from voicebot.local.probe.calls import turn_of
from voicebot.local.probe.target import Letter, Target
from voicebot.local.probe.verdicts import Case, Finding, Told, taken
from voicebot.wire.webhook import Event, encode
from voicebot.wire.webhook_data import (
    CallEndedData,
    CallStartedData,
    DigitsCompletedData,
    LatencyData,
    Message,
    NoInputData,
    Totals,
    TurnCompletedData,
    TurnData,
)

HUGE_BYTES = 256 * 1_024
"""So much conversation in one event: several hours of talk."""
MESSAGE_BYTES = 1_024
DAY = timedelta(days=1)
"""The longest call of any carrier."""
MAX_DIGITS = 64
STATE_BYTES = 60_000
"""An application may set nearly so much as `state`, and gets it back with every event."""
TEXTS = {
    "accents": "Zürich, façade, Łódź, Đặng, İstanbul, ﬁ, e\u0301",
    "emoji": "👍🏽 👩\u200d👩\u200d👧\u200d👦 🇨🇭 \U0001d49c\U0001d11e",
    "right to left": "\u202eאני רוצה\u202c להזמין שתי פיצות. \u200fمرحبا، أريد بيتزا ٣",  # noqa: RUF001 - not Latin at all
    "scripts": "我想点两个披萨。二つお願いします。ฉันต้องการพิซซ่าสองถาด नमस्ते",
    "control characters": "a\tb\nc\rd\x01e\x1ff\x7fg\x85h\u2028i\u2029j\ufeffk\ufffd",
    "markup": "</script><b>&amp;'\"\\ %s {0} ${x} `id` ; DROP TABLE calls; --",
}


def _altered(target: Target, event: Event, change: Callable[[dict[str, Any]], None]) -> Letter:
    """Return the letter of an event as a later version of the service might send it."""
    document = json.loads(encode(event))
    change(document)
    return target.sealed(event.id, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def _extend(document: dict[str, Any]) -> None:
    """Add fields that no contract names, at every depth."""
    for place in (document, document["call"], document["data"], document["data"].get("turn", {})):
        place["probe_field"] = {"nested": [1, None, "text"]}


async def _unknown_field(target: Target) -> Finding:
    call = target.call()
    events = (call.started(), call.turn(), call.example("call.ended"))
    return taken([(event.type, await target.post(_altered(target, event, _extend))) for event in events])


async def _unknown_type(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [("call.started", await target.send(call.started()))]
    for kind in ("probe.unknown", "turn.something"):

        def rename(document: dict[str, Any], kind: str = kind) -> None:
            document["type"] = kind
            document["data"] = {"probe": True}

        letter = _altered(target, call.example("speech.finished"), rename)
        answers.append((kind, await target.post(letter)))
    return taken(answers)


async def _huge(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [("call.started", await target.send(call.started()))]
    line = "x" * MESSAGE_BYTES
    call.messages = tuple(
        Message(role="user" if number % 2 else "assistant", content=line)
        for number in range(HUGE_BYTES // MESSAGE_BYTES)
    )
    event = call.turn()
    size = len(encode(event)) // 1_024
    return taken([*answers, (f"turn.completed of {size} KiB", await target.send(event))])


async def _large_state(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [("call.started", await target.send(call.started()))]
    call.state = {"notes": ["x" * 1_000] * (STATE_BYTES // 1_000)}
    # An application need not be able to read a state that it never set, so no event carries it that asks for anything.
    return taken([*answers, ("speech.finished", await target.send(call.example("speech.finished")))])


async def _unicode(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [("call.started", await target.send(call.started()))]
    for what, text in TEXTS.items():
        answers.append((what, await target.send(call.turn(text))))
    return taken(answers)


async def _empty(target: Target) -> Finding:
    call = target.call()
    call.parameters = {}
    answers: list[Told] = [("call.started", await target.send(call.event(CallStartedData(), "call.started")))]
    call.messages = None
    call.turns += 1
    blank = TurnData(number=1, text="", reason="digits", digits="#")
    answers.append(
        ("a turn without words", await target.send(call.event(TurnCompletedData(turn=blank), "turn.completed")))
    )
    keys = DigitsCompletedData(digits="", reason="finish_key")
    answers.append(("keys without digits", await target.send(call.event(keys, "digits.completed"))))
    over = CallEndedData(reason="no_stream", duration_ms=0)
    answers.append(("a call without a word", await target.send(call.event(over, "call.ended"))))
    return taken(answers)


async def _limits(target: Target) -> Finding:
    """Use numbers as large as a call of a whole day has them."""
    call = target.call()
    call.began_at -= DAY
    answers: list[Told] = [("call.started", await target.send(call.started()))]
    call.sequence, call.turns = 100_000, 50_000
    day_ms = int(DAY.total_seconds() * 1_000)
    turn = turn_of(call, "1234567890 " * 200).model_copy(update={"confidence": 1.0, "digits": "9" * MAX_DIGITS})
    words = tuple(word.model_copy(update={"end_ms": day_ms, "confidence": 0.0}) for word in turn.words)
    late = LatencyData(settled_ms=0, decided_ms=60_000, replied_ms=day_ms)
    data = TurnCompletedData(turn=turn.model_copy(update={"words": words}), revision=1_000, latency=late)
    over = CallEndedData(reason="caller_hangup", duration_ms=day_ms, totals=Totals(turns=50_000, utterances=100_000))
    return taken(
        [
            *answers,
            ("turn.completed", await target.send(call.event(data, "turn.completed"))),
            ("no_input", await target.send(call.event(NoInputData(count=10_000), "no_input"))),
            ("call.ended", await target.send(call.event(over, "call.ended"))),
        ]
    )


CASES = (
    Case(
        name="unknown-field",
        group="contents",
        expected="2xx although there are fields that nobody has told you of",
        advice="Pass over fields that you do not know: later versions have more of them.",
        run=_unknown_field,
    ),
    Case(
        name="unknown-type",
        group="contents",
        expected="2xx for events of a type that nobody has told you of",
        advice="Answer 204 to types that you do not know: later versions have more of them.",
        run=_unknown_type,
    ),
    Case(
        name="huge",
        group="contents",
        expected=f"2xx for a conversation of {HUGE_BYTES // 1_024} KiB",
        advice="Accept bodies up to 1 MiB, in the framework and in the proxy before it.",
        run=_huge,
    ),
    Case(
        name="large-state",
        group="contents",
        expected=f"2xx with a state of {STATE_BYTES // 1_000} kB",
        advice="What an application sets as `state` comes back with every event; accept bodies up to 1 MiB.",
        run=_large_state,
    ),
    Case(
        name="unicode",
        group="contents",
        expected="2xx for every script, emoji, control characters, markup",
        advice="Read the body as UTF-8, and quote what you pass on.",
        run=_unicode,
    ),
    Case(
        name="empty",
        group="contents",
        expected="2xx for empty texts and lists, and null",
        advice="`text` may be empty, `messages` and others null, lists and objects empty.",
        run=_empty,
    ),
    Case(
        name="limits",
        group="contents",
        expected="2xx for the numbers of a call that lasts a day",
        advice="Numbers need 32 bits, texts and columns room.",
        run=_limits,
    ),
)
