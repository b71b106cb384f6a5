"""How the bench talks to its load tools: one word a line to them, one JSON object a line from them."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

type Commands = Mapping[str, Callable[[], Mapping[str, Any] | None]]


def tell(values: Mapping[str, Any]) -> None:
    """Send one answer."""
    print(json.dumps(values), flush=True)


def listen(commands: Commands, done: asyncio.Event) -> None:
    """Carry out commands as they come on standard input, and set `done` at its end."""
    descriptor, rest = sys.stdin.fileno(), bytearray()

    def on_readable() -> None:
        data = os.read(descriptor, 4_096)
        if not data:
            asyncio.get_running_loop().remove_reader(descriptor)
            done.set()
        rest.extend(data)
        while b"\n" in rest:
            line, _, left = bytes(rest).partition(b"\n")
            rest[:] = left
            answer = commands[line.decode().strip()]()
            if answer is not None:
                tell(answer)

    asyncio.get_running_loop().add_reader(descriptor, on_readable)


def no_collector() -> None:
    """Switch the garbage collector off: a tool lives for a minute, and its pauses would count as the service's."""
    gc.collect()
    gc.freeze()
    gc.disable()
