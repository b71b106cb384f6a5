"""The callers in one process: they dial as Twilio does and then send 50 frames a second each."""

import argparse
import asyncio
import time
from array import array
from collections.abc import Mapping
from typing import Any

import control
import figures
import listeners
import uvloop
from dialling import dial
from line import Caller, DialError
from pacing import Pacer


class Phones:
    """All lines, from the first ring to hanging up."""

    def __init__(self, caller: Caller, calls: int, rate: float, watch_token: str) -> None:
        self._caller, self._calls, self._rate, self._watch_token = caller, calls, rate, watch_token
        self._watched = listeners.Count()
        self._pacer = Pacer(calls)
        self._setups = array("d")
        self._failed: list[str] = []
        self._took_s = 0.0
        self._began_cpu_s = 0.0

    async def dial_all(self) -> None:
        """Dial `rate` calls a second, and tell when all are through or have failed."""
        self._pacer.start()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(self._calls):
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
                group.create_task(self._dial(number))
        self._took_s = time.monotonic() - began
        control.tell({"connected": self._connected(), "failed": len(self._failed), "why": self._failed[:3]})

    def commands(self) -> control.Commands:
        """Return what can be asked of the phones."""
        return {"record": self._record, "rest": self._rest, "hang_up": self._hang_up, "report": self._report}

    async def _dial(self, number: int) -> None:
        began = time.monotonic()
        try:
            line = await dial(self._caller, number)
        except (DialError, OSError) as error:
            self._failed.append(str(error) or type(error).__name__)
            return
        self._setups.append((time.monotonic() - began) * 1_000)
        self._pacer.put(number, line)
        if self._watch_token and number % listeners.EVERY == 0:
            await listeners.watch(self._caller.voice_url, line.call_id, self._watch_token, self._watched)

    def _connected(self) -> int:
        return sum(line is not None for line in self._pacer.lines)

    def _record(self) -> Mapping[str, Any]:
        self._began_cpu_s, self._pacer.recording = time.process_time(), True
        return {}

    def _rest(self) -> Mapping[str, Any]:
        self._pacer.recording = False
        return {"cpu_s": time.process_time() - self._began_cpu_s}

    def _hang_up(self) -> Mapping[str, Any]:
        for line in self._pacer.lines:
            if line:
                line.hang_up()
        return {}

    def _report(self) -> Mapping[str, Any]:
        lines = [line for line in self._pacer.lines if line]
        return {
            "frames": sum(line.sent for line in lines),
            "lost_lines": sum(line.lost for line in lines),
            "watched_events": self._watched.events,
            "not_watched": len(self._watched.refused),
            "speech_ms": sum(line.heard_ms for line in lines),
            "setup_ms": figures.spread(self._setups),
            "setup_per_second": round(len(lines) / self._took_s, 1) if self._took_s else 0.0,
            "late_ms": figures.spread(self._pacer.late),
        }


async def main(arguments: argparse.Namespace) -> None:
    """Dial, send, and hang up when told; end with standard input."""
    caller = Caller(arguments.voice_url, arguments.auth_token, arguments.speech_ms, arguments.pause_ms)
    phones = Phones(caller, arguments.calls, arguments.rate, arguments.watch_token)
    done = asyncio.Event()
    control.listen(phones.commands(), done)
    control.no_collector()
    await phones.dial_all()
    await done.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice-url", required=True)
    parser.add_argument("--auth-token", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--speech-ms", type=int, required=True)
    parser.add_argument("--pause-ms", type=int, required=True)
    parser.add_argument("--watch-token", default="", help="watch every tenth call")
    uvloop.run(main(parser.parse_args()))
