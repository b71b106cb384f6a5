"""The store's read side: calls by filter, one call whole, search page by page."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.databases import Database, running
from voicebot.errors import PeerUnavailable
from voicebot.store import (
    AsideRow,
    CallEnd,
    CallFilter,
    CallRow,
    InvalidCursor,
    LatencyRow,
    TurnRow,
    UtteranceRow,
)
from voicebot.store.cursors import from_cursor, to_cursor
from voicebot.store.database import open_engine
from voicebot.store.search import _gin_hits
from voicebot.store.search_index import INDEXED
from voicebot.store.search_query import Term, fts5, parse, plain, tsquery

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)


def call(name="CA1", minute=0, **more):
    given = {"from_number": "+15550101", "to_number": "+15550100", "direction": "inbound", "mode": "bot"}
    return CallRow(id=name, started_at=NOW + timedelta(minutes=minute), **given | more)


def turn(number, text, call_id="CA1", second=0, **more):
    at = NOW + timedelta(seconds=second)
    given = {"track": "caller", "translation": "", "digits": "", "reason": "endpoint", "words": [{"text": text}]}
    return TurnRow(call_id=call_id, number=number, text=text, **given | {"started_at": at, "ended_at": at} | more)


def utterance(heard, call_id="CA1", second=0, **more):
    given = {"text": heard, "unheard": "", "ms": 900, "interrupted": False}
    return UtteranceRow(call_id=call_id, heard=heard, started_at=NOW + timedelta(seconds=second), **given | more)


async def keep(store, *rows):
    """Write the rows one after the other."""
    for row in rows:
        match row:
            case CallRow():
                await store.write(row)
            case TurnRow():
                await store.write(row)
            case UtteranceRow():
                await store.write(row)
            case AsideRow():
                await store.write(row)
            case CallEnd():
                await store.write(row)


async def pages(read, limit):
    """Return the items of all pages, and how many pages there were."""
    items, count, after = [], 0, None
    while True:
        page = await read(limit, after)
        assert len(page.items) <= limit
        items, count, after = items + list(page.items), count + 1, page.next
        if after is None:
            return items, count


# --- one call --------------------------------------------------------------------------------------


async def test_a_call_comes_back_whole_and_in_order(database):
    async with running(database.settings) as store:
        entry = {"kind": "digits", "value": "12", "complete": True}
        await keep(
            store,
            call(parameters={"tenant": "7"}),
            turn(1, "Grüezi", second=1),
            turn(2, "", second=5, digits="12", started_at=None, ended_at=None, entry=entry, revision=3),
            utterance("later", second=9),
            utterance("sooner", second=3, text="sooner or later", unheard=" or later", interrupted=True),
            AsideRow(call_id="CA1", kind="backchannel", text="mhm", at=NOW + timedelta(seconds=4)),
            CallEnd(id="CA1", ended_at=NOW, reason="caller", duration_ms=9_000, state={"a": [1]}),
        )
        await store.write(LatencyRow(call_id="CA1", number=1, latency={"decided_ms": 600}))

        kept = await store.history.call("CA1")
        assert (kept.summary.id, kept.summary.turns, kept.summary.duration_ms) == ("CA1", 2, 9_000)
        assert (kept.parameters, kept.state) == ({"tenant": "7"}, {"a": [1]})
        one, two = kept.turns
        assert (one.text, one.latency, one.entry, one.revision) == ("Grüezi", {"decided_ms": 600}, None, 1)
        assert (two.digits, two.latency, two.entry, two.revision, two.started_at) == ("12", None, entry, 3, None)
        assert [said.heard for said in kept.utterances] == ["sooner", "later"]
        assert (kept.utterances[0].unheard, kept.utterances[0].interrupted) == (" or later", True)
        assert [(aside.kind, aside.text) for aside in kept.asides] == [("backchannel", "mhm")]
        assert await store.history.call("CA2") is None


async def test_what_is_not_known_is_null_and_not_the_json_value(database):
    async with running(database.settings) as store:
        await keep(store, call(), turn(1, "a"))
    assert database.look("select entry is null, latency is null from turns") == [(True, True)]


# --- calls -----------------------------------------------------------------------------------------

FILTERS = [
    pytest.param({}, "CA4 CA3 CA2 CA1", id="all"),
    pytest.param({"from_number": "+15550101"}, "CA4 CA2 CA1", id="from"),
    pytest.param({"to_number": "+15550100"}, "CA3 CA2 CA1", id="to"),
    pytest.param({"number": "+15550100"}, "CA3 CA2 CA1", id="either-side-to"),
    pytest.param({"number": "+15550109"}, "CA3", id="either-side-from"),
    pytest.param({"direction": "outbound"}, "CA4", id="direction"),
    pytest.param({"mode": "transcribe"}, "CA2", id="mode"),
    pytest.param({"reason": "caller"}, "CA1", id="reason"),
    pytest.param({"ended": True}, "CA3 CA1", id="ended"),
    pytest.param({"ended": False}, "CA4 CA2", id="not-ended"),
    pytest.param({"since": NOW + timedelta(minutes=1)}, "CA4 CA3 CA2", id="since-includes"),
    pytest.param({"until": NOW + timedelta(minutes=1)}, "CA1", id="until-excludes"),
    pytest.param({"text": "taxi"}, "CA3 CA1", id="text-of-both-sides"),
    pytest.param({"text": '"taxi please"'}, "CA1", id="phrase"),
    pytest.param({"text": "nobody"}, "", id="text-not-found"),
    pytest.param({"text": "..."}, "", id="nothing-to-look-for"),
    pytest.param({"text": "taxi", "reason": "bot"}, "CA3", id="all-must-hold"),
]


@pytest.fixture
async def some_calls(database):
    async with running(database.settings) as store:
        await keep(
            store,
            call("CA1"),
            call("CA2", minute=1, mode="transcribe"),
            call("CA3", minute=2, from_number="+15550109"),
            call("CA4", minute=3, direction="outbound", to_number="+15550108"),
            turn(1, "a taxi please"),
            turn(2, "thanks"),
            utterance("your taxi comes", "CA3"),
            CallEnd(id="CA1", ended_at=NOW, reason="caller", duration_ms=1),
            CallEnd(id="CA3", ended_at=NOW, reason="bot", duration_ms=1),
        )
        yield store


@pytest.mark.parametrize(("chosen", "names"), FILTERS)
async def test_calls_by_what_they_have_in_common(some_calls, chosen, names):
    page = await some_calls.history.calls(CallFilter(**chosen))
    assert (" ".join(found.id for found in page.items), page.next) == (names, None)
    one_by_one, _ = await pages(lambda n, after: some_calls.history.calls(CallFilter(**chosen), n, after), 1)
    assert tuple(one_by_one) == page.items


async def test_turns_are_counted(some_calls):
    page = await some_calls.history.calls(CallFilter())
    assert {found.id: found.turns for found in page.items} == {"CA1": 2, "CA2": 0, "CA3": 0, "CA4": 0}


async def test_calls_of_one_instant_are_neither_lost_nor_doubled(database):
    async with running(database.settings) as store:
        await keep(store, *(call(f"CA{number}") for number in range(7)))
        found, count = await pages(lambda n, after: store.history.calls(CallFilter(), n, after), 3)
        assert ([one.id for one in found], count) == ([f"CA{number}" for number in range(6, -1, -1)], 3)


# --- search ----------------------------------------------------------------------------------------


def shown(hit):
    """Return the snippet with what was found in brackets."""
    return "".join(f"[{part.text}]" if part.match else part.text for part in hit.snippet)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("table", ["A [table] for two", "which [table]?"], id="word"),
        pytest.param("TABLE for", ["A [table] [for] two"], id="words-are-all-needed"),
        pytest.param('"for two"', ["A table [for two]"], id="phrase"),
        pytest.param('"two for"', [], id="phrase-in-order"),
        pytest.param('"for two', ["A table [for two]"], id="open-quote"),
        pytest.param("tab*", ["A [table] for two", "which [table]?"], id="prefix"),
        pytest.param("tab", [], id="no-prefix-without-star"),
        pytest.param("gruezi", ["[Grüezi], Herr Müller"], id="without-accents"),
        pytest.param("grüezi MÜLLER", ["[Grüezi], Herr [Müller]"], id="other-case"),
        pytest.param("j.smith@example.com", ["[j.smith@example.com] is it"], id="signs-part-words"),
        pytest.param("стол", ["Один [стол]"], id="another-script"),
        pytest.param("nobody", [], id="no-hit"),
        pytest.param("OR", [], id="operators-are-words"),
        pytest.param("a) NOT (b", [], id="no-syntax"),
        pytest.param("", [], id="nothing"),
        pytest.param('" - ,', [], id="signs-alone"),
        pytest.param("unheard", [], id="what-was-not-heard"),
    ],
)
async def test_search(database, query, found):
    async with running(database.settings) as store:
        await keep(
            store,
            call(),
            utterance("which table?", second=1, text="which table? unheard"),
            turn(1, "A table for two", second=2),
            turn(2, "Grüezi, Herr Müller", second=3),
            turn(3, "j.smith@example.com is it", second=4),
            turn(4, "Один стол", second=5),
        )
        assert [shown(hit) for hit in (await store.history.search(query)).items] == found


async def test_a_hit_says_where(database):
    async with running(database.settings) as store:
        await keep(store, call(), turn(7, "words", second=2, track="agent"), utterance("words", second=3))
        said, heard = (await store.history.search("words")).items
        assert (said.kind, said.track, said.number, said.at) == ("utterance", None, None, NOW + timedelta(seconds=3))
        assert (heard.kind, heard.track, heard.number) == ("turn", "agent", 7)
        assert (heard.call_id, heard.from_number, heard.to_number) == ("CA1", "+15550101", "+15550100")
        assert heard.at == NOW + timedelta(seconds=2)


async def test_the_pages_of_a_search_hold_every_hit_once_newest_first(database):
    async with running(database.settings) as store:
        await keep(store, call())
        async with asyncio.TaskGroup() as group:
            for second in range(40):
                row = turn(second, "here", second=second) if second % 3 else utterance("here", second=second)
                group.create_task(keep(store, row))
        found, count = await pages(lambda n, after: store.history.search("here", n, after), 7)
        assert [hit.at for hit in found] == [NOW + timedelta(seconds=second) for second in range(39, -1, -1)]
        assert count == 6


async def test_a_long_turn_is_cut_around_what_was_found(database):
    async with running(database.settings) as store:
        await keep(store, call(), turn(1, " ".join(["before"] * 100 + ["needle"] + ["after"] * 100)))
        (hit,) = (await store.history.search("needle")).items
        assert "before [needle] after" in shown(hit)
        assert shown(hit).startswith("…") and shown(hit).endswith("…") and len(shown(hit)) < 200


async def test_what_changes_or_goes_is_not_found_any_more(database):
    async with running(database.settings) as store:
        await keep(store, call(), call("CA2"), turn(1, "first words"), turn(1, "second words", "CA2"))
        database.change("update turns set text = 'others' where call_id = 'CA2'")
        assert [hit.call_id for hit in (await store.history.search("words")).items] == ["CA1"]
        assert [hit.call_id for hit in (await store.history.search("others")).items] == ["CA2"]
        await store.delete_call("CA1")
        assert (await store.history.search("words")).items == ()


@given(st.text())
def test_no_query_is_an_error_of_the_database(query):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create virtual table words using fts5(text)")
        if terms := parse(query):
            connection.execute("select * from words where words match ?", (fts5(terms),)).fetchall()


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        pytest.param('a "b c"de* f', (Term("a"), Term("b c"), Term("de", prefix=True), Term("f")), id="mixed"),
        pytest.param("***", (), id="stars"),
        pytest.param("a* b** cd**", (Term("a"), Term("b"), Term("cd", prefix=True)), id="short-prefixes"),
        pytest.param("x" * 300, (Term("x" * 200),), id="long"),
        pytest.param("w " * 40, (Term("w"),) * 16, id="many"),
        pytest.param("a\0b \ud800c", (Term("a"), Term("b"), Term("c")), id="what-no-database-takes"),
    ],
)
def test_how_a_query_is_read(query, terms):
    assert parse(query) == terms


# --- cursors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "W10",
        to_cursor((NOW,)),
        to_cursor((NOW, 7)),
        to_cursor(("x", "y")),
        to_cursor((1, 2, 3)),
        "!" * 999,
    ],
)
async def test_a_cursor_of_another_list_is_refused(database, cursor):
    async with running(database.settings) as store:
        with pytest.raises(InvalidCursor, match="first page"):
            await store.history.calls(CallFilter(), after=cursor)
        with pytest.raises(InvalidCursor, match="first page"):
            await store.history.search("word", after=cursor)


@pytest.mark.parametrize("number", [-1, 2**63, True, None, 1.5])
def test_a_cursor_holds_only_numbers_of_rows(number):
    with pytest.raises(InvalidCursor):
        from_cursor(to_cursor((number,)), int)


@pytest.mark.parametrize("instant", ["2026-01-01", "0001-01-01T00:00:00+14:00", "now"])
def test_a_cursor_holds_only_instants_that_there_are(instant):
    with pytest.raises(InvalidCursor):
        from_cursor(to_cursor((instant,)), datetime)


@given(st.text())
def test_any_word_is_a_cursor_or_refused(word):
    try:
        keys = from_cursor(word, datetime, str)
    except InvalidCursor:
        return
    assert from_cursor(to_cursor(keys), datetime, str) == keys


async def test_a_broken_database_is_a_clear_error(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/calls.db")
    async with running(database.settings) as store:
        database.change("drop table turns_words")
        with pytest.raises(PeerUnavailable, match="no such table: turns_words"):
            await store.history.search("word")
        with pytest.raises(PeerUnavailable, match="no such table: turns_words"):
            await store.tidy_index()


# --- PostgreSQL ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        pytest.param("table for", "'table' & 'for'", id="words"),
        pytest.param('"for two" tab*', "'for two' & 'tab':*", id="phrase-and-prefix"),
        pytest.param("o'clock a\\b", "'o clock' & 'a b'", id="signs"),
        pytest.param("Ångström", "'Angstrom'", id="accents"),
    ],
)
def test_a_query_for_postgresql(query, wanted):
    assert tsquery(parse(query)) == wanted


def test_no_letter_is_taken_for_a_sign():
    assert not [sign for sign in map(chr, range(0x11_0000)) if sign.isalnum() and not plain(sign).strip()]


@settings(max_examples=300)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_query_is_an_error_of_postgresql(server, query):
    if terms := parse(query):
        server.execute("select to_tsquery('simple', %s)", (tsquery(terms),)).fetchall()


@pytest.fixture(scope="module")
def server(postgresql):
    with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
        yield connection


async def test_postgresql_uses_its_index(postgresql):
    """The expression that is searched must be, to the letter, the one that has the index."""
    database = postgresql.new()
    async with running(database.settings):
        engine = open_engine(database.url)
        with engine.begin() as connection:
            connection.exec_driver_sql("set enable_seqscan = off")
            connection.exec_driver_sql("set enable_indexscan = off")
            for indexed in INDEXED:
                query = _gin_hits(indexed, parse("word"), 7, 3)
                sql = query.element.compile(engine, compile_kwargs={"literal_binds": True})
                plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"explain {sql}"))
                assert indexed.name in plan
        engine.dispose()
