"""Makes a store with many turns and measures the search over it, and what the index costs the writer."""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, batched
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue
from sqlalchemy import Engine

from voicebot.store import CallFilter, CallRow, History, TurnRow, UtteranceRow
from voicebot.store.database import migrate, open_engine
from voicebot.store.reader import Reader
from voicebot.store.search_index import drop_index
from voicebot.store.writes import Row, Statements

TURNS = 100_000
TURNS_PER_CALL = 10
GROUP_ROWS = 256
"""Rows in one commit, as the service writes when it is busy."""
VOCABULARY = 20_000
TURN_WORDS = (3, 18)
SPOKEN_WORDS = (8, 25)
ROUNDS = 40
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
GOAL_MS = 50.0


class Speech:
    """Sentences whose words are as common as in speech: the n-th word is n times rarer than the first (Zipf)."""

    def __init__(self, chance: random.Random) -> None:
        letters = "etaoinshrdlcumwfgypbvk"
        self._chance = chance
        self.words = [
            "".join(chance.choices(letters, k=chance.randint(2, 4) if n < 200 else chance.randint(4, 10)))
            for n in range(VOCABULARY)
        ]
        self._weights = list(accumulate(1 / (n + 1) for n in range(VOCABULARY)))

    def sentence(self, bounds: tuple[int, int]) -> str:
        """Return so many words."""
        return " ".join(self._chance.choices(self.words, cum_weights=self._weights, k=self._chance.randint(*bounds)))


def rows(speech: Speech, turns: int) -> Iterator[Row]:
    """Yield calls with their turns and what the bot answers, as they are written."""
    for number in range(turns):
        call_id, at = f"CA{number // TURNS_PER_CALL:032x}", BEGIN + timedelta(seconds=number * 20)
        if number % TURNS_PER_CALL == 0:
            yield CallRow(
                id=call_id,
                from_number=f"+1555{number // TURNS_PER_CALL:07}",
                to_number="+15550100",
                direction="inbound",
                mode="bot",
                started_at=at,
            )
        text = speech.sentence(TURN_WORDS)
        words: list[dict[str, JsonValue]] = [
            {"text": word, "start_ms": 0, "end_ms": 0, "confidence": 0.9} for word in text.split()
        ]
        yield TurnRow(
            call_id=call_id,
            track="caller",
            number=number % TURNS_PER_CALL + 1,
            text=text,
            translation="",
            digits="",
            reason="endpoint",
            started_at=at,
            ended_at=at,
            words=words,
        )
        said = speech.sentence(SPOKEN_WORDS)
        yield UtteranceRow(
            call_id=call_id, text=said, heard=said, unheard="", ms=4_000, interrupted=False, started_at=at
        )


def write(engine: Engine, groups: Sequence[Sequence[Row]]) -> list[float]:
    """Write the groups, one commit each; return how many milliseconds each took."""
    took, statements = [], Statements(engine.dialect)
    with engine.connect() as connection:
        for group in groups:
            began = time.perf_counter()
            with connection.begin():
                statements.execute(connection, group)
            took.append((time.perf_counter() - began) * 1_000)
    return took


def fill(path: Path, turns: int, group: int, *, indexed: bool) -> list[float]:
    """Make a store with the same rows each time; return the milliseconds of each commit."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    if not indexed:
        with engine.begin() as connection:
            drop_index(connection)
    took = write(engine, [list(group) for group in batched(rows(Speech(random.Random(1)), turns), group, strict=False)])
    engine.dispose()
    return took


def figures(took: Sequence[float]) -> str:
    """Return the median and the 95th percentile."""
    return f"p50 {statistics.median(took):7.2f}   p95 {statistics.quantiles(took, n=20)[-1]:7.2f} ms"


async def searches(path: Path) -> float:
    """Print what each kind of query costs, and return the worst 95th percentile."""
    speech, chance = Speech(random.Random(1)), random.Random(2)
    common, usual, rare = speech.words[:20], speech.words[200:2_000], speech.words[10_000:]
    kinds: dict[str, Callable[[], str]] = {
        "a common word": lambda: chance.choice(common),
        "a usual word": lambda: chance.choice(usual),
        "a rare word": lambda: chance.choice(rare),
        "two words": lambda: f"{chance.choice(common)} {chance.choice(usual)}",
        "a phrase": lambda: f'"{chance.choice(common)} {chance.choice(common)}"',
        "a rare phrase": lambda: f'"{chance.choice(usual)} {chance.choice(rare)}"',
        "a prefix of three letters": lambda: f"{chance.choice(usual)[:3]}*",
        "a prefix of two letters": lambda: f"{chance.choice(usual)[:2]}*",
        "no hit": lambda: f"zz{chance.choice(usual)}",
    }
    engine = open_engine(f"sqlite:///{path}")
    reader = Reader(engine)
    history, worst = History(reader), 0.0
    for name, query in kinds.items():
        for label, ask in (("search", history.search), ("calls", lambda q: history.calls(CallFilter(text=q)))):
            took, found = [], 0
            for _ in range(ROUNDS):
                wanted = query()
                began = time.perf_counter()
                page = await ask(wanted)
                took.append((time.perf_counter() - began) * 1_000)
                found += len(page.items)
            print(f"{label:7} {name:26} {figures(took)}   {found / ROUNDS:5.1f} on the first page")
            if label == "search":
                worst = max(worst, statistics.quantiles(took, n=20)[-1])
    reader.close()
    engine.dispose()
    return worst


def main() -> int:
    """Run it; 1 when a search takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--group", type=int, default=GROUP_ROWS, help="rows in one commit")
    chosen = parser.parse_args()
    turns: int = chosen.turns
    group: int = chosen.group
    with TemporaryDirectory() as folder:
        for indexed in (False, True):
            took = fill(Path(folder) / f"{indexed}.db", turns, group, indexed=indexed)
            size = (Path(folder) / f"{indexed}.db").stat().st_size / 1_000_000
            print(
                f"writing {'with' if indexed else 'without'} the index: {figures(took)} for {group} rows, "
                f"{sum(took) * 1_000 / (turns * 2.1):.0f} µs a row, {size:.0f} MB"
            )
        worst = asyncio.run(searches(Path(folder) / "True.db"))
    print(f"worst p95: {worst:.1f} ms (goal: {GOAL_MS:.0f})")
    return int(worst > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
