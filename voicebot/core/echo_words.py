"""Whether the recogniser heard the bot's own voice: words that the bot has just been saying."""

from collections.abc import Sequence

from voicebot.core.words import words

SURE_WORDS = 4
"""Fewer words may be an answer that repeats the question, and are an echo only as the bot's whole statement."""
WORDS_PER_ERROR = 5
"""One word in so many may be wrong, missing or added: 80 % are the bot's."""
LEAST_CUT = 2
"""What is left of a word that was cut at either end, in letters."""


def is_echo(heard: str, said: str, *, least_words: int = 2) -> bool:
    """Is what was heard (almost) a stretch of what the bot said?

    At least `least_words` words; of five words one may differ, and the first and the last may be cut ("pointment is on
    Mon"). To swallow an answer is worse than to let an echo pass, so up to three words are an echo only when they are
    all that the bot said and that was no question: after "Would you like the first one or the second one?", "the first
    one" is an answer, and after "Tuesday?" so is "Tuesday". A caller who repeats four words or more of the bot's in a
    row is taken for an echo.

    The cost is a handful of integer operations per word said.
    """
    ours, theirs = words(said), words(heard)
    if len(theirs) < max(1, least_words):
        return False
    if len(theirs) < SURE_WORDS:
        return theirs == ours and "?" not in said and "\uff1f" not in said
    return _least_errors(theirs, ours) <= len(theirs) // WORDS_PER_ERROR


def _least_errors(pattern: Sequence[str], text: Sequence[str]) -> int:
    """Edit distance in words between `pattern` and the stretch of `text` that is most like it.

    Myers' bit-vector algorithm (Journal of the ACM 46, 1999): one column of the table of distances is two integers,
    whose bits say where it rises (`up`) and falls (`down`) from one pattern word to the next.
    """
    last = 1 << (len(pattern) - 1)
    every = (last << 1) - 1
    places = _places(pattern)
    up, down, errors = every, 0, len(pattern)
    least = errors
    for word in text:
        equal = places.get(word, 0) | _cut(pattern, word, last)
        diagonal = ((((equal & up) + up) ^ up) | equal | down) & every
        rise = down | (every & ~(diagonal | up))
        fall = up & diagonal
        errors += bool(rise & last) - bool(fall & last)
        least = min(least, errors)
        # No bit is shifted in: a stretch may begin at any word of the text, at no cost.
        rise, fall = (rise << 1) & every, (fall << 1) & every
        up = fall | (every & ~(diagonal | rise))
        down = rise & diagonal
    return least


def _places(pattern: Sequence[str]) -> dict[str, int]:
    """For every word the bits of its places in the pattern."""
    places: dict[str, int] = {}
    for at, word in enumerate(pattern):
        places[word] = places.get(word, 0) | 1 << at
    return places


def _cut(pattern: Sequence[str], word: str, last: int) -> int:
    """The first word heard may be the end of a word said, the last its beginning."""
    first_fits = len(pattern[0]) >= LEAST_CUT and word.endswith(pattern[0])
    last_fits = len(pattern[-1]) >= LEAST_CUT and word.startswith(pattern[-1])
    return (1 if first_fits else 0) | (last if last_fits else 0)
