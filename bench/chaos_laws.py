"""What must hold after a chaos run, whatever went wrong on purpose; a law that does not hold says where."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from chaos_words import WORD

TURN_S = 20.0
"""A settled word is part of a turn that is told within so long; a process that is killed before loses it (docs/resuming.md)."""
UNNOTICED_S = 0.5
"""Soniox goes on so long with what it has, until it finds nobody there."""
BROKEN = frozenset({"lost", "stream_lost", "no_stream", "error"})
"""Reasons of a call's end that are nobody's wish."""
MOST_NEW_FILES = 3
"""The database opens some of its files when it first needs them."""
MOST_GROWTH = 0.25
"""Resident memory may grow by so much of what it was after the warm-up ..."""
LEAST_GROWTH_KIB = 30_000
"""... and by this in any case: an allocator keeps what it once had."""


@dataclass(frozen=True, slots=True)
class EventFact:
    """An event as the store has it."""

    id: str
    call: str
    sequence: int
    type: str
    state: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that the laws look at."""

    heard: frozenset[str] = frozenset()
    """Words that a session of speech-to-text has heard, settled or not."""
    settled: Mapping[str, float] = field(default_factory=dict[str, float])
    """When each word was sent as final."""
    kills: Sequence[float] = ()
    """When the service was killed, on the same clock."""
    callers: Mapping[str, int] = field(default_factory=dict[str, int])
    """The number in the words of whoever was on the line, by the carrier's id."""
    stayed: frozenset[str] = frozenset()
    """The carrier's ids of those whose call had no reason to break."""
    turns: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """The text of each call's turns, in order."""
    asides: Sequence[tuple[str, str]] = ()
    """What was heard on which call and was no turn."""
    summed_up: Mapping[str, str] = field(default_factory=dict[str, str])
    """The transcript that the end of each call has told."""
    deaf: frozenset[str] = frozenset()
    """Calls that have told that they lost audio or could not hear."""
    events: Sequence[EventFact] = ()
    stopped: frozenset[str] = frozenset()
    """Endpoints that want no more."""
    calls: Mapping[str, str] = field(default_factory=dict[str, str])
    """The reason of each call's end."""
    seen: frozenset[str] = frozenset()
    """Ids that the application has seen."""
    changed: int = 0
    unsigned: int = 0
    logged: Sequence[str] = ()
    """What was logged and is no ordinary trouble."""
    deaths: Sequence[str] = ()
    """Ends of a process that nobody has ordered."""
    left: Sequence[str] = ()
    """Tasks that are still there."""
    files: tuple[int, int] = (0, 0)
    """Open descriptors before and after."""
    memory_kib: tuple[int, int] = (0, 0)
    """Resident memory after the warm-up and at the end."""


def violations(outcome: Outcome) -> dict[str, list[str]]:
    """Return what does not hold, by the name of its law."""
    laws = {
        "a settled word is in exactly one turn": _words(outcome),
        "a word that was heard is not lost": _heard(outcome),
        "words keep their order and their call": _order(outcome),
        "the end of a call tells every turn": _summed_up(outcome),
        "a call that nobody has ended goes on": _stays(outcome),
        "every event is delivered, or waits for a reason": _delivery(outcome),
        "an event keeps its bytes and its signature": _bytes(outcome),
        "sequences have no gap": _sequences(outcome),
        "a call ends exactly once": _ends(outcome),
        "nothing unexpected is logged": iter(outcome.logged),
        "no process ends by itself": iter(outcome.deaths),
        "no task is left": iter(outcome.left),
        "open files are flat": _files(outcome),
        "memory is flat": _memory(outcome),
    }
    return {name: found for name, broken in laws.items() if (found := list(broken))}


def _found(outcome: Outcome) -> Counter[str]:
    found = Counter(_said(text for turns in outcome.turns.values() for text in turns))
    found.update(_said(text for _, text in outcome.asides))
    return found


def _words(outcome: Outcome) -> Iterator[str]:
    found = _found(outcome)
    for word in outcome.settled.keys() | found.keys():
        if found[word] > 1 or (not found[word] and not _killed(outcome, outcome.settled[word])):
            yield f"{word} is there {found[word]} times"


def _killed(outcome: Outcome, at: float) -> bool:
    return any(at - UNNOTICED_S <= kill <= at + TURN_S for kill in outcome.kills)


def _heard(outcome: Outcome) -> Iterator[str]:
    """What a session has heard and not settled is heard again by the next one, if the audio is still there."""
    if outcome.kills:
        return  # with the process its audio is gone
    found = _found(outcome)
    deaf = {outcome.callers.get(call.partition(".")[0]) for call in outcome.deaf}
    for word in outcome.heard:
        if not found[word] and _caller(word) not in deaf:
            yield f"{word} was heard and is in no turn"


def _order(outcome: Outcome) -> Iterator[str]:
    for call, turns in outcome.turns.items():
        last = 0
        caller = outcome.callers.get(call.partition(".")[0])
        for word in _said(turns):
            number = int(word.partition("w")[2])
            if number <= last:
                yield f"{word} comes after {last} in {call}"
            if caller is not None and _caller(word) != caller:
                yield f"{word} is in {call} of caller {caller}"
            last = number


def _caller(word: str) -> int:
    return int(word[1:].partition("w")[0])


def _summed_up(outcome: Outcome) -> Iterator[str]:
    for call, transcript in outcome.summed_up.items():
        told = set(_said([transcript]))
        if lost := [word for word in _said(outcome.turns.get(call, ())) if word not in told]:
            yield f"{call} ends without {lost[:5]}"


def _stays(outcome: Outcome) -> Iterator[str]:
    for call, reason in outcome.calls.items():
        if call.partition(".")[0] in outcome.stayed and reason in BROKEN:
            yield f"{call} ended as {reason}"


def _said(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for match in WORD.finditer(text):
            yield match[0]


def _delivery(outcome: Outcome) -> Iterator[str]:
    for event in outcome.events:
        waits = event.state == "pending" and event.url in outcome.stopped
        over = event.state in {"delivered", "dead"} and event.id in outcome.seen
        if not (waits or over or event.state == "withdrawn"):
            yield f"{event.id} ({event.type} of {event.call}) is {event.state}, seen: {event.id in outcome.seen}"
    if strange := outcome.seen - {event.id for event in outcome.events}:
        yield f"{len(strange)} events arrived that the store does not know"


def _bytes(outcome: Outcome) -> Iterator[str]:
    if outcome.changed:
        yield f"{outcome.changed} came again with other bytes"
    if outcome.unsigned:
        yield f"{outcome.unsigned} had a wrong signature"


def _sequences(outcome: Outcome) -> Iterator[str]:
    for call, events in _by_call(outcome).items():
        numbers = sorted(event.sequence for event in events)
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{call}: {numbers}"


def _ends(outcome: Outcome) -> Iterator[str]:
    by_call = _by_call(outcome)
    for call in outcome.calls:
        ends = [event for event in by_call.get(call, ()) if event.type == "call.ended"]
        if len(ends) != 1:
            yield f"{call} has {len(ends)} call.ended"


def _by_call(outcome: Outcome) -> dict[str, list[EventFact]]:
    by_call: dict[str, list[EventFact]] = defaultdict(list)
    for event in outcome.events:
        by_call[event.call].append(event)
    return by_call


def _files(outcome: Outcome) -> Iterator[str]:
    before, after = outcome.files
    if after > before + MOST_NEW_FILES:
        yield f"{before} before, {after} after"


def _memory(outcome: Outcome) -> Iterator[str]:
    warm, end = outcome.memory_kib
    if end > warm + max(LEAST_GROWTH_KIB, warm * MOST_GROWTH):
        yield f"{warm} KiB after the warm-up, {end} KiB at the end"


# --- what the store knows -------------------------------------------------------------------------


def pending(database: Path) -> int:
    """Return how many events still wait although their endpoint takes some."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        found: int = connection.execute(
            "select count(*) from events where state = 'pending' and url not in (select url from endpoints)"
        ).fetchone()[0]
        return found


def at_rest(database: Path) -> bool:
    """Say whether every call has its end and nothing is to be delivered."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        living = connection.execute("select 1 from calls where ended_at is null limit 1").fetchall()
    return not living and not pending(database)


def stored(database: Path) -> Outcome:
    """Return what the store knows of an outcome; a turn is kept by its row or, killed in between, by its event alone."""
    turns: dict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    deaf, summed_up = set[str](), dict[str, str]()
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        for call, track, number, text in connection.execute("select call_id, track, number, text from turns"):
            turns[call][track, number] = text
        asides = tuple(connection.execute("select call_id, text from asides"))
        query = "select id, call_id, sequence, type, state, coalesce(url, ''), body from events"
        events = list[EventFact]()
        for *facts, body in connection.execute(query):
            event = EventFact(*facts)
            events.append(event)
            data = json.loads(body)["data"] if body else {}
            match event.type:
                case "turn.completed" | "transcript.final" if data:
                    key = data.get("track", "caller"), data["turn"]["number"]
                    turns[event.call].setdefault(key, data["turn"]["text"])
                case "call.degraded":
                    deaf.add(event.call)
                case "call.ended" if data:
                    summed_up[event.call] = " ".join(line["text"] for line in data["transcript"])
                case _:
                    pass
        calls = dict(connection.execute("select id, coalesce(reason, '') from calls"))
        stopped = frozenset(url for (url,) in connection.execute("select url from endpoints"))
    return Outcome(
        turns={call: [text for _, text in sorted(kept.items())] for call, kept in turns.items()},
        asides=asides,
        events=events,
        calls=calls,
        stopped=stopped,
        deaf=frozenset(deaf),
        summed_up=summed_up,
    )
