"""Cases about events that come twice, late, in another order, or not at all."""

from voicebot.local.probe.calls import ProbeCall, provisional
from voicebot.local.probe.target import Answer, Target
from voicebot.local.probe.verdicts import Case, Finding, Told, meaning, taken
from voicebot.wire.webhook import Event, Reply
from voicebot.wire.webhook_data import TurnRetractedData

KNOWN = "Keep the answer by `id` and give it again: an event that comes twice is the same event."
GAP = 40
"""So many events are missing in the case about gaps."""
RETRIES = 2


async def _duplicate(target: Target) -> Finding:
    call = target.call()
    events = (call.started(), call.turn("Two pizzas, please."), call.turn("And a salad."))
    first = [await target.send(event) for event in events]
    second = [await target.send(event) for event in events]
    again = [(f"{event.type} again", answer) for event, answer in zip(events, second, strict=True)]
    finding = taken([*((event.type, answer) for event, answer in zip(events, first, strict=True)), *again])
    if finding.verdict == "fail":
        return finding
    for event, before, after in zip(events, first, second, strict=True):
        if meaning(before) != meaning(after):
            return Finding("fail", f"another answer to the same {event.type}: {_shown(before)}, then {_shown(after)}")
    return Finding("pass", f"{len(events)} events, the same answer each time")


async def _informed_twice(target: Target) -> Finding:
    call = target.call()
    await target.send(call.started())
    events = [call.example(kind) for kind in ("speech.finished", "call.ended")]
    return taken([(f"{event.type}, time {time}", await target.send(event)) for time in (1, 2) for event in events])


async def _lost_answer(target: Target) -> Finding:
    """Compare with a call whose answers were not lost: an application that only notes the id answers nothing."""
    wanted = await _turn_after_start(target, target.call())
    call = target.call()
    await target.send(call.started())
    letter = target.letter(call.turn())
    await target.abandon(letter)
    answers = [await target.post(letter) for _ in range(RETRIES)]
    finding = taken([(f"retry {number}", answer) for number, answer in enumerate(answers, 1)])
    if finding.verdict == "fail":
        return finding
    if wanted.taken and meaning(wanted) != Reply() and meaning(answers[-1]) == Reply():
        return Finding("fail", f"the retry is answered with nothing; a turn that was not cut off with {_shown(wanted)}")
    return Finding("pass", "the retry is answered like the event itself")


async def _turn_after_start(target: Target, call: ProbeCall) -> Answer:
    await target.send(call.started())
    return await target.send(call.turn())


async def _reordered(target: Target) -> Finding:
    call = target.call()
    events = [call.started(), call.example("speech.finished"), call.turn(), call.turn(), call.example("call.ended")]
    order = (0, 3, 1, 2, 4, 1)
    return taken([await _sent(target, events[place]) for place in order])


async def _gap(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [await _sent(target, call.started())]
    call.sequence += GAP
    answers.append(await _sent(target, call.turn()))
    unknown = target.call()
    unknown.sequence += GAP
    answers += [await _sent(target, unknown.turn()), await _sent(target, unknown.example("call.ended"))]
    return taken(answers)


async def _retracted(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = [await _sent(target, call.started())]
    answers.append(await _sent(target, call.event(provisional(call, "A large"), "turn.provisional")))
    taken_back = TurnRetractedData(number=1, revision=1, text="a large")
    answers.append(await _sent(target, call.event(taken_back, "turn.retracted")))
    answers.append(await _sent(target, call.event(provisional(call, "A large salad.", 2), "turn.provisional")))
    answers.append(await _sent(target, call.turn("A large salad.", revision=2)))
    # A version that was taken back before its request began is never sent.
    alone = TurnRetractedData(number=2, revision=1, text="and")
    answers.append(await _sent(target, call.event(alone, "turn.retracted")))
    return taken(answers)


async def _sent(target: Target, event: Event) -> Told:
    return event.type, await target.send(event)


def _shown(answer: Answer) -> str:
    reply = meaning(answer)
    if isinstance(reply, Reply):
        return ", ".join(action.type for action in reply.actions) or "nothing"
    return answer.told


CASES = (
    Case(
        name="duplicate",
        group="delivery",
        expected="the same answer to an event that comes again, even later",
        advice=KNOWN,
        run=_duplicate,
    ),
    Case(
        name="duplicate-news",
        group="delivery",
        expected="2xx for events without a reply that come again",
        advice=KNOWN,
        run=_informed_twice,
    ),
    Case(
        name="lost-answer",
        group="delivery",
        expected="the same event answered after its connection broke",
        advice="Keep the answer, not only the `id`: the first one may never have arrived.",
        run=_lost_answer,
    ),
    Case(
        name="reordered",
        group="delivery",
        expected="2xx for events that overtake each other",
        advice="An event with a lower `sequence` is old news: take it (2xx) and pass over it.",
        run=_reordered,
    ),
    Case(
        name="gap",
        group="delivery",
        expected="2xx although events are missing, even call.started",
        advice="Do not wait for what is missing: it comes later or never. What you need is in `call` and `messages`.",
        run=_gap,
    ),
    Case(
        name="retracted",
        group="delivery",
        expected="2xx for provisional turns, their retraction, and a retraction alone",
        advice="Replace what you keep of a turn by its `revision`; a retraction of what you do not know is nothing.",
        run=_retracted,
    ),
)
