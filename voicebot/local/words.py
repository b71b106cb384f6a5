"""How many words are wrong?"""

import re

import jiwer


def error_rate(said: str, heard: str) -> float:
    """Return the word error rate of `heard` against `said`, without regard to case and punctuation."""
    return float(jiwer.wer(_plain(said), _plain(heard)))


def _plain(text: str) -> str:
    return re.sub(r"[^\w']+", " ", text.lower()).strip()
