"""The bot's own voice coming back on the caller's track, told from the caller by its envelope."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10, sqrt, sumprod
from statistics import fmean, median

from voicebot.core.audio import DIGITAL_SILENCE_RMS, FRAME, FRAME_MS, SAMPLE_RATE, frame_levels

FRAME_S = FRAME_MS / 1_000
WINDOW, LEAST_WINDOW = 25, 10
"""Frames that are compared: half a second, less when the call is younger."""
LONGEST_LAG = 30
"""Frames from when the caller should hear the bot to its echo here: 600 ms, the way to the phone and back."""
AHEAD = 15_000
"""Frames of speech sent but not heard yet that are remembered: five minutes; nothing sends more at a time."""
KEPT_S = (WINDOW + LONGEST_LAG + 5) * FRAME_S
"""What was played longer ago cannot come back."""
ROOM = 100
"""Inbound frames, two seconds, of which the softest is the noise of the line."""
SOFTEST_DB = 20 * log10(DIGITAL_SILENCE_RMS)
"""Levels below are digital silence."""
LIKELY = 0.6
"""Correlation of the envelopes from which a lag is looked at more closely."""
CANDIDATES = 3
"""So many of them at most."""
LEAST_LOSS_DB = 7.0
"""What comes back louder than this below the original is no echo: carriers let through 10 dB below at worst."""
MOST_MISFIT_DB = 2.6
"""Mean distance between what came in and what its echo would be; another voice is 5 dB and more away."""
EXCESS_DB, MOST_EXCESS = 6.0, 3
"""More than so many frames that much louder than the echo: somebody else speaks as well."""
LEAST_SPREAD_DB = 2.0
"""An envelope flatter than this looks like any other."""


@dataclass(frozen=True, slots=True)
class Match:
    """How inbound sound looks as an echo."""

    loss_db: float
    """How much softer than the original."""
    misfit_db: float
    excess: int
    """Frames clearly louder than the echo would be."""


class EchoGuard:
    """Remembers the levels of what the bot says and of what comes in, and compares them when asked.

    What the bot says is measured as it is sent, in one or two microseconds a frame, for the sound itself would take eighty
    times the memory of its levels; asking costs 0.15 ms besides, so ask only when a caller seems to interrupt, and as long
    as that lasts not more often than every 60 ms. In doubt it is the caller who speaks. On recorded speech (bench/echo.py),
    echo 10 to 30 dB below the original and 40 to 300 ms late is recognised in 95 to 99 % of the frames, and every caller of
    the usual level or 10 dB below it within 400 ms, with echo under the voice or without; of callers 20 dB below it 96 %,
    but one softer than the echo drowns in it. Times are seconds on one clock.
    """

    def __init__(self) -> None:
        self._played: list[tuple[float, array[int]]] = []
        """What was sent: (when the caller begins to hear it, the levels of its frames), in the order of playing."""
        self._rest = b""
        """The end of the last payload, less than a frame."""
        self._next = float("-inf")
        """When the next payload is heard if it follows the last without a gap."""
        self._heard = array("H")
        self._heard_at = float("-inf")

    def sent(self, payload: bytes, at: float) -> None:
        """Note raw µ-law, of any length, that the caller begins to hear at `at`; calls come in the order of playing."""
        kept = payload[: FRAME * max(0, AHEAD - sum([len(levels) for _, levels in self._played]))]
        if not kept:
            return
        rest = self._rest if abs(at - self._next) <= FRAME_S else b""
        audio = rest + kept
        levels = frame_levels(audio)
        self._rest = audio[len(levels) * FRAME :]
        self._next = at + len(kept) / SAMPLE_RATE
        if levels:
            self._played.append((at - len(rest) / SAMPLE_RATE, array("H", levels)))

    def cleared(self, at: float) -> None:
        """Note that nothing of what was sent is played from `at` on."""
        self._rest = b""
        while self._played and self._played[-1][0] >= at:
            self._played.pop()
        if self._played:
            start, levels = self._played[-1]
            del levels[ceil((at - start) / FRAME_S) :]

    def heard(self, levels: Sequence[int], now: float) -> None:
        """Note the levels of inbound 20 ms frames (`SpeechDetector.levels`), the last of which came at `now`."""
        self._heard.extend(levels)
        del self._heard[:-ROOM]
        self._heard_at = now
        self._forget(now)

    def is_echo(self, now: float) -> bool:
        """Tell whether the last half second that came in is nothing but the bot itself."""
        return any(
            found.loss_db >= LEAST_LOSS_DB and found.misfit_db <= MOST_MISFIT_DB and found.excess <= MOST_EXCESS
            for found in self._matches(now)
        )

    def _matches(self, now: float) -> Iterator[Match]:
        if len(self._heard) < LEAST_WINDOW:
            return
        if not self._played or self._played[0][0] > now:
            return
        inbound = list(map(decibels, self._heard[-WINDOW:]))
        outbound = self._outbound(len(inbound))
        noise_db = decibels(min(self._heard))
        for lag in likely(inbound, outbound):
            for played in around(outbound, lag, len(inbound)):
                yield fit(inbound, played, noise_db)

    def _outbound(self, window: int) -> list[float]:
        """Return the levels that were played, from the longest lag before the window to one frame after it."""
        count = window + LONGEST_LAG + 1
        levels = [SOFTEST_DB] * count
        first = self._heard_at - (count - 1) * FRAME_S
        for start, played in self._played:
            at = round((start - first) / FRAME_S)
            if at >= count:
                break
            for index in range(max(0, -at), min(len(played), count - at)):
                levels[at + index] = decibels(played[index])
        return levels

    def _forget(self, now: float) -> None:
        while self._played and _end(*self._played[0]) < now - KEPT_S:
            del self._played[0]


def _end(start: float, levels: Sequence[int]) -> float:
    return start + len(levels) * FRAME_S


def decibels(level: int) -> float:
    """Return an RMS level in decibels over 1."""
    return 20 * log10(level) if level > DIGITAL_SILENCE_RMS else SOFTEST_DB


def around(outbound: Sequence[float], lag: int, count: int) -> Iterator[Sequence[float]]:
    """Yield what was played so many frames before, and half a frame earlier and later: echoes keep to no raster."""
    start = LONGEST_LAG - lag
    window = outbound[start : start + count]
    yield window
    for at in (max(start - 1, 0), start + 1):
        yield [between(*pair) for pair in zip(window, outbound[at : at + count], strict=True)]


def between(one_db: float, other_db: float) -> float:
    """Return the mean of two powers, all in decibels."""
    return 10 * log10((10 ** (one_db / 10) + 10 ** (other_db / 10)) / 2)


def likely(inbound: Sequence[float], outbound: Sequence[float]) -> list[int]:
    """Return the lags, in frames, at which both envelopes go up and down together, the likeliest first.

    `outbound` begins `LONGEST_LAG` frames before `inbound`.
    """
    count, mean = len(inbound), fmean(inbound)
    centred = [level - mean for level in inbound]
    power = sumprod(centred, centred)
    least = count * LEAST_SPREAD_DB**2
    if power < least:
        return []
    found: list[tuple[float, int]] = []
    for lag in range(LONGEST_LAG + 1):
        start = LONGEST_LAG - lag
        levels = outbound[start : start + count]
        spread = sumprod(levels, levels) - sum(levels) ** 2 / count
        if spread >= least:
            found.append((sumprod(centred, levels) / sqrt(power * spread), lag))
    return [lag for correlation, lag in sorted(found, reverse=True)[:CANDIDATES] if correlation >= LIKELY]


def fit(inbound: Sequence[float], outbound: Sequence[float], noise_db: float) -> Match:
    """Compare what came in with the echo of what was played, over the noise of the line."""
    pairs = list(zip(inbound, outbound, strict=True))
    clear = [level - played for level, played in pairs if level > noise_db + 6 and played > SOFTEST_DB + 6]
    gain = median(clear) if clear else 0.0
    noise = 10 ** (noise_db / 10)
    apart = [level - 10 * log10(10 ** ((played + gain) / 10) + noise) for level, played in pairs]
    return Match(-gain, fmean(map(abs, apart)), sum(each > EXCESS_DB for each in apart))
