"""Judges the turns of one call: against its labels, or by what the caller did next."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from voicebot.core.events import Turn
from voicebot.core.replay import Replayed
from voicebot.core.score_labels import Labels, Utterance

HINDSIGHT_MS = 1_000
"""Without labels: speech that goes on so soon after a decision was cut off by it."""
NEAR_MS = 1_000
"""A word farther than this from every utterance belongs to none: recognisers are not exact about time."""


@dataclass(frozen=True, slots=True)
class Told:
    """A completed turn, and when it was told on the recording's clock."""

    at_ms: float
    turn: Turn

    @property
    def decided(self) -> bool:
        """Say whether the policy ended it, and not the end of the call."""
        return self.turn.reason != "hangup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said about one call."""

    labelled: bool
    told: int
    cut_turns: int
    dead_air: tuple[float, ...]
    ends: Mapping[int, float]
    """For each turn's number the true end of speech, on the recording's clock."""
    utterances: int = 0
    holds: int = 0
    cut_spans: int = 0
    merged: int = 0
    split: int = 0
    lost: int = 0
    false: int = 0


def by_hindsight(told: Sequence[Told], replayed: Replayed) -> Verdict:
    """Judge by what came next: speech that went on before the bot was heard had been cut off."""
    cut, dead_air, ends = 0, [], {}
    for each in filter(lambda one: one.decided, told):
        before = [speech for speech in replayed.speech if speech.start_ms <= each.at_ms]
        if before:
            ends[each.turn.number] = min(before[-1].end_ms, each.at_ms)
        bot_ms = next((at for at in replayed.bot_began if at > each.at_ms), float("inf"))
        until_ms = min(bot_ms, each.at_ms + HINDSIGHT_MS)
        goes_on = any(each.at_ms < speech.start_ms <= until_ms for speech in replayed.speech)
        if goes_on or (before and before[-1].end_ms > each.at_ms):
            cut += 1
        elif before:
            dead_air.append(each.at_ms - before[-1].end_ms)
    return Verdict(labelled=False, told=len(told), cut_turns=cut, dead_air=tuple(dead_air), ends=ends)


def by_labels(told: Sequence[Told], labels: Labels, zero_ms: float) -> Verdict:
    """Judge against the truth; `zero_ms` is where the audio clock lies on the recording's clock."""
    court = _Court(labels, told, zero_ms)
    turns = [number for number, each in enumerate(labels.utterances) if each.kind == "turn"]
    spoken = set(turns)
    return Verdict(
        labelled=True,
        told=len(told),
        cut_turns=sum(bool(list(court.cuts(number))) for number in turns),
        dead_air=tuple(ms for number in turns for ms in court.dead_air(number)),
        ends={
            each.turn.number: court.end(max(of & spoken))
            for each, of in zip(told, court.of, strict=True)
            if of & spoken
        },
        utterances=len(turns),
        holds=len(list(labels.holds())),
        cut_spans=len({hold for number in turns for hold in court.cut_holds(number)}),
        merged=sum(len(of & spoken) > 1 for of in court.of),
        split=sum(len(court.turns(number)) > 1 for number in turns),
        lost=sum(not court.turns(number) for number in turns),
        false=sum(not of & spoken for of in court.of),
    )


@dataclass(slots=True)
class _Court:
    """Which turn has words of which utterance; all times on the recording's clock."""

    labels: Labels
    told: Sequence[Told]
    zero_ms: float
    of: list[frozenset[int]] = field(init=False)
    """For each turn the numbers of its utterances."""

    def __post_init__(self) -> None:
        self.of = [frozenset(self._utterances_of(each)) for each in self.told]

    def start(self, number: int) -> float:
        return self._offset + self.labels.utterances[number].start_ms

    def end(self, number: int) -> float:
        return self._offset + self.labels.utterances[number].end_ms

    def turns(self, number: int) -> list[Told]:
        """Return the turns that have words of an utterance."""
        return [each for each, of in zip(self.told, self.of, strict=True) if number in of]

    def cuts(self, number: int) -> Iterator[float]:
        """Yield when an utterance was cut off: a turn that ends with it was told before its end."""
        for each, of in zip(self.told, self.of, strict=True):
            if of and max(of) == number and each.decided and each.at_ms < self.end(number):
                yield each.at_ms

    def cut_holds(self, number: int) -> Iterator[float]:
        """Yield the pauses, by their starts, behind which an utterance was cut off."""
        starts = sorted(self._offset + hold.start_ms for of, hold in self.labels.holds() if of == number)
        for at_ms in self.cuts(number):
            if place := bisect_right(starts, at_ms):
                yield starts[place - 1]

    def dead_air(self, number: int) -> Iterator[float]:
        """Yield how long the caller waited for the decision, at most until he spoke again."""
        last = max((each.at_ms for each in self.turns(number) if each.decided), default=None)
        if last is not None and last >= self.end(number):
            following = self.start(number + 1) if number + 1 < len(self.labels.utterances) else float("inf")
            yield max(0.0, min(last, following) - self.end(number))

    @property
    def _offset(self) -> float:
        return self.zero_ms + self.labels.offset_ms

    def _utterances_of(self, told: Told) -> Iterator[int]:
        middles = [
            self.zero_ms + (token.start_ms + token.end_ms) / 2
            for token in told.turn.tokens
            if token.start_ms is not None and token.end_ms is not None and not token.translation
        ]
        if not middles and self.labels.utterances:
            # No times: the words are those of the last utterance that had begun.
            begun = [n for n in range(len(self.labels.utterances)) if self.start(n) <= told.at_ms]
            yield from begun[-1:]
        for middle in middles:
            nearest = min(range(len(self.labels.utterances)), key=lambda n: self._distance(n, middle), default=None)
            if nearest is not None and self._distance(nearest, middle) <= NEAR_MS:
                yield nearest

    def _distance(self, number: int, at_ms: float) -> float:
        utterance: Utterance = self.labels.utterances[number]
        return max(self._offset + utterance.start_ms - at_ms, at_ms - self._offset - utterance.end_ms, 0.0)
