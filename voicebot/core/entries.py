"""What an `expect` makes of a turn's words and keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from voicebot.core.actions import Expect, ExpectKind
from voicebot.core.email_words import is_email, read_email
from voicebot.core.spelling import read_spelling
from voicebot.core.spoken_digits import read_digits
from voicebot.core.yes_no import read_yes_no


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer in the form that was asked for.

    `value` by kind: `yes_no` "yes", "no" or empty; `digits` 0-9 only; `spelling` lower-case letters, digits and signs;
    `email` an address, or what there is of one. `complete` says that no more is needed.
    """

    kind: ExpectKind
    value: str
    complete: bool


def read_entry(
    expect: Expect, text: str, keys: Sequence[tuple[int, str]] = (), language: str | None = None
) -> Entry | None:
    """Read `text`, a turn's words so far, as what is expected; None when nothing in particular is (`free`).

    `keys` are the keys pressed, in order, each with the number of whitespace-separated words of `text` that were there
    before it: keys take their place among spoken digits and letters. `language` (two letters, a region may follow) is
    the caller's; without one, English is assumed, and for yes and no every language is tried.

    `digits` and `spelling` are complete when `expect.digits` of them are there (more are kept), and never without that
    number: only the caller knows how long a name is.
    """
    match expect.kind:
        case "free":
            return None
        case "yes_no":
            answer = read_yes_no(text, language)
            return Entry("yes_no", answer, complete=answer != "")
        case "digits":
            return _counted(expect, read_digits(text, keys, language))
        case "spelling":
            return _counted(expect, read_spelling(text, keys, language))
        case "email":
            address = read_email(text, language)
            return Entry("email", address, complete=is_email(address))


def _counted(expect: Expect, value: str) -> Entry:
    return Entry(expect.kind, value, complete=expect.digits is not None and len(value) >= expect.digits)
