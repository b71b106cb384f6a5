"""What live watchers cost: publishing, the delay that calls feel, and the loop's time, by how many watch over real sockets."""

import argparse
import asyncio
import json
import multiprocessing
import resource
import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

import uvloop
from aiohttp import web

from voicebot import live
from voicebot.config import LiveSettings
from voicebot.web.api.stream import StreamDoors
from voicebot.wire.live_json import encode

TICK_S = 0.005
"""How often an imaginary call wants the loop."""
BURST = 5_000
"""Events published in a row to time one."""
SETTLE_S = 1.0
"""From the last byte sent to counting what arrived."""
SPARE_FILES = 200
RECEIVE_BYTES = 262_144
CALLS = 100


class Result(NamedTuple):
    """One row."""

    watchers: int
    publish_us: float
    """Of one event, while so many watch."""
    cpu: float
    """Share of one core that the process took during the load."""
    late_p50_ms: float
    """How much later than it wanted the imaginary call had the loop."""
    late_p99_ms: float
    late_max_ms: float
    shown_p50_ms: float
    """From publishing to being visible to watchers."""
    complete: bool
    """Nobody was dropped, and all bytes arrived."""


def read_along(port: int, count: int, pipe: Connection) -> None:
    """Be `count` watchers in a process of their own: read and throw away, until told to stop."""
    selector = selectors.DefaultSelector()
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        client.setblocking(False)  # noqa: FBT003 - the standard library's signature
        selector.register(client, selectors.EVENT_READ)
    selector.register(pipe, selectors.EVENT_READ)
    pipe.send(count)
    received = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is pipe:
                pipe.send(received)
                return
            data = _receive(key)
            received += len(data)
            if not data:
                selector.unregister(key.fileobj)


def _receive(key: selectors.SelectorKey) -> bytes:
    assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type checker
    return key.fileobj.recv(RECEIVE_BYTES)


def event(number: int) -> live.LiveEvent:
    """Return partial words, the commonest event."""
    words = "I would like to order two large pizzas with mushrooms, please"
    return live.Partial(f"CA{number % CALLS:032}", "caller", words[: number % len(words)], " and")


async def ticks(seconds: float) -> list[float]:
    """Want the loop every few milliseconds, as a call does; return how late that was each time, in milliseconds."""
    loop, late = asyncio.get_running_loop(), list[float]()
    wanted = loop.time()
    end = wanted + seconds
    while wanted < end:
        wanted += TICK_S
        await asyncio.sleep(wanted - loop.time())
        late.append((loop.time() - wanted) * 1_000)
        wanted = max(wanted, loop.time() - TICK_S)
    return late


async def load(hub: live.Live, rate: int, seconds: float) -> list[float]:
    """Publish `rate` events a second; return how long some took to become visible, in milliseconds."""
    loop, shown, pending = asyncio.get_running_loop(), list[float](), list[tuple[int, float]]()
    begin, number = loop.time(), 0
    while (now := loop.time()) < begin + seconds:
        while number < (now - begin) * rate:
            hub.publish(event(number))
            number += 1
        pending.append((hub.last, now))
        await asyncio.sleep(TICK_S)
        shown += [(loop.time() - at) * 1_000 for last, at in pending if last <= hub.visible]
        pending = [(last, at) for last, at in pending if last > hub.visible]
    return shown


def encoded(sizes: list[int], event: live.LiveEvent, at: datetime) -> bytes:
    """Encode as the service does, and note how many bytes each watcher must get for it."""
    line = encode(event, at)
    sizes.append(len(line))
    return line


def publish_us(hub: live.Live) -> float:
    """Time one event of many in a row: the loop has no turn meanwhile, so this is what a call pays."""
    events = [event(number) for number in range(BURST)]
    begin = time.perf_counter()
    for each in events:
        hub.publish(each)
    return (time.perf_counter() - begin) / BURST * 1e6


@contextmanager
def readers(port: int, count: int) -> Iterator[Connection]:
    """Run the watchers' process."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=read_along, args=(port, count, theirs))
    process.start()
    yield ours
    process.join()


async def measure(count: int, rate: int, seconds: float) -> Result:
    """Serve, let so many watch, and publish."""
    settings = LiveSettings(readers=count)
    sizes = list[int]()
    hub = live.Live(settings.history, encode=partial(encoded, sizes))
    doors = StreamDoors(hub, list, settings)
    application = web.Application()
    application.add_routes([web.get("/events", doors.all_calls)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=count + 1)
    await site.start()
    with readers(site.port, count) as pipe:
        await asyncio.to_thread(pipe.recv)
        while hub.watchers < count:  # noqa: ASYNC110 - the last of them comes when it comes
            await asyncio.sleep(TICK_S)
        cpu, begin = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            ticking, loading = group.create_task(ticks(seconds)), group.create_task(load(hub, rate, seconds))
        share = (time.process_time() - cpu) / (time.perf_counter() - begin)
        stayed, cost = hub.watchers == count, publish_us(hub)
        await doors.close()
        while hub.watchers:  # noqa: ASYNC110 - as above
            await asyncio.sleep(TICK_S)
        await asyncio.sleep(SETTLE_S)
        pipe.send(None)
        received = await asyncio.to_thread(pipe.recv)
    await runner.cleanup()
    complete = stayed and received >= count * sum(sizes)
    late = statistics.quantiles(ticking.result(), n=100)
    shown = statistics.median(loading.result()) if count else 0.0
    return Result(count, cost, share, late[49], late[98], max(ticking.result()), shown, complete)


def main() -> None:
    """Print one row per number of watchers; `--json` keeps them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, nargs="+", default=[0, 1, 100, 1_000, 3_000])
    parser.add_argument("--rate", type=int, default=500, help="events a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", help="also write the rows to this file")
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{arguments.rate} events a second for {arguments.seconds:g} s, watchers in another process")
    print(" ".join(f"{name:>12}" for name in Result._fields))
    rows = []
    for count in arguments.watchers:
        if count + SPARE_FILES > most:
            print(f"{count}: only {most} files may be open")
            continue
        row = uvloop.run(measure(count, arguments.rate, arguments.seconds))
        rows.append(row._asdict())
        print(
            " ".join(f"{value:>12.3g}" if isinstance(value, float) else f"{value!s:>12}" for value in row), flush=True
        )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path as given
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
