"""What a case found, and what a status means for an event that should be taken or refused."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from voicebot.errors import ReplyRefused
from voicebot.local.probe.target import IDENTITY, MAX_REPLY_BYTES, Answer, Target
from voicebot.wire.webhook import Reply, parse_reply

type Verdict = Literal["pass", "warn", "fail", "skip", "info"]
type Told = tuple[str, Answer]
"""An answer, and to what."""

BEST_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""The service takes these for "later" and sends the event again."""
ADVICE: dict[int, str] = {
    400: "Is the secret the same on both sides? Verify the raw bytes before anything parses them.",
    401: "Is the secret the same on both sides? Verify the raw bytes before anything parses them.",
    403: "Is the secret the same on both sides? Is something in front of the application that wants a login or a CSRF token?",
    404: "Give the whole URL of the webhook.",
    405: "Accept POST at this URL.",
    410: "410 stops every delivery to this endpoint; send it only for that.",
    413: "Accept bodies up to 1 MiB.",
    415: "Accept application/json.",
    422: "Take fields and types that you do not know, and pass over them.",
}
SHOWN = 3
"""So many of the events that went wrong are named."""
REDIRECTS = "Redirects are not followed: give the URL that it leads to."
LATER = "The service takes this for 'later' and sends the event again; answer 2xx to an event that you know."
BROKEN = "The application failed; its own log says why."
SILENT = "Answer first and do slow work afterwards, or stream the reply."


@dataclass(frozen=True, slots=True)
class Finding:
    """What one case found; `advice` is empty when there is nothing to do, or when the case's own advice says it."""

    verdict: Verdict
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a webhook must survive."""

    name: str
    group: str
    expected: str
    advice: str
    run: Callable[[Target], Awaitable[Finding]]
    signed: bool = False
    """Means something only with a secret."""


def taken(answers: Iterable[Told]) -> Finding:
    """Pass when every answer is a 2xx; otherwise say what came instead, and to what."""
    all_told = tuple(answers)
    faults = [(what, answer) for what, answer in all_told if not answer.taken]
    if not faults:
        return Finding("pass", f"all {len(all_told)} taken" if len(all_told) > 1 else "taken")
    by_fault: dict[str, list[str]] = {}
    for what, answer in faults:
        by_fault.setdefault(answer.told, []).append(what)
    told = "; ".join(f"{fault} to {_some(names)}" for fault, names in by_fault.items())
    return Finding("fail", told, advice_for(faults[0][1]))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def advice_for(answer: Answer) -> str:
    """Say what to do about an answer that should have been a 2xx; empty if only the case knows."""
    match answer.status:
        case None:
            return SILENT if answer.error.startswith(("no answer", "no end")) else ""
        case status if status in ADVICE:
            return ADVICE[status]
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return REDIRECTS
        case status if status in AGAIN:
            return LATER
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return BROKEN
        case _:
            return ""


def refused(answers: Iterable[Told]) -> Finding:
    """Pass when every answer is a final 4xx, warn when it is an odd one; otherwise say which is not."""
    all_told = tuple(answers)
    for what, answer in all_told:
        if fault := _not_refused(answer):
            return Finding("fail", f"{what}: {answer.told}", fault)
    odd = [(what, answer) for what, answer in all_told if answer.status not in BEST_REFUSALS]
    if odd:
        told = "; ".join(f"{what}: {answer.told}" for what, answer in odd)
        return Finding("warn", told, "It is refused; 400, 401 or 403 would say why.")
    return Finding("pass", " ".join(dict.fromkeys(answer.told for _, answer in all_told)))


def _not_refused(answer: Answer) -> str:
    """Say what is wrong with an answer that should have been a refusal; empty if nothing is."""
    if answer.taken:
        return "Anybody can send this: verify signature and time, on the raw bytes, before anything else happens."
    if answer.status is None:
        return "Answer 401; a broken connection would be tried again."
    if answer.status in AGAIN or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Answer 401: this status means that the event is sent again. Catch the error of the verification."
    if answer.status < HTTPStatus.BAD_REQUEST:
        return "Answer 401 instead of a redirect."
    return "Answer 401: 410 stops every delivery." if answer.status == HTTPStatus.GONE else ""


def reply_of(answer: Answer) -> Reply:
    """Return what an answer with a 2xx status asks for, by the rules of the service; raises ReplyRefused."""
    encoding = answer.headers.get("Content-Encoding", IDENTITY).strip().lower()
    if encoding != IDENTITY and answer.body:
        raise ReplyRefused("$", f"is compressed ({encoding[:20]}); send it as it is")
    return parse_reply(answer.status or 0, answer.content_type, answer.body, max_bytes=MAX_REPLY_BYTES)


def meaning(answer: Answer) -> object:
    """Return what two answers must have in common to be the same: the reply, or the bytes if they are none."""
    try:
        return reply_of(answer)
    except ReplyRefused:
        return answer.content_type, answer.body
