"""Ask whether a locked dependency has a known vulnerability; `uv audit` asks OSV, with one request for all of them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
IGNORED = Path(__file__).with_name("audit_ignored.toml")
TIMEOUT_S = 120
VULNERABLE = 1
WRONG = 2
NOT_DONE = "audit: NOT DONE, the vulnerability service cannot be reached from here"
# Both are still previews in uv; the Makefile pins the version.
PREVIEWS = ("--preview-features", "audit-command", "--preview-features", "json-output")
# What uv says when it could not ask; anything else that fails is a fault of ours, and fails.
UNREACHABLE = re.compile(
    r"request failed|error sending request|client error \(connect\)|dns error|timed out|5\d\d (?:server|service|bad|gate)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A finding that does not concern us, for a reason and until a day."""

    id: str
    reason: str
    until: date


def ignored(text: str, today: date) -> tuple[list[Ignored], list[str]]:
    """Return what is to be ignored today, and what is wrong with the list: no reason, no day, or a day that is over."""
    good: list[Ignored] = []
    faults: list[str] = []
    for entry in tomllib.loads(text).get("ignored", []):
        name, reason, until = str(entry.get("id", "")), str(entry.get("reason", "")), entry.get("until")
        if not name or not reason.strip() or not isinstance(until, date):
            faults.append(f"{name or entry}: needs id, reason and until (a date)")
        elif until < today:
            faults.append(f"{name}: was ignored until {until}; look at it again")
        else:
            good.append(Ignored(name, reason, until))
    return good, faults


def findings(report: Mapping[str, Any]) -> list[str]:
    """Return one line for each vulnerability of uv's report."""
    lines: list[str] = []
    for each in report.get("vulnerabilities", []):
        package = each.get("dependency") or {}
        fixed = ", ".join(each.get("fix_versions") or []) or "no version yet"
        name = f"{package.get('name', '?')} {package.get('version', '?')}"
        lines.append(f"{name}: {each.get('id', '?')} (fixed in {fixed}) {each.get('summary') or ''}".rstrip())
    return lines


def audit(command: Sequence[str], accepted: Sequence[Ignored]) -> int:
    """Run uv's audit; returns 0 also when the service cannot be asked, and says so."""
    flags = [flag for each in accepted for flag in ("--ignore", each.id)]
    try:
        done = subprocess.run(
            [*command, *flags], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(NOT_DONE)
        return 0
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = None
    if isinstance(report, dict):
        found = findings(report)
        for line in found:
            print(f"vulnerable: {line}")
        if not found and done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return WRONG
        print(f"audit: {len(found)} known vulnerabilities in uv.lock; {len(accepted)} ignored")
        return VULNERABLE if found else 0
    if done.returncode and UNREACHABLE.search(done.stderr):
        print(NOT_DONE)
        return 0
    print(done.stdout + done.stderr, file=sys.stderr)
    return WRONG


def main(arguments: Sequence[str]) -> int:
    """Audit uv.lock; further arguments go to `uv audit`, for example `--service-url`."""
    accepted, faults = ignored(IGNORED.read_text(encoding="utf-8"), datetime.now(UTC).date())
    for fault in faults:
        print(f"{IGNORED.name}: {fault}", file=sys.stderr)
    if faults:
        return WRONG
    uv = os.environ.get("UV", "uv")
    return audit([uv, "audit", "--locked", "--output-format", "json", *PREVIEWS, *arguments], accepted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
