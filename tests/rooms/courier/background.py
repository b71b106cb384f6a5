"""A courier that delivers in the background, and what it left in the database."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from voicebot.config import WebhookSettings
from voicebot.courier import Courier
from voicebot.store import CallRow, EventRow
from voicebot.wire.webhook import encode

from .conftest import DEADLINE_S, NOW, SECRET, Line


@dataclass
class Clock:
    """The wall clock of a courier, which the test moves."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@dataclass
class Service:
    """A courier that delivers in the background."""

    courier: Courier
    bench: object
    group: asyncio.TaskGroup

    async def put(self, url, *numbers, call="CA1", live=True, age_s=0, **more):
        """Keep events as a process that was killed left them."""
        make = self.bench.live if live else self.bench.info
        for number in numbers:
            event = make(number, call)
            row = EventRow(
                id=event.id,
                call_id=call,
                sequence=number,
                type=event.type,
                wants_reply=live,
                url=url,
                body=encode(event),
                created_at=NOW - timedelta(seconds=age_s),
                **more,
            )
            await self.bench.store.write(row)

    async def settled(self, *states, table="events"):
        """Wait until the events are in these states, in the order of sequence."""
        column = "id" if table == "events" else "event_id"
        async with asyncio.timeout(DEADLINE_S):
            while (seen := [s for (s,) in self.bench.look(f"select state from {table} order by {column}")]) != [
                *states
            ]:
                await asyncio.sleep(0.02)
        return seen

    def line(self, url, call="CA1"):
        """Open the lane of a call."""
        line = Line(None, self.bench.store)
        line.lane = self.courier.lane(call, url, [SecretStr(SECRET)], line.tell)
        line.running = self.group.create_task(line.lane.run())
        return line


@asynccontextmanager
async def running(bench, *, calls=("CA1",), **settings):
    """Run a courier's background over the bench's store."""
    known = {call_id for (call_id,) in bench.look("select id from calls")}
    for call_id in set(calls) - known:
        row = CallRow(id=call_id, from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=NOW)
        await bench.store.write(row)
    chosen = WebhookSettings(secrets=(SecretStr(SECRET),), **{"retry_waits_s": (0.01,), **settings})
    courier = Courier(chosen, bench.store, bench.session, **bench.courier)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        try:
            yield Service(courier, bench, group)
        finally:
            await courier.close()


def attempts(bench, *columns):
    return bench.look(f"select {', '.join(columns)} from deliveries order by id")


async def until(bench, query, wanted):
    async with asyncio.timeout(DEADLINE_S):
        while (rows := bench.look(query)) != wanted:
            await asyncio.sleep(0.02)
    return rows
