"""The pace of the callers: one timer for all lines, each of which has its own millisecond of the 20."""

import asyncio
import os
import time
from array import array
from dataclasses import dataclass, field

import stamps
from line import Line

SLOTS = stamps.FRAME_MS
SLOT_NS = 1_000_000
"""Lines are dealt out to the milliseconds of a frame.

Finer slots wake the phones for every single frame, which costs them more than the frame itself; coarser ones would send
bursts that no carrier sends.
"""


@dataclass(slots=True)
class Pacer:
    """Sends the frames of all lines when they are due."""

    places: int
    lines: list[Line | None] = field(default_factory=list[Line | None])
    """By place: line 0 has the first millisecond, line 1 the second, line 20 the first again."""
    late: "array[float]" = field(default_factory=lambda: array("d"))
    """Milliseconds from when a frame was due to when it was stamped, while `recording`."""
    recording: bool = False
    _began_ns: int = 0
    _turn: int = 0

    def start(self) -> None:
        """Begin; lines may be put in their places at any time."""
        self.lines = [None] * self.places
        self._began_ns = time.monotonic_ns()
        timer = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK)
        os.timerfd_settime_ns(timer, initial=SLOT_NS, interval=SLOT_NS)
        asyncio.get_running_loop().add_reader(timer, self._tick, timer)

    def _tick(self, timer: int) -> None:
        os.read(timer, 8)
        while (due_ns := self._began_ns + self._turn * SLOT_NS) <= time.monotonic_ns():
            self._send(due_ns)
            self._turn += 1

    def _send(self, due_ns: int) -> None:
        for line in self.lines[self._turn % SLOTS :: SLOTS]:
            if line:
                now_ns = time.monotonic_ns()
                line.send_frame(now_ns)
                if self.recording:
                    self.late.append((now_ns - due_ns) / 1e6)
