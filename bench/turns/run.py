"""Scores turn policies on the recordings of the labelled set, in seconds and offline; `--record` makes them anew."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    runpy.run_module("turns.measure", run_name="__main__")
