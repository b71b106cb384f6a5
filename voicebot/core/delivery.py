"""What follows from one attempt to deliver an event: done, again after a wait, not for now, or never."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import inf

JITTER = 0.25
"""A wait grows by up to this part of itself, so that failed deliveries do not come back in step."""
MAX_RETRY_AFTER_S = 86_400.0
"""A longer Retry-After counts as this long."""

# Standard Webhooks, operational considerations: these say "later", every other 4xx says "never".
_LATER = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one attempt: a status, or the reason why there is none; both when a streamed reply broke off."""

    status: int | None = None
    error: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits between attempts in seconds (the last one repeats), and how long the whole may take."""

    waits_s: Sequence[float]
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Delivered:
    """The application has it (2xx)."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `wait_s` seconds."""

    wait_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The policy allows no further attempt; a slower schedule may try later."""

    why: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The application will never take it; `stop` says that its endpoint wants no events any more (410)."""

    why: str
    stop: bool = False


type Verdict = Delivered | Retry | Exhausted | Dead


def judge(answer: Answer, attempt: int, elapsed_s: float, policy: RetryPolicy, jitter: float) -> Verdict:
    """Return what follows from the `attempt`th answer (from 1), `elapsed_s` after the first attempt began.

    `jitter` is a random number in [0, 1). A wait is never shorter than the policy's nor than Retry-After.
    Source: Standard Webhooks, operational considerations (statuses, Retry-After, 410).
    """
    why = reason(answer)
    if answer.status is not None:
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Delivered()
        if answer.status == HTTPStatus.GONE:
            return Dead(why, stop=True)
        if _is_refusal(answer.status):
            return Dead(why)
    wait = _wait(answer, attempt, policy, jitter)
    if wait is None or elapsed_s + wait >= policy.deadline_s:
        return Exhausted(why)
    return Retry(wait, why)


def judge_later(answer: Answer, gaps_s: Iterable[float], schedule_s: Sequence[float], jitter: float) -> Verdict:
    """Return what follows from the last attempt of an event that is delivered by the schedule alone.

    `gaps_s` are the seconds between its attempts so far, oldest first. Nobody waits for it, so there is no deadline:
    the verdict is Exhausted when the schedule is at its end. `jitter` is a random number in [0, 1).
    """
    step = schedule_step(gaps_s, schedule_s)
    return judge(answer, 1, 0, RetryPolicy(schedule_s[step : step + 1], inf), jitter)


def schedule_step(gaps_s: Iterable[float], schedule_s: Sequence[float]) -> int:
    """Return how many waits of the schedule are used up, given the seconds between attempts so far, oldest first.

    Fast attempts while a caller waited, and those that were cut off for a caller's sake, use up none.
    """
    step = 0
    for gap_s in gaps_s:
        if step < len(schedule_s) and gap_s >= schedule_s[step]:
            step += 1
    return step


def reason(answer: Answer) -> str:
    """Say in a few words what came back."""
    return f"status {answer.status}" if answer.status is not None else answer.error or "no answer"


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, within limits; None without a usable one.

    Source: RFC 9110, 10.2.3: either whole seconds or an HTTP date.
    """
    text = (header or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return MAX_RETRY_AFTER_S if len(text) > len(str(int(MAX_RETRY_AFTER_S))) else _limited(int(text))
    try:
        date = parsedate_to_datetime(text)
        return _limited((date - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, one without a zone, one out of range
        return None


def _is_refusal(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER


def _wait(answer: Answer, attempt: int, policy: RetryPolicy, jitter: float) -> float | None:
    if not policy.waits_s:
        return None
    planned = policy.waits_s[min(attempt, len(policy.waits_s)) - 1] * (1 + JITTER * jitter)
    return max(planned, answer.retry_after_s or 0)


def _limited(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
