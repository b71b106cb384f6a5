"""Readers of live events that do not read: calls never notice, memory is bounded, the readers are cut off and counted."""

import asyncio
import socket

from voicebot import live

TOKEN = "a-token-that-is-long-enough"
API = {"tokens": [{"name": "me", "token": TOKEN, "scopes": ["watch"]}]}
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
READERS = 5
SIZE = 8_000
HISTORY = 4_000


async def stalled(h, path):
    """A browser tab that sleeps: it has asked, and reads nothing."""
    connection = socket.create_connection(("127.0.0.1", h.service.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    await asyncio.to_thread(connection.sendall, head.encode())
    return connection


async def watching(h, count):
    async with asyncio.timeout(20):
        while h.service.live.watchers != count:
            await asyncio.sleep(0.01)


async def test_calls_do_not_notice_and_the_reader_is_cut_off(house, level):
    h = await house(HELLO, api=API, live={"write_timeout_s": 0.3, "history": HISTORY})
    answer = {"actions": [{"type": "say", "text": "An answer."}, {"type": "listen", "expect": {"digits": 1}}]}
    h.app.on("turn.completed", answer)
    h.app.on("digits.completed", answer)
    phone = h.dial(pace=1.0)
    await h.app.until("speech.finished")
    own = h.service.live.watchers
    async with level():
        readers = [await stalled(h, path) for path in ("/events", f"/calls/{phone.sid}/events") * READERS]
        await watching(h, own + len(readers))
        words = "x" * SIZE
        while h.service.live.watchers > own:
            h.service.live.publish(live.Trouble(phone.sid, words))
            await asyncio.sleep(0.001)
            assert len(h.service.live._history.all.entries) <= HISTORY
        dropped = [h.metric("live_readers_dropped_total", why=why) for why in ("slow", "behind")]
        assert sum(dropped) == len(readers)
        phone.press("1")
        await h.app.until("digits.completed")
        await h.app.until("speech.finished", 2)
        for reader in readers:
            reader.close()
    report = await phone.hang_up()
    assert report.notes == []
    await h.empty()
    assert [event["sequence"] for event in h.app.events] == list(range(1, len(h.app.events) + 1))
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"
