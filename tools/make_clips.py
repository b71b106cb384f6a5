"""Make the speech clips in voicebot/local/speech from Debian's package pocketsphinx-testdata."""

import argparse
import csv
import hashlib
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import audioop
import numpy as np
import soxr

PACKAGE = "pocketsphinx-testdata"
VERSION = "0.8+5prealpha+1-15"
SOURCE = Path("/usr/share/pocketsphinx/test/data")
TARGET = Path(__file__).parent.parent / "voicebot" / "local" / "speech"

SOURCE_RATE_HZ = 16_000
RATE_HZ = 8_000  # what a telephone carries
SAMPLE_BYTES = 2
COLUMNS = ("id", "file", "seconds", "text", "speaker", "source", "licence", "sha256")

AUSTEN = "sense_and_sensibility_01_austen_64kb"
PUBLIC_DOMAIN = "public domain (LibriVox), packaged under BSD-2-Clause"
BSD = "BSD-2-Clause"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of the package and the words that its transcript gives."""

    id: str
    source: str
    text: str
    speaker: str
    licence: str


def _austen(name: str, number: str, text: str) -> Clip:
    return Clip(f"austen_{name}", f"librivox/{AUSTEN}-{number}.wav", text, "librivox-reader", PUBLIC_DOMAIN)


def _card(name: str, number: str, text: str) -> Clip:
    return Clip(name, f"cards/{number}.wav", text, "cards-speaker", BSD)


CLIPS = (
    _austen(
        "leisure",
        "0870",
        "and mister john dashwood had then leisure to consider how much there might be prudently in his power"
        " to do for them",
    ),
    _austen("young_man", "0880", "he was not an ill disposed young man"),
    _austen("selfish", "0890", "unless to be rather cold hearted and rather selfish is to be ill disposed"),
    # The transcript has a slip here ("a more a amiable woman"); see NOTICE.md.
    _austen(
        "married",
        "0920",
        "had he married a more amiable woman he might have been made still more respectable than he was",
    ),
    _austen("amiable", "0930", "he might even have been made amiable himself"),
    Clip("go_forward", "goforward.raw", "go forward ten meters", "goforward-speaker", BSD),
    # Its file name says the words, in the code that tidigits/tidigits.lsn spells out ("z" is zero).
    Clip("five_digits", "tidigits/dhd.2934z.raw", "two nine three four zero", "dhd", BSD),
    _card("ten_of_clubs", "001", "ten of clubs"),
    _card("four_queen_of_clubs", "002", "four queen of clubs"),
    _card("seven_of_clubs", "003", "seven of clubs"),
    _card("five_five", "004", "five five"),
    _card("three_cards", "005", "eight of spades four of clubs seven of hearts"),
)


def read(path: Path) -> bytes:
    """Return the 16-bit mono samples of a WAV or headerless file, both at 16 kHz in this package."""
    if path.suffix == ".raw":
        return path.read_bytes()
    with wave.open(str(path)) as recording:
        form = (recording.getnchannels(), recording.getsampwidth(), recording.getframerate())
        if form != (1, SAMPLE_BYTES, SOURCE_RATE_HZ):
            raise SystemExit(f"{path}: expected mono, 16 bit, {SOURCE_RATE_HZ} Hz; found {form}")
        samples: bytes = recording.readframes(recording.getnframes())
    return samples


def telephone(samples: bytes) -> bytes:
    """Return the samples at 8 kHz, once through µ-law (ITU-T G.711), level untouched."""
    wide = np.frombuffer(samples, "<i2").astype(np.float64)
    narrow = soxr.resample(wide, SOURCE_RATE_HZ, RATE_HZ, quality="VHQ")
    pcm = np.clip(np.rint(narrow), -32_768, 32_767).astype("<i2").tobytes()
    heard: bytes = audioop.ulaw2lin(audioop.lin2ulaw(pcm, SAMPLE_BYTES), SAMPLE_BYTES)
    return heard


def write(path: Path, samples: bytes) -> None:
    """Write an 8 kHz mono 16-bit WAV."""
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(SAMPLE_BYTES)
        recording.setframerate(RATE_HZ)
        recording.writeframes(samples)


def make(source: Path, target: Path) -> Iterator[dict[str, str]]:
    """Write every clip into `target` and yield its row of clips.tsv."""
    for clip in CLIPS:
        samples = telephone(read(source / clip.source))
        path = target / f"{clip.id}.wav"
        write(path, samples)
        yield {
            "id": clip.id,
            "file": path.name,
            "seconds": f"{len(samples) / SAMPLE_BYTES / RATE_HZ:.3f}",
            "text": clip.text,
            "speaker": clip.speaker,
            "source": f"Debian {PACKAGE} {VERSION}: {clip.source}",
            "licence": clip.licence,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }


def main() -> None:
    """Write the clips and their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help=f"data folder of {PACKAGE} (default: %(default)s)")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder for the clips (default: the package's)")
    arguments = parser.parse_args()
    if not arguments.source.is_dir():
        raise SystemExit(f"{arguments.source}: no such folder; install it with: apt-get install {PACKAGE}")
    with (arguments.target / "clips.tsv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.DictWriter(table, COLUMNS, delimiter="\t", lineterminator="\n")
        rows.writeheader()
        for row in make(arguments.source, arguments.target):
            rows.writerow(row)
            print(f"{row['seconds']:>7} s  {row['file']}")


if __name__ == "__main__":
    main()
