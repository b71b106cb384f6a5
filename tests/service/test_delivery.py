"""The whole service delivers what was not taken at once, after the call and after a restart."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from aiohttp import web

from voicebot.local.phone.scenario import HangUp
from voicebot.store import CallRow, EventRow
from voicebot.store.database import open_engine
from voicebot.store.writes import Statements
from voicebot.wire.webhook import encode
from voicebot.wire.webhook_data import CallInfo, NoInputData
from voicebot.wire.webhook_events import NoInputEvent

SOON = {"schedule_s": [0.05] * 20}


async def test_the_last_event_of_a_call_comes_once_the_application_can_take_it(house):
    h = await house(webhook=SOON)
    busy = iter([True, True, False])
    h.app.on("call.ended", lambda _: web.Response(status=503 if next(busy, False) else 204))
    await h.call(HangUp())
    await h.app.until("call.ended", 3)
    assert len(h.app.of("call.ended")) == 1, "the same id each time"
    assert h.app.types[-1] == "call.ended"


async def test_a_service_delivers_what_an_earlier_one_left(house, blank_store):
    now = datetime.now(UTC)
    call = CallInfo(id="CAold", from_="+15550101", to="+15550100", direction="inbound", started_at=now)
    event = NoInputEvent(id="evt_old", sequence=3, created_at=now, call=call, data=NoInputData(count=1))
    quiet = await house(serve=False)
    file = blank_store.with_name("left.db")
    with closing(sqlite3.connect(blank_store)) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        numbers = {"from_number": "+15550101", "to_number": "+15550100", "direction": "inbound", "mode": "bot"}
        given = {"type": event.type, "wants_reply": True, "url": quiet.app.url, "body": encode(event)}
        row = EventRow(id=event.id, call_id="CAold", sequence=3, created_at=now, **given)
        Statements(engine.dialect).execute(connection, [CallRow(id="CAold", started_at=now, **numbers), row])
    engine.dispose()
    await house(store={"url": f"sqlite:///{file}"}, webhook=SOON)
    await quiet.app.until("no_input", call="CAold")
    assert quiet.app.of("no_input")[0]["id"] == "evt_old"
