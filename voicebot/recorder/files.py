"""The files of recordings: appended to in a thread, read at leisure."""

import gzip
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from voicebot.core.recording import End, Head, Line, Recording
from voicebot.errors import ConfigurationError
from voicebot.wire.recording import RecordingError, encode, read

MAX_NAMESAKES = 1_000
"""Recordings of one call, should the service be started again within it."""
CUT = "replace"
"""A last line that was cut may end in the middle of a letter."""
MODE = 0o600
"""What callers say is for the owner alone."""


class Full(Exception):  # noqa: N818 - no error, but the end that the settings ask for
    """The file has its full size."""


class File:
    """One file; all but `close` belong to the writing thread."""

    def __init__(self, directory: Path, call: str, limit: int) -> None:
        # The name comes from the carrier: it may not lead out of the directory.
        self._path = directory / (re.sub(r"[^A-Za-z0-9_-]", "_", call) or "call")
        self._limit, self._written = limit, 0
        self._file: BinaryIO | None = None
        self.forsaken = False
        """Nobody waits any more for a write under way: the thread closes the file."""

    def write(self, lines: Sequence[Line]) -> None:
        """Append; raises OSError, and Full once the file has its full size."""
        self._file = self._file or self._create()
        data = bytearray()
        full = False
        for line in lines:
            text = encode(line).encode(errors="backslashreplace")
            full = self._written + len(data) + len(text) > self._limit
            if full:
                data += encode(End(0 if isinstance(line, Head) else line.t_ms, "full")).encode()
                break
            data += text
        self._file.write(data)
        self._file.flush()
        self._written += len(data)
        if self.forsaken:
            self._file.close()
        if full:
            raise Full(f"it has reached {self._limit} bytes (VOICEBOT_RECORD__MAX_BYTES_PER_CALL)")

    def close(self) -> None:
        """Close the file."""
        if self._file:
            with suppress(OSError):  # what a full disk did not take was told when it was written
                self._file.close()

    def _create(self) -> BinaryIO:
        for number in range(1, MAX_NAMESAKES + 1):
            path = self._path.with_name(f"{self._path.name}{'' if number == 1 else f'-{number}'}.jsonl")
            try:
                return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, MODE), "ab")
            except FileExistsError:
                continue
        raise OSError(f"there are {MAX_NAMESAKES} recordings of this call already")


def write_all(batches: Sequence[tuple[File, Sequence[Line]]]) -> list[str]:
    """Write each batch to its file; return for each what went wrong, or nothing."""
    faults = []
    for file, lines in batches:
        try:
            file.write(lines)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may cost this recording and nothing else
            faults.append(str(error) or type(error).__name__)
        else:
            faults.append("")
    return faults


def load(path: Path) -> Recording:
    """Return the recording in a `.jsonl` or `.jsonl.gz` file; raises RecordingError, which names the file."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8", errors=CUT) as packed:
                return read(packed)
        with path.open(encoding="utf-8", errors=CUT) as plain:
            return read(plain)
    except (OSError, EOFError) as error:
        raise RecordingError(f"{path}: {error}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None


def prepare(directory: Path) -> None:
    """Make the directory; raises ConfigurationError when that, or writing to it, is not possible."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"VOICEBOT_RECORD__DIRECTORY: {error}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigurationError(f"VOICEBOT_RECORD__DIRECTORY: {directory} cannot be written to")
