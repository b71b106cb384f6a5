"""The audio formats of a start request: containers by name, raw samples by width, sign and byte order."""

import re
from dataclasses import dataclass
from typing import Literal

CONTAINERS = frozenset({"auto", "aac", "aiff", "amr", "asf", "flac", "mp3", "ogg", "wav", "webm"})
RAW = re.compile(r"(?:pcm_)?(?P<kind>[suf])(?P<bits>8|16|24|32|64)(?P<order>le|be)?")
"""`s16le` without `pcm_` is an old alias that clients still send."""
WIDTHS = {"s": (8, 16, 24, 32), "u": (8, 16, 24, 32), "f": (32, 64)}

type Encoding = Literal["signed", "unsigned", "float", "mulaw", "alaw"]
ENCODINGS: dict[str, Encoding] = {"s": "signed", "u": "unsigned", "f": "float"}


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How one sample is written."""

    encoding: Encoding
    width: int
    """Bytes per sample."""
    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a client says it will send; `sample` is None for a container, which says the rest itself."""

    name: str
    sample: SampleFormat | None = None
    rate: int = 0
    channels: int = 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample on all channels; 0 for a container."""
        return self.sample.width * self.channels if self.sample else 0


def raw_format(name: str) -> SampleFormat | None:
    """The sample format of a raw name such as `mulaw` or `pcm_s24be`; None when there is no such format."""
    if name in {"mulaw", "alaw"}:
        return SampleFormat("mulaw" if name == "mulaw" else "alaw", 1)
    match = RAW.fullmatch(name)
    if match is None:
        return None
    kind, bits, order = match["kind"], int(match["bits"]), match["order"]
    if bits not in WIDTHS[kind] or (order is None) != (bits == 8):  # noqa: PLR2004 - one byte has no order
        return None
    return SampleFormat(ENCODINGS[kind], bits // 8, order == "be")
