"""The recorded calls of the set with their labels, and the policies they are judged under."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from voicebot.core.actions import Expect
from voicebot.core.events import AskFinalize, Finalized
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import Effect, Input, Recording
from voicebot.core.replay import Change, replay, unchanged
from voicebot.core.score import Score, score
from voicebot.core.score_labels import Labels
from voicebot.core.score_sweep import NEVER_MS, Case
from voicebot.recorder import load
from voicebot.wire.recording_labels import read_labels

HERE = Path(__file__).parent
SET, RECORDINGS = HERE / "set", HERE / "recordings"
SUFFIX = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to end turns: a change of the default policy, with or without the recogniser's endpoints."""

    change: Change = unchanged
    endpoints: bool = True

    def score(self, cases: Iterable[Case]) -> Score:
        """Judge the calls under it."""
        return score(
            (replay(recording, change=self.change, endpoints=self.endpoints), labels) for recording, labels in cases
        )


def provisional(policy: TurnPolicy) -> TurnPolicy:
    """Tell turns before their end is sure."""
    return replace(policy, provisional=True)


def never_by_silence(policy: TurnPolicy) -> TurnPolicy:
    """Let the endpoint alone end turns."""
    return replace(policy, commit_after_ms=NEVER_MS)


def after(commit_ms: int) -> Change:
    """Return the change that ends turns after so much silence."""
    return lambda policy: replace(policy, commit_after_ms=commit_ms)


def patient(endpoint_ms: int) -> Change:
    """Return the change that lets an endpoint count only behind so much silence."""
    return lambda policy: replace(policy, endpoint_after_ms=endpoint_ms)


def expecting(kind: str) -> Change:
    """Return the change that expects an answer of a kind, as an application does that has asked for one."""
    expect = Expect(kind="digits") if kind == "digits" else Expect(kind="spelling")
    return lambda policy: replace(policy, expect=expect)


POLICIES: Mapping[str, Policy] = {
    "default": Policy(),
    "default, provisional": Policy(provisional),
    **{f"endpoint after {ms} ms": Policy(patient(ms)) for ms in (800, 1_200)},
    "endpoint only": Policy(never_by_silence),
    **{f"silence only, {ms} ms": Policy(after(ms), endpoints=False) for ms in (500, 600, 800, 1_200, 1_600)},
}


def names(folder: Path = SET) -> list[str]:
    """Return the calls of the set."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read(recordings: Path = RECORDINGS, labels: Path = SET) -> list[Case]:
    """Return every call of the set; raises RecordingError for a file that is missing or wrong."""
    return [
        (load(recordings / f"{name}{SUFFIX}"), read_labels((labels / f"{name}.json").read_bytes()))
        for name in names(labels)
    ]


def by_kind(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Return the calls of each kind."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(_labels(case).kind, []).append(case)
    return kinds


def _labels(case: Case) -> Labels:
    labels = case[1]
    if labels is None:
        raise ValueError(f"{case[0].head.call}: has no labels")
    return labels


def answer_ms(cases: Iterable[Case]) -> float:
    """Return the median time from a `finalize` to its `<fin>`: the recogniser's own work, decoding above all."""
    return median(ms for recording, _ in cases for ms in _answers(recording))


def _answers(recording: Recording) -> Iterable[float]:
    asked: list[float] = []
    for line in recording.of("caller"):
        match line:
            case Effect(effect=AskFinalize()):
                asked.append(line.t_ms)
            case Input(event=Finalized()) if asked:
                yield line.t_ms - asked.pop(0)
            case _:
                pass
