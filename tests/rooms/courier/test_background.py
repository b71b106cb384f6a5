"""The background beside others: lanes whose callers wait, people who decide, a second endpoint."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook

from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, redelivery
from voicebot.errors import PeerUnavailable
from voicebot.store import AttemptRow
from voicebot.wire.webhook import new_secret
from voicebot.wire.webhook_data import TurnData, TurnProvisionalData
from voicebot.wire.webhook_events import TurnProvisionalEvent

from .background import attempts, running
from .conftest import DEADLINE_S, NOW

OTHER_SECRET = new_secret(bytes(range(40)))
SOON = {"schedule_s": (0.05,) * 20}


# --- beside a lane ---------------------------------------------------------------------------------


async def test_what_a_lane_could_not_deliver_is_delivered_while_the_call_goes_on(app, bench):
    app.answers = [app.reply(status=500), app.reply()]
    async with running(bench, **SOON) as service:
        line = service.line(app.url)
        await line.lane.post(bench.info(1))
        await service.settled("delivered")
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
        line.lane.close()
    assert app.sequences == [1, 1, 2]


async def test_the_background_leaves_a_lanes_events_alone(app, bench, monkeypatch):
    monkeypatch.setattr(redelivery, "POLL_S", 0.01)
    release = asyncio.Event()

    async def wait(_):
        await release.wait()
        return web.Response()

    app.answers = [wait]
    async with running(bench) as service:
        line = service.line(app.url)
        for number in (1, 2, 3):
            await line.lane.post(bench.live(number))
        looked = service.courier._shared.ways
        async with asyncio.timeout(DEADLINE_S):
            while not looked.claimed() or len(app.requests) < 1:
                await asyncio.sleep(0.02)
        release.set()
        await line.wait_for(Replied, 3)
        line.lane.close()
        await line.running
        await service.settled(*["delivered"] * 3)
    assert app.sequences == [1, 2, 3]
    assert app.most_in_flight == 1


async def test_a_turn_does_not_wait_for_the_background(app, bench):
    app.answers = [app.hang, app.reply()]
    async with running(bench, schedule_s=(3_600,), background_timeout_s=1_000) as service:
        await service.put(app.url, 1)
        await app.wait_for(1)
        line = service.line(app.url)
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
        line.lane.close()
        await service.settled("pending", "delivered")
    assert app.sequences == [1, 2]
    assert app.most_in_flight == 1 or app.requests[0].peer != app.requests[1].peer
    assert attempts(bench, "attempt", "status")[0] == (1, None)
    (why,) = [error for (error,) in attempts(bench, "error") if error]
    assert "an event that wants a reply was waiting" in why


async def test_a_lane_that_was_cancelled_blocks_nothing(app, bench):
    app.answers = [app.hang, app.reply()]
    async with running(bench, **SOON) as service:
        line = service.line(app.url)
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        await app.wait_for(1)
        line.running.cancel()
        await service.settled("delivered", "delivered")
    assert app.sequences == [1, 1, 2]


def offer(bench, sequence):
    head = {"id": f"evt_CA1_{sequence}", "sequence": sequence, "created_at": NOW, "call": bench.live(sequence).call}
    turn = TurnData(number=1, text="Two pizzas.", reason="finalize", words=())
    return TurnProvisionalEvent(**head, data=TurnProvisionalData(turn=turn, revision=1, spoken=(), latency=None))


async def test_an_offer_that_is_taken_back_is_not_delivered_later(app, bench):
    app.answers = [app.reply(status=500), app.reply()]
    async with running(bench, retry_waits_s=(1_000,), schedule_s=(3_600,)) as service:
        line = service.line(app.url)
        await line.lane.post(offer(bench, 1))
        await line.wait_for(ReplyFailed)
        await line.wait_for(Attempted)
        line.lane.withdraw(1)
        await line.lane.post(bench.info(2))
        await line.wait_for(Delivered)
        line.lane.close()
        await line.running
        await service.settled("withdrawn", "delivered")
    assert app.sequences == [1, 2]


async def test_an_offer_is_taken_back_while_the_background_sends_it(app, bench):
    app.answers = [app.reply(status=500), app.hang, app.reply()]
    async with running(bench, retry_waits_s=(1_000,), background_timeout_s=1_000, **SOON) as service:
        line = service.line(app.url)
        await line.lane.post(offer(bench, 1))
        await app.wait_for(2)
        line.lane.withdraw(1)
        await service.settled("withdrawn")
        await line.lane.post(bench.info(2))
        await line.wait_for(Delivered)
        line.lane.close()
        await line.running
    assert app.sequences == [1, 1, 2]


# --- people ----------------------------------------------------------------------------------------


async def test_a_replayed_event_is_sent_again_within_a_second_or_two(app, bench):
    app.answers = [app.reply(status=404), app.reply()]
    async with running(bench) as service:
        await service.put(app.url, 1)
        await service.settled("dead")
        now = datetime.now(UTC)
        await bench.store.write(
            AttemptRow(
                event_id="evt_CA1_1",
                attempt=0,
                started_at=now,
                ms=0,
                status=None,
                error=None,
                state="pending",
                next_attempt_at=now,
            )
        )
        await service.settled("delivered")
    assert attempts(bench, "attempt", "status") == [(1, 404), (2, 200)]


async def test_closing_cuts_what_is_under_way_and_the_next_start_goes_on(app, bench):
    app.answers = [app.hang, app.reply()]
    async with running(bench, schedule_s=(0.05,)) as service:
        await service.put(app.url, 1)
        await app.wait_for(1)
    assert [error for (error,) in attempts(bench, "error")] == ["no answer within 0.0 s: the service was stopping"] or (
        "the service was stopping" in attempts(bench, "error")[0][0]
    )
    async with running(bench, schedule_s=(0.05,)) as service:
        await service.settled("delivered")


async def test_a_store_that_cannot_note_it_does_not_make_it_come_twice(app, bench, monkeypatch):
    monkeypatch.setattr(redelivery, "POLL_S", 0.01)
    faults = iter([PeerUnavailable("store", "is locked")] * 5)
    write = bench.store.write

    async def sometimes(row):
        if isinstance(row, AttemptRow) and (fault := next(faults, None)):
            raise fault
        await write(row)

    monkeypatch.setattr(bench.store, "write", sometimes)
    async with running(bench) as service:
        await service.put(app.url, 1)
        await service.settled("delivered")
    assert next(faults, None) is None
    assert app.sequences == [1]


async def test_a_call_that_is_deleted_while_its_event_is_sent_holds_nothing_up(app, bench):
    gate = asyncio.Event()

    async def wait(_):
        await gate.wait()
        return web.Response()

    app.answers = [wait]
    async with running(bench, calls=("CA1", "CA2"), background_requests=1) as service:
        await service.put(app.url, 1)
        await app.wait_for(1)
        await service.put(app.url, 1, call="CA2")
        await bench.store.delete_call("CA1")
        gate.set()
        await service.settled("delivered")
    assert app.sequences == [1, 1]


async def test_without_the_background_nothing_is_sent(app, bench):
    async with running(bench, background=False, copy_url=app.url) as service:
        await service.put(app.url, 1, copy_url=app.url)
    assert app.requests == []


async def test_a_store_that_cannot_be_read_is_waited_for(app, bench, monkeypatch, capsys):
    monkeypatch.setattr(redelivery, "POLL_S", 0.02)
    with closing(sqlite3.connect(bench.file)) as connection:
        connection.execute("alter table endpoints rename to hidden")
    async with running(bench) as service:
        await service.put(app.url, 1)
        async with asyncio.timeout(DEADLINE_S):
            while not service.courier._later._blind:
                await asyncio.sleep(0.02)
        with closing(sqlite3.connect(bench.file, timeout=5)) as connection:
            connection.execute("alter table hidden rename to endpoints")
        await service.settled("delivered")
    assert capsys.readouterr().out.count("webhook.store_unreadable") == 2, (
        "one line for each of the two, not one a look"
    )


# --- the second endpoint ---------------------------------------------------------------------------


async def test_every_event_goes_to_the_second_endpoint_too(app, bench, unused_tcp_port_factory):
    app.answers = [app.reply({"actions": [{"type": "hangup"}]})]
    nobody = f"http://127.0.0.1:{unused_tcp_port_factory()}/"
    settings = {"copy_url": app.url, "copy_secrets": (SecretStr(OTHER_SECRET),), "schedule_s": (3_600,)}
    async with running(bench, reply_deadline_s=0.1, **settings) as service:
        line = service.line(nobody)
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        await service.settled("delivered", "delivered", table="copies")
        line.lane.close()
        await line.running
        assert line.of(Replied) == []
    assert app.sequences == [1, 2]
    for request in app.requests:
        assert Webhook(OTHER_SECRET).verify(request.body, request.headers)["sequence"] == request.sequence
    assert [s for (s,) in bench.look("select state from events")] == ["pending"] * 2
    assert {error for (error, url) in attempts(bench, "error", "copy_url") if url} == {None}


async def test_the_second_endpoint_holds_nothing_up(app, bench):
    """It hangs, and the first endpoint has everything all the same."""
    app.answers = [app.hang]
    first = type(app)([app.reply()])
    server = web.Application()
    server.router.add_post("/", first.handle)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with running(bench, copy_url=app.url, background_timeout_s=1_000, schedule_s=(3_600,)) as service:
        line = service.line(url)
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        for number in (2, 3):
            await line.lane.post(bench.live(number))
        await line.wait_for(Replied, 3)
        assert app.in_flight == 1, "nor does a call's next event cut it off"
        line.lane.close()
        await line.running
        assert bench.look("select state from copies order by id") == [("pending",)] * 3
    await runner.cleanup()
    assert first.sequences == [1, 2, 3]
    assert app.sequences == [1]
