"""Judges what was decided on recorded calls: turns cut off, time lost, turns merged, split, lost and told twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from voicebot.core.events import TurnCompleted, TurnProvisional, TurnRetracted
from voicebot.core.replay import Replayed
from voicebot.core.score_labels import Labels
from voicebot.core.score_verdict import Told, Verdict, by_hindsight, by_labels

SAME_SHARE = 0.5
"""A turn with more than this share of words that were told before was told twice."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds, over all turns; None where there were none."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Provisional:
    """What telling turns before their end was sure has brought, and what it cost."""

    told: int
    confirmed: int
    retracted: int
    confirmed_share: float | None
    head_start_p50_ms: float | None
    """From a provisional turn to its confirmation."""
    delay_p50_ms: float | None
    """From the true end of speech to the provisional turn that was confirmed."""


@dataclass(frozen=True, slots=True)
class Score:
    """The sum over some calls; shares are 0 to 1, None where there is nothing to divide by."""

    calls: int
    turns: int
    """Turns told."""
    utterances: int | None
    """Turns truly spoken; None without labels."""
    hold_spans: int | None
    """Pauses inside them, 200 ms and longer."""
    cut_spans: int | None
    cut_turns: int
    """Decisions after which the caller went on with the same turn."""
    cut_span_rate: float | None
    cut_turn_rate: float | None
    """Of all turns spoken; without labels, of all turns told."""
    dead_air_ms: Spread
    """From the true end of speech to `turn.completed`."""
    merged_per_1000: float | None
    split_per_1000: float | None
    lost_per_1000: float | None
    duplicated_per_1000: float | None
    false_per_1000: float | None
    """Turns told where nobody took one: noise, a sign of listening."""
    provisional: Provisional
    webhooks_per_turn: float | None

    @property
    def cut_rate(self) -> float | None:
        """Return the rate that is compared: of the pauses where they are known, else of the turns."""
        return self.cut_turn_rate if self.cut_span_rate is None else self.cut_span_rate


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The provisional turns of one call."""

    told: int
    retracted: int
    head_starts: tuple[float, ...]
    delays: tuple[float, ...]


def score(cases: Iterable[tuple[Replayed, Labels | None]]) -> Score:
    """Return the score of some calls, against their labels or, where there are none, by hindsight."""
    verdicts: list[Verdict] = []
    ahead: list[_Ahead] = []
    turns = duplicated = 0
    for replayed, labels in cases:
        told = [
            Told(each.t_ms, each.effect.turn) for each in replayed.decisions if isinstance(each.effect, TurnCompleted)
        ]
        verdict = by_labels(told, labels, replayed.zero_ms) if labels else by_hindsight(told, replayed)
        verdicts.append(verdict)
        ahead.append(_ahead(replayed, verdict))
        turns += len(told)
        duplicated += _duplicated(told)
    return _summed(verdicts, ahead, turns, duplicated)


def _summed(verdicts: Sequence[Verdict], ahead: Sequence[_Ahead], turns: int, duplicated: int) -> Score:
    labelled = [each for each in verdicts if each.labelled]
    utterances = sum(each.utterances for each in labelled)
    cut_turns = sum(each.cut_turns for each in verdicts)
    holds, cut_spans = sum(each.holds for each in labelled), sum(each.cut_spans for each in labelled)
    told, retracted = sum(each.told for each in ahead), sum(each.retracted for each in ahead)
    # Calls without labels can be judged by what was told alone.
    spoken = utterances + sum(each.told for each in verdicts if not each.labelled)

    def per_1000(count: int, whole: int = utterances) -> float | None:
        return _share(1_000 * count, whole) if labelled else None

    return Score(
        calls=len(verdicts),
        turns=turns,
        utterances=utterances if labelled else None,
        hold_spans=holds if labelled else None,
        cut_spans=cut_spans if labelled else None,
        cut_turns=cut_turns,
        cut_span_rate=_share(cut_spans, holds),
        cut_turn_rate=_share(cut_turns, spoken),
        dead_air_ms=spread([ms for each in verdicts for ms in each.dead_air]),
        merged_per_1000=per_1000(sum(each.merged for each in labelled)),
        split_per_1000=per_1000(sum(each.split for each in labelled)),
        lost_per_1000=per_1000(sum(each.lost for each in labelled)),
        duplicated_per_1000=_share(1_000 * duplicated, turns),
        false_per_1000=per_1000(sum(each.false for each in labelled)),
        provisional=_provisional(told, retracted, ahead),
        webhooks_per_turn=_share(told + retracted + turns, turns),
    )


def spread(values: Sequence[float]) -> Spread:
    """Return the mean and two percentiles (nearest rank) of some milliseconds."""
    return Spread(fmean(values) if values else None, percentile(values, 50), percentile(values, 95))


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the smallest value that `percent` of all do not exceed."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1] if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _duplicated(told: Iterable[Told]) -> int:
    """Count turns whose words, by their places in the sound, were told before."""
    before: set[tuple[str, int, int]] = set()
    count = 0
    for each in told:
        words = {
            (token.text, token.start_ms, token.end_ms)
            for token in each.turn.tokens
            if token.start_ms is not None and token.end_ms is not None
        }
        count += bool(words) and len(words & before) > SAME_SHARE * len(words)
        before |= words
    return count


def _ahead(replayed: Replayed, verdict: Verdict) -> _Ahead:
    told = retracted = 0
    last: dict[int, float] = {}
    head_starts: list[float] = []
    delays: list[float] = []
    for each in replayed.decisions:
        match each.effect:
            case TurnProvisional(turn=turn):
                told += 1
                last[turn.number] = each.t_ms
            case TurnRetracted():
                retracted += 1
            case TurnCompleted(turn=turn, confirms=True):
                head_starts.append(each.t_ms - last[turn.number])
                if (end_ms := verdict.ends.get(turn.number)) is not None:
                    delays.append(last[turn.number] - end_ms)
            case _:
                pass
    return _Ahead(told, retracted, tuple(head_starts), tuple(delays))


def _provisional(told: int, retracted: int, ahead: Sequence[_Ahead]) -> Provisional:
    head_starts = [ms for each in ahead for ms in each.head_starts]
    return Provisional(
        told=told,
        confirmed=len(head_starts),
        retracted=retracted,
        confirmed_share=_share(len(head_starts), told),
        head_start_p50_ms=percentile(head_starts, 50),
        delay_p50_ms=percentile([ms for each in ahead for ms in each.delays], 50),
    )
