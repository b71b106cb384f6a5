"""The sending of frames in C, compiled on the spot: it leaves the core to more calls than Python can speak for."""

import ctypes
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("pump.c")
IDLE, READY, BUSY, STUCK = range(4)
"""Nothing is to be sent; `pump.c` may send; something waits on the connection, so Python sends; Python gets what is left."""


class State(ctypes.Structure):
    """What Python and C know together of a line (`struct line`)."""

    _fields_ = (
        ("fd", ctypes.c_int32),
        ("status", ctypes.c_int32),
        ("call", ctypes.c_uint32),
        ("sent", ctypes.c_uint32),
        ("begun", ctypes.c_uint32),
        ("round", ctypes.c_uint32),
        ("spoken", ctypes.c_uint32),
        ("left", ctypes.c_uint32),
        ("stream", ctypes.c_char * 36),
        ("unsent", ctypes.c_ubyte * 512),
    )

    def unsent_bytes(self) -> bytes:
        """Return the rest of a message that C could send in part only."""
        return bytes(self.unsent[: self.left])


class NotPossibleError(Exception):
    """C cannot be used here; the text says why."""


@functools.cache
def load() -> Callable[..., int] | None:
    """Return `send_due` of `pump.c`; None, and a word about it on standard error, where that is not possible."""
    try:
        return _compiled()
    except NotPossibleError as error:
        print(f"bench: {error}; the phones send from Python, at twice the cost", file=sys.stderr)
        return None


def _compiled() -> Callable[..., int]:
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotPossibleError("there is no C compiler (cc)")
    with tempfile.TemporaryDirectory(prefix="voicebot-bench-") as folder:
        library = Path(folder) / "pump.so"
        words = (compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE))
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode:
            raise NotPossibleError(f"pump.c does not compile: {done.stderr}")
        try:
            send_due: Callable[..., int] = ctypes.CDLL(str(library)).send_due
        except OSError as error:
            raise NotPossibleError(f"pump.c cannot be loaded: {error}") from None
    return send_due  # it stays loaded when its file is gone
