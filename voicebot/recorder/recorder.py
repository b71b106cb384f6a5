"""Owns the recordings of all calls and writes them off the event loop."""

import asyncio
from pathlib import Path

from voicebot.config import RecordSettings
from voicebot.core.recording import Head
from voicebot.recorder.call import CallRecording, warn
from voicebot.recorder.files import File, prepare, write_all

WRITE_EVERY_S = 0.25
"""A crash costs so much of a recording."""
CLOSE_WAIT_S = 5.0
"""A disk that hangs holds up the end of the service no longer than this."""


class Recorder:
    """Owns the files; `run` writes what the calls hand over, a few times a second, in a thread.

    Raises ConfigurationError when the directory cannot be made or written to.
    """

    def __init__(self, settings: RecordSettings) -> None:
        self._settings = settings
        self._files: dict[CallRecording, File] = {}
        self._closing = asyncio.Event()
        self._writing = asyncio.Lock()
        if settings.directory:
            prepare(Path(settings.directory))

    def open(self, head: Head, at: float) -> CallRecording | None:
        """Begin a call's recording; None when calls are not recorded or the recorder is closing."""
        if not self._settings.directory or self._closing.is_set():
            return None
        recording = CallRecording(head, at, audio=self._settings.audio)
        self._files[recording] = File(Path(self._settings.directory), head.call, self._settings.max_bytes_per_call)
        return recording

    async def run(self) -> None:
        """Write until `close`; the disk is touched in a thread alone."""
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(WRITE_EVERY_S if self._settings.directory else None):
                    await self._closing.wait()
            except TimeoutError:
                await self._write()

    async def close(self) -> None:
        """Write what is left; recordings that are still open end without their last line."""
        self._closing.set()
        try:
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._write()
        except TimeoutError:
            for recording, file in self._files.items():
                file.forsaken = True
                warn(recording.call, f"the disk has not taken its end within {CLOSE_WAIT_S:g} s")
            return
        for recording in tuple(self._files):
            self._drop(recording)

    async def _write(self) -> None:
        async with self._writing:
            for lost in [each for each in self._files if each.lost]:
                self._drop(lost)
            # What is closed while the disk writes has lines left for the next time.
            batches = [(each, file, lines, each.closed) for each, file in self._files.items() if (lines := each.take())]
            if not batches:
                return
            faults = await asyncio.to_thread(write_all, [(file, lines) for _, file, lines, _ in batches])
            for (recording, _, _, whole), fault in zip(batches, faults, strict=True):
                if fault:
                    warn(recording.call, fault)
                if fault or whole:
                    self._drop(recording)

    def _drop(self, recording: CallRecording) -> None:
        recording.abandon()
        self._files.pop(recording).close()
