"""The recorded human speech that comes with the package, with its words."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files("voicebot.local"))) / "speech"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: 8 kHz mono WAV."""

    id: str
    path: Path
    text: str
    seconds: float


def clips(wanted: Iterable[str]) -> list[Clip]:
    """Return the clips with these ids, in this order."""
    with (FOLDER / "clips.tsv").open(encoding="utf-8", newline="") as table:
        known = {
            row["id"]: Clip(row["id"], FOLDER / row["file"], row["text"], float(row["seconds"]))
            for row in csv.DictReader(table, delimiter="\t")
        }
    return [known[each] for each in wanted]
