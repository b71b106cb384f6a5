"""What must hold after a chaos run, whatever went wrong on purpose; a law that does not hold says where."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

WORD = re.compile(r"s(\d+)w(\d+)")
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

    settled: Sequence[Sequence[str]] = ()
    """For each session of speech-to-text the words that it sent as final, in order."""
    turns: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """The text of each call's turns, in order."""
    asides: Sequence[str] = ()
    """What was heard and was no turn."""
    events: Sequence[EventFact] = ()
    stopped: frozenset[str] = frozenset()
    """Endpoints that want no more."""
    calls: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    """Ids that the application has seen."""
    changed: int = 0
    unsigned: int = 0
    logged: Sequence[str] = ()
    """What was logged and is no ordinary trouble."""
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
        "settled words keep their order": _order(outcome),
        "every event is delivered, or waits for a reason": _delivery(outcome),
        "an event keeps its bytes and its signature": _bytes(outcome),
        "sequences have no gap": _sequences(outcome),
        "a call ends exactly once": _ends(outcome),
        "nothing unexpected is logged": iter(outcome.logged),
        "no task is left": iter(outcome.left),
        "open files are flat": _files(outcome),
        "memory is flat": _memory(outcome),
    }
    return {name: found for name, broken in laws.items() if (found := list(broken))}


def _words(outcome: Outcome) -> Iterator[str]:
    found = Counter(_said(text for turns in outcome.turns.values() for text in turns))
    found.update(_said(outcome.asides))
    for word in (word for session in outcome.settled for word in session):
        if found[word] != 1:
            yield f"{word} is there {found[word]} times"


def _order(outcome: Outcome) -> Iterator[str]:
    for call, turns in outcome.turns.items():
        last: dict[str, int] = defaultdict(int)
        for word in _said(turns):
            session, _, number = word[1:].partition("w")
            if int(number) <= last[session]:
                yield f"{word} comes after s{session}w{last[session]} in {call}"
            last[session] = int(number)


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


def stored(database: Path) -> Outcome:
    """Return what the store knows of an outcome."""
    turns: dict[str, list[str]] = defaultdict(list)
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        for call, text in connection.execute("select call_id, text from turns order by call_id, number"):
            turns[call].append(text)
        asides = tuple(text for (text,) in connection.execute("select text from asides"))
        events = tuple(
            EventFact(*row)
            for row in connection.execute("select id, call_id, sequence, type, state, coalesce(url, '') from events")
        )
        calls = frozenset(call for (call,) in connection.execute("select id from calls"))
        stopped = frozenset(url for (url,) in connection.execute("select url from endpoints"))
    return Outcome(turns=turns, asides=asides, events=events, calls=calls, stopped=stopped)
