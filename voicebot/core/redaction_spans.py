"""Places in a text that are to be hidden, and how several finders' places become one list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Span:
    """From the character `start` to before `end` there is something of the kind that `label` names."""

    start: int
    end: int
    label: str


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans that do not overlap, in order; where several did, the whole, named as the first of them in `spans`."""
    ranked = list(enumerate(spans))
    kept: list[tuple[int, Span]] = []
    for rank, span in sorted(ranked, key=lambda item: item[1].start):
        if not kept or kept[-1][1].end <= span.start:
            kept.append((rank, span))
            continue
        before, last = kept[-1]
        whole = replace(last, end=max(last.end, span.end))
        kept[-1] = (before, whole) if before < rank else (rank, replace(whole, label=span.label))
    return [span for _, span in kept]


def pieces(text: str, spans: Iterable[Span]) -> Iterator[str]:
    """Yield the text in pieces with each span's label in its place."""
    at = 0
    for span in spans:
        yield text[at : span.start]
        yield span.label
        at = span.end
    yield text[at:]
