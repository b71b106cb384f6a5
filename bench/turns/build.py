"""Makes the labelled set of turns again from the recordings named in SOURCES.md."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    runpy.run_module("turns.making", run_name="__main__")
