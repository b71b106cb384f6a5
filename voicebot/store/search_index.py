"""The full-text index over what callers and the bot said: FTS5 in SQLite, GIN over tsvector in PostgreSQL."""

from dataclasses import dataclass

from sqlalchemy import Connection

from voicebot.store.search_query import ACCENTS, SIGNS


@dataclass(frozen=True, slots=True)
class Indexed:
    """A column that can be searched; `name` is the FTS5 table, or the GIN index."""

    table: str
    column: str
    name: str


TURNS = Indexed("turns", "text", "turns_words")
UTTERANCES = Indexed("utterances", "heard", "utterances_words")
INDEXED = (TURNS, UTTERANCES)
TOKENIZER = "unicode61 remove_diacritics 2"
"""Words of any script by Unicode, letters without their accents (SQLite, FTS5 tokenizers)."""
TIDY_PAGES = 16
"""Pages that are merged in one step: a few milliseconds."""
CONFIGURATION = "simple"
"""PostgreSQL's text search without stemming or stop words: callers speak many languages."""


def is_of_index(name: str | None) -> bool:
    """Say whether a table belongs to FTS5 (its own tables are named after the virtual one), not to the schema."""
    return any((name or "").startswith(indexed.name) for indexed in INDEXED)


def create_index(connection: Connection) -> None:
    """Create the index and fill it with what is there; triggers keep it up to date inside each transaction."""
    for indexed in INDEXED:
        for statement in _fts5(indexed) if connection.dialect.name == "sqlite" else _gin(indexed):
            connection.exec_driver_sql(statement)


def vector(indexed: Indexed) -> str:
    """Return what PostgreSQL indexes; a query must say it to the letter so that the index is used.

    The parser takes addresses and numbers with signs for one word each, where FTS5 parts them, and the extension
    `unaccent` is not everywhere (PostgreSQL, 12.5 Parsers; F.48).
    """
    column = f"{indexed.table}.{indexed.column}"
    letters = f"regexp_replace(normalize({column}, NFD), '{ACCENTS}', '', 'g')"
    return f"to_tsvector('{CONFIGURATION}', regexp_replace({letters}, '{SIGNS}', ' ', 'g'))"


def drop_index(connection: Connection) -> None:
    """Drop the index."""
    for indexed in INDEXED:
        if connection.dialect.name == "sqlite":
            for change in ("insert", "delete", "update"):
                connection.exec_driver_sql(f"DROP TRIGGER {indexed.name}_{change}")
            connection.exec_driver_sql(f"DROP TABLE {indexed.name}")
        else:
            connection.exec_driver_sql(f"DROP INDEX {indexed.name}")


def tidy(connection: Connection, *, begin: bool) -> bool:
    """Merge a part of the index, so that words of deleted rows leave it for good; True when there is more to do.

    FTS5 only marks them as deleted until what holds them is merged (SQLite, FTS5 6.8). Each step is short, so that
    others can write between two; `begin` with the first.
    """
    if connection.dialect.name != "sqlite":
        return False
    before = _changes(connection)
    for indexed in INDEXED:
        name, steps = indexed.name, -TIDY_PAGES if begin else TIDY_PAGES
        connection.exec_driver_sql(f"INSERT INTO {name}({name}, rank) VALUES ('merge', {steps})")  # noqa: S608 - names are ours
    return begin or _changes(connection) - before > len(INDEXED)  # each of the statements is one


def _changes(connection: Connection) -> int:
    changes: int = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    return changes


def _fts5(indexed: Indexed) -> tuple[str, ...]:
    """External content: the index holds no text of its own (SQLite, FTS5 4.4.3)."""
    table, column, index = indexed.table, indexed.column, indexed.name
    options = f"content='{table}', content_rowid='id', tokenize='{TOKENIZER}', columnsize=0"
    forget = f"INSERT INTO {index}({index}, rowid, {column}) VALUES ('delete', old.id, old.{column});"  # noqa: S608 - names are ours
    learn = f"INSERT INTO {index}(rowid, {column}) VALUES (new.id, new.{column});"  # noqa: S608 - names are ours
    return (
        f"CREATE VIRTUAL TABLE {index} USING fts5({column}, {options})",
        f"INSERT INTO {index}({index}) VALUES ('rebuild')",  # noqa: S608 - names are ours
        f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {learn} END",
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {forget} END",
        f"CREATE TRIGGER {index}_update AFTER UPDATE OF {column} ON {table} BEGIN {forget} {learn} END",
    )


def _gin(indexed: Indexed) -> tuple[str, ...]:
    return (f"CREATE INDEX {indexed.name} ON {indexed.table} USING gin ({vector(indexed)})",)
