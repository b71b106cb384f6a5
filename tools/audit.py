"""Ask whether a locked dependency has a known vulnerability: pip-audit over everything that uv.lock names."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
IGNORED = Path(__file__).with_name("audit_ignored.toml")
TIMEOUT_S = 300
VULNERABLE = 1
WRONG = 2
NOT_DONE = "audit: NOT DONE, the vulnerability service cannot be reached from here"
EXPORT = ("export", "--quiet", "--locked", "--all-groups", "--all-extras", "--no-emit-project")
PIP_AUDIT = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off")
# What pip-audit says when it could not ask; anything else that fails is a fault of ours, and fails.
UNREACHABLE = re.compile(r"ConnectionError|ConnectTimeout|ReadTimeout|ServiceError|HTTPError: 5\d\d|Could not connect")


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
    """Return one line for each vulnerability of pip-audit's report."""
    lines: list[str] = []
    for package in report.get("dependencies", []):
        for each in package.get("vulns", []):
            fixed = ", ".join(each.get("fix_versions") or []) or "no version yet"
            what = (each.get("description") or "").partition("\n")[0]
            lines.append(f"{package['name']} {package['version']}: {each['id']} (fixed in {fixed}) {what}".rstrip())
    return lines


def asked(report: Mapping[str, Any]) -> int:
    """Return about how many packages the service knew anything, be it good."""
    return sum("vulns" in package for package in report.get("dependencies", []))


def audit(requirements: Path, accepted: Sequence[Ignored], arguments: Sequence[str]) -> int:
    """Run pip-audit over `requirements`; returns 0 also when the service cannot be asked, and says so."""
    flags = [flag for each in accepted for flag in ("--ignore-vuln", each.id)]
    command = [*PIP_AUDIT, "--format", "json", "--requirement", str(requirements), *flags, *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        print(NOT_DONE)
        return 0
    try:
        report = json.loads(done.stdout)
    except ValueError:
        if done.returncode and UNREACHABLE.search(done.stderr):
            print(NOT_DONE)
            return 0
        print(done.stdout + done.stderr, file=sys.stderr)
        return WRONG
    if not asked(report):  # a mirror of the packages alone
        print(NOT_DONE)
        return 0
    found = findings(report)
    for line in found:
        print(f"vulnerable: {line}")
    print(f"audit: {len(found)} known vulnerabilities in {asked(report)} locked packages; {len(accepted)} ignored")
    return VULNERABLE if found else 0


def main(arguments: Sequence[str]) -> int:
    """Audit uv.lock; further arguments go to pip-audit, for example `--vulnerability-service osv`."""
    accepted, faults = ignored(IGNORED.read_text(encoding="utf-8"), datetime.now(UTC).date())
    for fault in faults:
        print(f"{IGNORED.name}: {fault}", file=sys.stderr)
    if faults:
        return WRONG
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        command = [os.environ.get("UV", "uv"), *EXPORT, "--output-file", str(requirements)]
        subprocess.run(command, cwd=ROOT, check=True)
        return audit(requirements, accepted, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
