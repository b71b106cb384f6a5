"""The pace of the callers: one timer for all lines, each of which has its own millisecond of the 20."""

import asyncio
import ctypes
import os
import time
from array import array
from collections.abc import Callable

import pump
import stamps
from line import LINE_NOISE, SPEECH, Line

SLOTS = stamps.FRAME_MS
SLOT_NS = 1_000_000
"""Lines are dealt out to the milliseconds of a frame.

Finer slots wake the phones for every single frame, which costs them more than the frame itself; coarser ones would send
bursts that no carrier sends.
"""

_NOBODY = ctypes.POINTER(pump.State)()


class Pacer:
    """Sends the frames of all lines when they are due."""

    def __init__(self, places: int) -> None:
        self.lines: list[Line | None] = [None] * places
        """By place: line 0 has the first millisecond, line 1 the second, line 20 the first again."""
        self.late = array("d")
        """Milliseconds from when a frame was due to when it was stamped, while `recording`."""
        self.recording = False
        self._began_ns = self._turn = 0
        self._send_due = pump.load()
        self._states = (ctypes.POINTER(pump.State) * places)()
        self._noise = b"".join(SPEECH), b"".join(LINE_NOISE)
        self._late = (ctypes.c_double * places)()
        self._sent = ctypes.c_int()

    def start(self) -> None:
        """Begin; lines may be put in their places at any time."""
        self._began_ns = time.monotonic_ns()
        timer = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK)
        os.timerfd_settime_ns(timer, initial=SLOT_NS, interval=SLOT_NS)
        asyncio.get_running_loop().add_reader(timer, self._tick, timer)

    def put(self, place: int, line: Line | None) -> None:
        """Give a place to a line, or free it."""
        self.lines[place] = line
        self._states[place] = ctypes.pointer(line.state) if line else _NOBODY

    def _tick(self, timer: int) -> None:
        os.read(timer, 8)
        while (due_ns := self._began_ns + self._turn * SLOT_NS) <= time.monotonic_ns():
            slot = self._turn % SLOTS
            if self._send_due is None or self._send_in_c(self._send_due, slot, due_ns):
                self._send(slot, due_ns)
            self._turn += 1

    def _send_in_c(self, send_due: Callable[..., int], slot: int, due_ns: int) -> int:
        """Send what C may send; return how many lines are left."""
        left = send_due(
            *(self._states, slot, len(self.lines), SLOTS, *self._noise),
            *(ctypes.c_uint64(due_ns), self._late, ctypes.byref(self._sent)),
        )
        if self.recording:
            self.late.extend(self._late[: self._sent.value])
        return left

    def _send(self, slot: int, due_ns: int) -> None:
        for line in self.lines[slot::SLOTS]:
            if line and (self._send_due is None or line.state.status in {pump.BUSY, pump.STUCK}):
                now_ns = time.monotonic_ns()
                line.send_frame(now_ns)
                if self.recording:
                    self.late.append((now_ns - due_ns) / 1e6)
