"""The sound of recorded calls: found, mixed in a thread, sent in parts."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from voicebot.config import RecordSettings
from voicebot.core.recording import Line
from voicebot.web.api.handler import Handler
from voicebot.web.api.problems import Refused, not_found
from voicebot.wire.recording import RecordingError, decode
from voicebot.wire.wav import StereoSound

MIXING = 2
"""Recordings mixed at a time."""
HEARD_AT_ONCE = 20
"""Recordings held in memory, each with a megabyte for a minute of the call; further ones are refused."""
WRITE_TIMEOUT_S = 30.0
"""A player that takes nothing for so long is cut off; it may ask for the rest (`Range`)."""
PART_BYTES = 262_144
_WANTED = re.compile(r'\{"type": ?"(?:head|leg|audio|bot_[a-z]+)"')
"""How the lines begin that hold sound; the others need not be read."""


class Recordings:
    """The directory of the recorder (`record.directory`)."""

    def __init__(self, settings: RecordSettings) -> None:
        self._directory = Path(settings.directory) if settings.directory else None
        self._mixing = asyncio.Semaphore(MIXING)
        self._heard = 0

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by their operation."""
        return {"show_recording": self.show}

    async def find(self, call_id: str) -> Path | None:
        """Return the file of a call, None when it was not recorded."""
        return await asyncio.to_thread(lambda: next(self._files(call_id), None))

    async def delete(self, call_id: str) -> None:
        """Delete what was recorded of a call."""
        await asyncio.to_thread(self._unlink, call_id)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """`GET /calls/{id}/recording`."""
        call_id = request.match_info["id"]
        path = await self.find(call_id)
        if path is None:
            raise not_found("recording of call", call_id)
        if self._heard >= HEARD_AT_ONCE:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many recordings are being heard: try again later"
            )
        self._heard += 1
        try:
            sound = await self._mixed(path)
            if sound is None or sound.silent:
                raise not_found("sound in the recording of call", call_id)
            return await _send(request, sound)
        finally:
            self._heard -= 1

    async def _mixed(self, path: Path) -> StereoSound | None:
        """Return the sound in a file, None when it cannot be read."""
        async with self._mixing:
            try:
                return await asyncio.to_thread(_mix, path)
            except (OSError, RecordingError):
                return None

    def _unlink(self, call_id: str) -> None:
        for path in self._files(call_id):
            path.unlink(missing_ok=True)

    def _files(self, call_id: str) -> Iterator[Path]:
        """Yield the files of a call; its name may not lead out of the directory, as where they are written."""
        if self._directory is None:
            return
        name = re.sub(r"[^A-Za-z0-9_-]", "_", call_id) or "call"
        for path in sorted(self._directory.glob(f"{name}*.jsonl")):
            if re.fullmatch(rf"{name}(?:-[0-9]+)?", path.stem) and _is_of(path, call_id):
                yield path


def _is_of(path: Path, call_id: str) -> bool:
    """Different calls may share a name once their letters are made harmless."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            head = decode(lines.readline())
    except (OSError, RecordingError):
        return False
    return getattr(head, "call", None) == call_id


def _mix(path: Path) -> StereoSound:
    with path.open(encoding="utf-8", errors="replace") as lines:
        return StereoSound(_sound_lines(lines))


def _sound_lines(lines: Iterator[str]) -> Iterator[Line]:
    """Yield what can be read; the last line of a call that lives, or was cut off, may not be whole."""
    for line in lines:
        if _WANTED.match(line):
            try:
                yield decode(line)
            except RecordingError:
                return


async def _send(request: web.Request, sound: StereoSound) -> web.StreamResponse:
    start, stop, status = _range(request, sound.size)
    response = web.StreamResponse(status=status, headers={"Content-Type": "audio/wav", "Accept-Ranges": "bytes"})
    response.content_length = stop - start
    if status == HTTPStatus.PARTIAL_CONTENT:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{sound.size}"
    await response.prepare(request)
    try:
        for at in range(start, stop, PART_BYTES):
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await response.write(sound.part(at, min(at + PART_BYTES, stop)))
        await response.write_eof()
    except TimeoutError:
        if request.transport:
            request.transport.abort()
    return response


def _range(request: web.Request, size: int) -> tuple[int, int, int]:
    """Return (start, stop, status) of what is asked for (RFC 9110, range requests); several ranges get the whole."""
    header = request.headers.get("Range", "")
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", header.strip())
    if match is None or not any(match.groups()):
        return 0, size, HTTPStatus.OK
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        detail = f"there are {size} bytes"
        raise Refused(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "range", detail, headers={"Content-Range": f"bytes */{size}"}
        )
    return start, stop, HTTPStatus.PARTIAL_CONTENT
