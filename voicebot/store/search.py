"""Finds where something was said: hits page by page, and the calls in which it was."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    RowMapping,
    Select,
    Subquery,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
    table,
    union,
)

from voicebot.store import schema
from voicebot.store.cursors import MAX_ID, from_cursor, to_cursor
from voicebot.store.records import Hit, Page
from voicebot.store.search_index import CONFIGURATION, INDEXED, TURNS, Indexed, vector
from voicebot.store.search_query import Term, fts5, parse, tsquery
from voicebot.store.snippets import snippet

type Terms = Sequence[Term]


def find(connection: Connection, query: str, limit: int, after: str | None) -> Page[Hit]:
    """Return the newest hits behind the cursor; nothing to look for finds nothing. Raises InvalidCursor."""
    positions = _positions(after)
    if not (terms := parse(query)):
        return Page((), None)
    sqlite = connection.dialect.name == "sqlite"
    hits = _fts5_hits if sqlite else _gin_hits
    found = [
        connection.execute(_described(indexed, hits(indexed, terms, before, limit + 1))).mappings().all()
        for indexed, before in zip(INDEXED, positions, strict=True)
    ]
    return _page(found, positions, limit, terms)


def calls_where(query: str, dialect: str) -> CompoundSelect[Any]:
    """Return a query of the calls in which something was said; nothing to look for was said in none."""
    matching = _fts5_calls if dialect == "sqlite" else _gin_calls
    return union(*(matching(indexed, parse(query)) for indexed in INDEXED))


def _positions(after: str | None) -> tuple[int, ...]:
    """For each table the number of the last row that was shown."""
    if after is None:
        return tuple(MAX_ID for _ in INDEXED)
    return tuple(int(str(key)) for key in from_cursor(after, *(int for _ in INDEXED)))


def _page(found: Sequence[Sequence[RowMapping]], positions: Sequence[int], limit: int, terms: Terms) -> Page[Hit]:
    """Merge the tables' hits, each newest first, by time."""
    last, taken = list(positions), [0] * len(found)
    hits: list[Hit] = []
    while len(hits) < limit and (heads := [n for n, rows in enumerate(found) if taken[n] < len(rows)]):
        newest = max(heads, key=lambda n: _at(found[n][taken[n]]))
        row = found[newest][taken[newest]]
        hits.append(_hit(row, terms))
        last[newest] = row["id"]
        taken[newest] += 1
    more = any(count < len(rows) for count, rows in zip(taken, found, strict=True))
    return Page(tuple(hits), to_cursor(last) if more else None)


def _at(row: RowMapping) -> datetime:
    at: datetime = row["at"]
    return at


def _hit(row: RowMapping, terms: Terms) -> Hit:
    fields: dict[str, Any] = {**row, "snippet": snippet(row["text"], terms)}
    del fields["id"], fields["text"]
    return Hit(**fields)


def _described(indexed: Indexed, hits: Subquery) -> Select[Any]:
    """Add to the numbers of rows what a hit has."""
    said, calls = schema.metadata.tables[indexed.table], schema.calls
    text = said.c[indexed.column].label("text")
    own: Sequence[ColumnElement[Any]]
    if indexed is TURNS:
        # A turn of keys alone has no times of its own, but words are what was found.
        at = func.coalesce(said.c.started_at, said.c.ended_at, calls.c.started_at, type_=schema.Instant)
        own = (literal("turn").label("kind"), said.c.track, said.c.number, at.label("at"))
    else:
        own = (
            literal("utterance").label("kind"),
            null().label("track"),
            null().label("number"),
            said.c.started_at.label("at"),
        )
    return (
        select(said.c.id, said.c.call_id, calls.c.from_number, calls.c.to_number, *own, text)
        .join_from(hits, said, said.c.id == hits.c.id)
        .join(calls, calls.c.id == said.c.call_id)
        .order_by(hits.c.id.desc())
    )


# --- SQLite ----------------------------------------------------------------------------------------


def _fts5_hits(indexed: Indexed, terms: Terms, before: int, limit: int) -> Subquery:
    """Read the index backwards: its rows come newest first by themselves, so a page costs the same for any word."""
    index = table(indexed.name, column("rowid", Integer))
    return (
        select(index.c.rowid.label("id"))
        .where(_matches(indexed, terms), index.c.rowid < literal(before, BigInteger))
        .order_by(index.c.rowid.desc())
        .limit(limit)
        .subquery("hits")
    )


def _fts5_calls(indexed: Indexed, terms: Terms) -> Select[Any]:
    said, index = schema.metadata.tables[indexed.table], table(indexed.name, column("rowid", Integer))
    rows = select(index.c.rowid).where(_matches(indexed, terms))
    return select(said.c.call_id).where(said.c.id.in_(rows))


def _matches(indexed: Indexed, terms: Terms) -> ColumnElement[bool]:
    return literal_column(indexed.name).op("MATCH", is_comparison=True)(fts5(terms))


# --- PostgreSQL ------------------------------------------------------------------------------------


def _gin_hits(indexed: Indexed, terms: Terms, before: int, limit: int) -> Subquery:
    said = schema.metadata.tables[indexed.table]
    return (
        select(said.c.id)
        .where(_contains(indexed, terms), said.c.id < literal(before, BigInteger))
        .order_by(said.c.id.desc())
        .limit(limit)
        .subquery("hits")
    )


def _gin_calls(indexed: Indexed, terms: Terms) -> Select[Any]:
    return select(schema.metadata.tables[indexed.table].c.call_id).where(_contains(indexed, terms))


def _contains(indexed: Indexed, terms: Terms) -> ColumnElement[bool]:
    wanted = func.to_tsquery(literal_column(f"'{CONFIGURATION}'"), tsquery(terms))
    return literal_column(vector(indexed)).op("@@", is_comparison=True)(wanted)
