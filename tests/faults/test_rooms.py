"""A room that breaks while a call is live: the service stops and says why, instead of going on without it."""

import asyncio

import pytest

from voicebot import live
from voicebot.app import running
from voicebot.call.registry import Calls
from voicebot.courier import Courier
from voicebot.recorder import Recorder
from voicebot.store import Retention, Store
from voicebot.tts import Voices

STOPS_S = 40
"""Calls that end have as long as a flush and a reply may take."""
QUICK = {"soniox": {"finish_timeout_s": 0.5}, "webhook": {"reply_deadline_s": 1}, "record": {"directory": ""}}


class PlantedError(Exception):
    pass


def breaking(room, broken):
    sound = room.run

    async def run(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(sound(self))
            await broken.wait()
            raise PlantedError(room.__name__)

    return run


@pytest.mark.timeout(90)
@pytest.mark.parametrize("room", [Calls, Courier, Recorder, Retention, Store, Voices])
async def test_it_stops_the_service_loudly(house, monkeypatch, room):
    h = await house(serve=False, **QUICK)
    broken, stopped = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(room, "run", breaking(room, broken))

    async def serve():
        try:
            with pytest.RaisesGroup(pytest.RaisesExc(PlantedError), flatten_subgroups=True):
                async with running(h.settings) as service:
                    h.port = service.port
                    with service.live.watch() as watcher:
                        async for event in watcher:
                            h.seen.add(event)
        finally:
            stopped.set()

    serving = asyncio.create_task(serve())
    while not h.port:
        await asyncio.sleep(0.01)
    phone = h.dial()
    await h.live(live.StreamOpened)
    broken.set()
    async with asyncio.timeout(STOPS_S):
        await stopped.wait()
        await serving
        await phone.report()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", h.port)
