"""What every parser owes whatever it is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass

from pydantic import BaseModel

from voicebot.errors import ConfigurationError

LONGEST_REASON = 2_000
"""Characters of an error: it goes to a log, to a database and to a person, so it may not repeat the whole input."""
LARGEST = 2**63
"""Whole numbers beyond it fit into no database."""
DEEPEST = 300


class Broken(AssertionError):  # noqa: N818 - the word for a law
    """A law does not hold."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under its laws: `run` returns for every input that was handled as declared, and raises for others."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    """Words of its language, for the mutations."""


def declared(*errors: type[Exception]) -> Callable[[Callable[[bytes], object]], Callable[[bytes], object]]:
    """Let pass what a parser declares, when its text is fit to be logged."""

    def wrap(run: Callable[[bytes], object]) -> Callable[[bytes], object]:
        def judged(data: bytes) -> object:
            try:
                return run(data)
            except Broken:
                raise
            except errors as error:
                # Settings are the operator's own words, and he is told which one is wrong.
                check_text(str(error), "the error", None if isinstance(error, ConfigurationError) else LONGEST_REASON)
                return error

        return judged

    return wrap


def text_of(data: bytes) -> str:
    """Return the text that a socket would hand over."""
    return data.decode(errors="replace")


def loose_text_of(data: bytes) -> str:
    """Return a text that may hold halves of characters, as JSON can spell them."""
    try:
        return data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def check_text(text: str, where: str, longest: int | None = None) -> None:
    """Raise Broken for a text that no socket and no database takes, or that is too long."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Broken(f"{where} holds halves of characters") from None
    if longest is not None and len(text) > longest:
        raise Broken(f"{where} has {len(text)} characters")


def check_value(value: object, where: str = "the result") -> None:
    """Raise Broken when something in `value` cannot be stored or sent."""
    for part in _parts(value, 0):
        match part:
            case bool():
                pass
            case str():
                check_text(part, where)
            case int() if not -LARGEST <= part < LARGEST:
                raise Broken(f"{where} holds a number that no database takes")
            case float() if part != part or part in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN alone differs
                raise Broken(f"{where} holds a number that is none")
            case _:
                pass


def _parts(value: object, depth: int) -> Iterator[object]:
    if depth > DEEPEST:
        raise Broken("the result is nested too deeply to be written")
    if isinstance(value, BaseModel):
        inner: list[object] = [getattr(value, name) for name in type(value).model_fields]
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    else:
        yield value
        return
    for each in inner:
        yield from _parts(each, depth + 1)


def same(left: object, right: object, what: str) -> None:
    """Raise Broken when two ways do not lead to the same place."""
    if left != right:
        raise Broken(f"{what}: {left!r:.200} is not {right!r:.200}")
