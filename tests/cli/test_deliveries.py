"""`voicebot deliveries` reads and changes the outbox, while a service runs or not."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from voicebot.__main__ import main
from voicebot.cli import check
from voicebot.config import Settings, StoreSettings, WebhookSettings
from voicebot.courier import Courier, open_session
from voicebot.errors import ConfigurationError
from voicebot.store import AttemptRow, CallRow, EndpointStop, EventRow, Store

URL, SECOND = "https://app.example/", "https://copy.example/"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEADLINE_S = 50
EVENTS = [
    ("e1", "CA1", 1, "delivered"),
    ("e2", "CA1", 2, "dead"),
    ("e3", "CA2", 1, "dead"),
    ("e4", "CA2", 2, "pending"),
    ("e5", "CA2", 3, "withdrawn"),
    ("e6", "CA2", 4, "no_endpoint"),
]


@asynccontextmanager
async def opened(file):
    async with Store.open(StoreSettings(url=f"sqlite:///{file}")) as store, asyncio.TaskGroup() as group:
        group.create_task(store.run())
        yield store
        await store.close()


def attempt(event_id, number, state, **more):
    given = {"started_at": NOW, "ms": 40, "status": 500, "error": "status 500"}
    return AttemptRow(event_id=event_id, attempt=number, state=state, **given | more)


async def fill(file, url=URL):
    async with opened(file) as store:
        for call_id in ("CA1", "CA2"):
            row = CallRow(id=call_id, from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=NOW)
            await store.write(row)
        for number, (event_id, call_id, sequence, state) in enumerate(EVENTS):
            body = json.dumps({"type": "turn.completed", "id": event_id, "data": {"text": "Grüezi"}}).encode()
            await store.write(
                EventRow(
                    id=event_id,
                    call_id=call_id,
                    sequence=sequence,
                    type="turn.completed",
                    wants_reply=True,
                    url=None if state == "no_endpoint" else url,
                    body=body,
                    created_at=NOW + timedelta(seconds=number),
                    state=state,
                    copy_url=SECOND if event_id in {"e1", "e2"} else None,
                )
            )
        await store.write(attempt("e2", 1, "dead", status=404, error="status 404"))
        await store.write(attempt("e1", 1, "dead", copy_url=SECOND))
        await store.write(attempt("e4", 1, "pending", next_attempt_at=NOW + timedelta(days=900)))


@pytest.fixture
def database(tmp_path, monkeypatch, blank_store):
    file = tmp_path / "calls.db"
    file.write_bytes(blank_store.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEBOT_STORE__URL", f"sqlite:///{file}")
    asyncio.run(fill(file))
    return file


def look(file, query):
    with closing(sqlite3.connect(file, timeout=5)) as connection:
        return connection.execute(query).fetchall()


def states(file):
    return "".join(state[0] for (state,) in look(file, "select state from events order by id"))


def said(capsys, *words, code=0):
    assert main(["deliveries", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


# --- list and show ---------------------------------------------------------------------------------


def test_the_list_is_newest_first(database, capsys):
    lines = said(capsys, "list").splitlines()
    assert [line.split()[0] for line in lines] == ["event", "e6", "e5", "e4", "e3", "e2", "e1"]
    assert lines[5].split() == ["e2", "CA1", "2", "turn.completed", "dead", "1", "status", "404"]
    assert lines[3].split()[-2:] == ["2029-05-10", "12:00:00Z"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        pytest.param(["--state", "dead"], ["e3", "e2"], id="state"),
        pytest.param(["--call", "CA1"], ["e2", "e1"], id="call"),
        pytest.param(["--call", "CA2", "--state", "pending"], ["e4"], id="both"),
        pytest.param(["--limit", "2"], ["e6", "e5"], id="limit"),
        pytest.param(["--call", "nobody"], [], id="none"),
    ],
)
def test_filters(database, capsys, words, ids):
    lines = said(capsys, "list", "--json", *words).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids


def test_a_long_list_is_read_in_pages(database, capsys, monkeypatch):
    monkeypatch.setattr("voicebot.cli.deliveries.PAGE", 2)
    assert [json.loads(line)["id"] for line in said(capsys, "list", "--json").splitlines()] == [
        "e6",
        "e5",
        "e4",
        "e3",
        "e2",
        "e1",
    ]


def test_an_empty_list_says_so(database, capsys):
    assert said(capsys, "list", "--call", "nobody") == "no events\n"


def test_show_tells_everything(database, capsys):
    text = said(capsys, "show", "e1")
    assert "Grüezi" in text
    assert "2026-11-22 12:00:00Z" in text
    assert f"{SECOND}: dead, 1 attempts, status 500" in text
    shown = json.loads(said(capsys, "show", "--json", "e2"))
    assert shown["body"]["data"] == {"text": "Grüezi"}
    assert [one["status"] for one in shown["attempts"]] == [404]


# --- decisions -------------------------------------------------------------------------------------


def test_replay_makes_an_event_due(database, capsys):
    said(capsys, "replay", "e3")
    ((state, attempts, due),) = look(database, "select state, attempts, next_attempt_at from events where id = 'e3'")
    assert (state, attempts) == ("pending", 0)
    assert abs(datetime.fromisoformat(due).replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=5)


def test_replay_all_dead(database, capsys):
    assert said(capsys, "replay", "--all-dead").startswith("2 to be sent again")
    assert states(database) == "dpppwn"


def test_replay_the_dead_of_one_call(database, capsys):
    said(capsys, "replay", "--all-dead", "--call", "CA1")
    assert states(database) == "dpdpwn"


def test_what_only_the_second_endpoint_lacks_goes_there_alone(database, capsys):
    said(capsys, "replay", "e1")
    assert states(database)[0] == "d"
    assert look(database, "select state from copies where event_id = 'e1'") == [("pending",)]
    said(capsys, "replay", "e1")
    assert states(database)[0] == "p", "everybody has it: again to its own endpoint"


def test_drop_gives_up_both(database, capsys):
    said(capsys, "drop", "e2", "e4")
    assert look(database, "select id from events where state = 'dropped' order by id") == [("e2",), ("e4",)]
    assert look(database, "select state from copies where event_id = 'e2'") == [("dropped",)]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["show", "nothing"], "there is no event nothing", id="show-unknown"),
        pytest.param(["replay", "nothing"], "there is no event nothing", id="replay-unknown"),
        pytest.param(["replay"], "or say --all-dead", id="replay-what"),
        pytest.param(["replay", "e5"], "e5 is withdrawn", id="replay-withdrawn"),
        pytest.param(["replay", "e6"], "has no endpoint", id="replay-nowhere"),
        pytest.param(["drop", "e5"], "e5 is withdrawn", id="drop-withdrawn"),
        pytest.param(["resume", URL], "stopped are: none", id="resume"),
    ],
)
def test_clear_errors(database, capsys, words, why):
    before = states(database)
    assert why in said(capsys, *words, code=1)
    assert states(database) == before


def test_an_event_whose_content_is_gone_is_not_sent_again(database, capsys):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("update events set body = x'', state = 'delivered' where id = 'e3'")
    assert "content was not kept" in said(capsys, "replay", "e3", code=1)


def test_a_stopped_endpoint_is_listed_and_resumed(database, capsys):
    async def stop():
        async with opened(database) as store:
            await store.write(EndpointStop(url=URL, stopped_at=NOW, why="status 410"))

    asyncio.run(stop())
    assert f"{URL} was stopped at 2026-11-22 12:00:00Z (status 410)" in said(capsys, "list")
    said(capsys, "resume", URL)
    assert look(database, "select * from endpoints") == []


async def test_a_service_that_runs_notices(tmp_path, monkeypatch, blank_store):
    arrived = asyncio.Queue()

    async def take(request):
        arrived.put_nowait(request.headers["webhook-id"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "calls.db"
    file.write_bytes(blank_store.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEBOT_STORE__URL", f"sqlite:///{file}")
    await fill(file, f"http://127.0.0.1:{runner.addresses[0][1]}/")
    settings = WebhookSettings()
    async with opened(file) as store, open_session(settings) as session, asyncio.TaskGroup() as group:
        courier = Courier(settings, store, session)
        group.create_task(courier.run())
        async with asyncio.timeout(DEADLINE_S):
            assert await asyncio.to_thread(main, ["deliveries", "replay", "e2"]) == 0
            assert await arrived.get() == "e2"
        await courier.close()
    await runner.cleanup()


async def test_check_names_stopped_endpoints(tmp_path, blank_store):
    file = tmp_path / "calls.db"
    file.write_bytes(blank_store.read_bytes())
    settings = Settings(store={"url": f"sqlite:///{file}"})
    assert await check._endpoints(settings) == "none"
    async with opened(file) as store:
        await store.write(EndpointStop(url=URL, stopped_at=NOW, why="status 410"))
    with pytest.raises(ConfigurationError, match=f"{URL}: answered 410; `voicebot deliveries resume"):
        await check._endpoints(settings)
