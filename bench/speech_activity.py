"""Measures the speech detector on recorded human speech in the noises of a line, and what a frame costs it."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import audioop
import numpy as np
import scenes
from model_ear import FRAME as MODEL_FRAME
from model_ear import Model
from scenes import FRAME, RATE, Scene, Spans

from voicebot.core.audio import SpeechDetector
from voicebot.core.events import SpeechStarted

EDGE_MS = 300
"""So close to speech, neither sound nor silence is counted as wrong."""
COST_S, COST_ROUNDS = 60, 5


@dataclass(frozen=True, slots=True)
class Score:
    """How well somebody heard a scene."""

    utterances: int
    missed: int
    onset_ms: tuple[float, float]
    """From the first sound to its noticing: median and 95th percentile."""
    end_ms: tuple[float, float]
    """From the last sound to where the speech is said to have ended."""
    early: float
    """Share of ends said more than 150 ms before the last sound."""
    recall: float
    false_alarm: float
    """Share of the silence that was called speech."""


def energy(scene: Scene) -> Spans:
    """Return where our detector hears speech, as (noticed, ended)."""
    detector = SpeechDetector()
    spans: list[tuple[int, int]] = []
    for at in range(0, len(scene.audio), FRAME):
        event = detector.feed(scene.audio[at : at + FRAME])
        if isinstance(event, SpeechStarted):
            spans.append(((at + FRAME) // 8, len(scene.audio) // 8))
        elif event is not None:
            spans[-1] = (spans[-1][0], (at + FRAME) // 8 - event.silent_ms)
    return tuple(spans)


def score(truth: Spans, heard: Spans, length_ms: int) -> Score:
    """Compare what was heard with what was there."""
    onsets, ends, missed = [], [], 0
    for index, (start, end) in enumerate(truth):
        until = truth[index + 1][0] if index + 1 < len(truth) else length_ms
        mine = [span for span in heard if span[1] > start - 100 and span[0] < end]
        if not mine:
            missed += 1
            continue
        onsets.append(mine[0][0] - start)
        last = max(span[1] for span in mine)
        if last < until:
            ends.append(last - end)
    real, said = _track(truth, length_ms), _track(heard, length_ms)
    far = ~_track(tuple((start - EDGE_MS, end + EDGE_MS) for start, end in truth), length_ms)
    return Score(
        utterances=len(truth),
        missed=missed,
        onset_ms=_spread(onsets),
        end_ms=_spread(ends),
        early=float(np.mean([each < -150 for each in ends])) if ends else 0.0,
        recall=float(np.mean(said[real])),
        false_alarm=float(np.mean(said[far])),
    )


def _track(spans: Spans, length_ms: int) -> np.ndarray:
    track = np.zeros(length_ms // 10, dtype=bool)
    for start, end in spans:
        track[max(0, start) // 10 : max(0, end) // 10] = True
    return track


def _spread(values: list[int]) -> tuple[float, float]:
    return (float(np.percentile(values, 50)), float(np.percentile(values, 95))) if values else (0.0, 0.0)


def lines(folder: Path) -> list[Scene]:
    """Return the scenes to measure on."""
    spoken = scenes.clips(folder)
    pink, crowd = scenes.coloured("pink", 10), scenes.babble(spoken, 15)
    return [
        scenes.scene("digital silence", spoken),
        scenes.scene("comfort noise, 45 dB below", spoken, noise=scenes.coloured("white", 45)),
        scenes.scene("line 10 dB softer, noise 30 dB below", spoken, gain_db=-10, noise=scenes.coloured("white", 30)),
        scenes.scene("line 6 dB louder, noise 30 dB below", spoken, gain_db=6, noise=scenes.coloured("white", 30)),
        scenes.scene("soft voice, 20 dB, silence", spoken, gain_db=-20),
        scenes.scene("soft voice, 20 dB, noise 30 dB below", spoken, gain_db=-20, noise=scenes.coloured("white", 30)),
        scenes.scene("pink noise, 20 dB below", spoken, noise=scenes.coloured("pink", 20)),
        scenes.scene("pink noise, 10 dB below", spoken, noise=pink),
        scenes.scene("pink noise, 5 dB below", spoken, noise=scenes.coloured("pink", 5)),
        scenes.scene("babble, 20 dB below", spoken, noise=scenes.babble(spoken, 20)),
        scenes.scene("babble, 15 dB below", spoken, noise=crowd),
    ]


def set_in(kind: str, above_quiet_db: float) -> float:
    """Return for how many seconds a noise that sets in on a quiet line is taken for speech."""
    quiet, noise = scenes.coloured("white", 50)(5 * RATE), scenes.coloured(kind, 50 - above_quiet_db)(10 * RATE)
    sudden = Scene("", scenes.ulaw(np.concatenate([quiet, noise])), ())
    return sum(end - start for start, end in energy(sudden)) / 1_000


def cost_us(listen: Callable[[bytes], object], audio: bytes, size: int) -> float:
    """Return the processor time of a 20 ms frame in microseconds, when audio comes in payloads of `size` bytes."""
    payloads = [audio[at : at + size] for at in range(0, len(audio) - size + 1, size)]
    best = float("inf")
    for _ in range(COST_ROUNDS):
        before = time.process_time_ns()
        for payload in payloads:
            listen(payload)
        best = min(best, time.process_time_ns() - before)
    return best / 1_000 / (len(payloads) * size / FRAME)


def tell_quality(measured: list[Scene], ears: dict[str, Callable[[Scene], Spans]]) -> None:
    """Print a table of how well each scene is heard."""
    print(
        "| line | detector | missed | noticed after ms, p50 / p95 | end off by ms, p50 / p95 | early ends | false alarm |"
    )
    print("|---|---|--:|--:|--:|--:|--:|")
    for scene in measured:
        for name, ear in ears.items():
            got = score(scene.spoken, ear(scene), len(scene.audio) // 8)
            print(
                f"| {scene.name} | {name} | {got.missed} of {got.utterances} | {got.onset_ms[0]:.0f} / {got.onset_ms[1]:.0f} "
                f"| {got.end_ms[0]:+.0f} / {got.end_ms[1]:+.0f} | {got.early:.0%} | {got.false_alarm:.1%} |"
            )


def tell_cost(audio: bytes, model: Callable[[bytes], object] | None) -> None:
    """Print what a frame costs, beside doing next to nothing, and beside the model."""
    mine = cost_us(SpeechDetector().feed, audio, FRAME)
    batch = cost_us(SpeechDetector().feed, audio, 5 * FRAME)
    copy = cost_us(lambda payload: audioop.ulaw2lin(payload, 2), audio, FRAME)
    print(f"\ncost of a 20 ms frame: {mine:.2f} us; in payloads of 100 ms {batch:.2f} us ({batch / mine:.2f} of it)")
    print(f"decoding it alone: {copy:.2f} us (the detector is {mine / copy:.1f} times that)")
    if model is not None:
        theirs = cost_us(model, audio[: 20 * RATE], MODEL_FRAME)
        print(f"the model: {theirs:.1f} us ({theirs / mine:.0f} times the detector)")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, default=scenes.SHIPPED, help="a folder of clean recordings, 8 kHz wav")
    parser.add_argument("--model", action="store_true", help="beside Silero, of the extra `local`")
    arguments = parser.parse_args()
    measured = lines(arguments.speech)
    ears: dict[str, Callable[[Scene], Spans]] = {"energy": energy}
    model = Model() if arguments.model else None
    if model:
        ears["Silero"] = model.spans
    tell_quality(measured, ears)
    for kind in ("white", "pink"):
        print(
            f"\n{kind} noise that sets in, 25 dB above the line's: called speech for {set_in(kind, 25):.2f} s", end=""
        )
    print()
    tell_cost(measured[2].audio[: COST_S * RATE], model.payload if model else None)


if __name__ == "__main__":
    main()
