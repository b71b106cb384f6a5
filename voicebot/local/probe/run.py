"""Runs the cases one after the other and reports on each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from pydantic import BaseModel, ConfigDict

from voicebot.errors import ConfigurationError
from voicebot.local.probe import contents, conversation, delivery, signatures, transport
from voicebot.local.probe.target import DEFAULT_TIMEOUT_S, Answer, Target, target
from voicebot.local.probe.verdicts import Case, Finding, Verdict, taken

FORMAT = 1
"""Version of the report; fields may be added to it, none is renamed or taken away."""
UNREACHED = "an ordinary event is not taken"


async def _knock(peer: Target) -> Finding:
    return _reached(await peer.send(peer.call().started()))


REACH = Case(
    name="reach",
    group="conversation",
    expected="2xx for an ordinary call.started",
    advice="Nothing else can be tried before this works.",
    run=_knock,
)
CASES: tuple[Case, ...] = (
    REACH,
    *conversation.CASES,
    *signatures.CASES,
    *delivery.CASES,
    *contents.CASES,
    *transport.CASES,
)
"""Every case, in the order in which they run."""


class Result(BaseModel):
    """What came of one case; `ms` is how long it took as a whole."""

    model_config = ConfigDict(frozen=True)

    case: str
    group: str
    verdict: Verdict
    expected: str
    found: str
    advice: str
    ms: int


class Report(BaseModel):
    """What came of all cases; `passed` is false as soon as one has failed."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    url: str
    signed: bool
    passed: bool
    counts: dict[Verdict, int]
    results: tuple[Result, ...]


def choose(names: Collection[str]) -> tuple[Case, ...]:
    """Return the cases of these names or groups, all without any; raises ConfigurationError for an unknown one."""
    known = {case.name for case in CASES} | {case.group for case in CASES}
    for name in names:
        if name not in known:
            told = "; ".join(f"{group}: {', '.join(_named(group))}" for group in dict.fromkeys(c.group for c in CASES))
            raise ConfigurationError(f"there is no case {name!r}; known are, by group, {told}")
    return tuple(case for case in CASES if not names or case.name in names or case.group in names)


async def probe(
    url: str,
    keys: Sequence[str] = (),
    *,
    cases: Sequence[Case] = CASES,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    tell: Callable[[Result], None] | None = None,
) -> Report:
    """Run the cases against the application at `url` and return the report; `tell` gets each result as it comes.

    `keys` are Standard Webhooks secrets, newest first; without any nothing is signed and the cases about signatures
    are skipped. `reach` is always tried first: when it fails, everything else is skipped.
    """
    results: list[Result] = []

    def take(result: Result) -> None:
        results.append(result)
        if tell is not None:
            tell(result)

    async with target(url, tuple(keys), timeout_s) as peer:
        knock = await peer.send(peer.call().started())
        reached = _reached(knock)
        if REACH in cases or reached.verdict == "fail":
            take(_result(REACH, reached, knock.ms))
        for case in cases:
            if case is not REACH:
                take(await _tried(case, peer) if knock.taken else _result(case, Finding("skip", UNREACHED)))
    counts = Counter(result.verdict for result in results)
    return Report(url=url, signed=bool(keys), passed=not counts["fail"], counts=dict(counts), results=tuple(results))


async def _tried(case: Case, peer: Target) -> Result:
    if case.signed and not peer.keys:
        return _result(case, Finding("skip", "no secret was given"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    finding = await case.run(peer)
    return _result(case, finding, round((loop.time() - began) * 1_000))


def _result(case: Case, finding: Finding, ms: int = 0) -> Result:
    told = finding.verdict in {"fail", "warn"}
    return Result(
        case=case.name,
        group=case.group,
        verdict=finding.verdict,
        expected=case.expected,
        found=finding.found,
        advice=(finding.advice or case.advice) if told else finding.advice,
        ms=ms,
    )


def _reached(knock: Answer) -> Finding:
    if knock.unreachable:
        return Finding("fail", knock.told, "Is the application running, and is the address right?")
    finding = taken([("call.started", knock)])
    return finding if finding.verdict == "fail" else Finding("pass", knock.told)


def _named(group: str) -> list[str]:
    return [case.name for case in CASES if case.group == group]
