"""The audit of the dependencies, by the real pip-audit against a stand-in for OSV: a finding fails, silence does not."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import audit
import pytest

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / ".tools" / "bin" / "uv"
UV = os.environ.get("UV") or (str(LOCAL) if LOCAL.exists() else shutil.which("uv"))
PLANTED = "GHSA-plan-ted0-0001"
TODAY = date(2026, 11, 25)


class Osv(BaseHTTPRequestHandler):
    """OSV's API (query); `server.found` names the package that has something."""

    def do_POST(self):
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        self.server.asked.append(name)
        if self.server.broken:
            self.send_error(503)
            return
        events = [{"introduced": "0"}, {"fixed": "999.0"}]
        affected = [
            {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ]
        vulnerability = {"id": PLANTED, "modified": MODIFIED, "summary": "planted", "affected": affected}
        self._send({"vulns": [vulnerability]} if name == self.server.found else {})

    def _send(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


MODIFIED = "2026-11-01T00:00:00Z"


@pytest.fixture
def osv():
    server = HTTPServer(("127.0.0.1", 0), Osv)
    server.asked, server.found, server.broken = [], "", False
    thread = Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def service(url):
    return ("--vulnerability-service", "osv", "--osv-url", url)


def run(url):
    if UV is None:
        pytest.skip("no uv on this machine")
    command = [sys.executable, str(ROOT / "tools" / "audit.py"), *service(url)]
    environment = os.environ | {"UV": UV, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=environment)


def test_nothing_known(osv):
    done = run(osv.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 known vulnerabilities" in done.stdout
    assert {"aiohttp", "twilio", "pytest"} <= set(osv.asked)


@pytest.fixture
def one(tmp_path):
    """The locked packages, of which there is one."""
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("aiohttp==3.14.5 --hash=sha256:" + "0" * 64 + "\n")
    return wanted


def test_a_finding_fails(osv, one, capfd):
    osv.found = "aiohttp"
    assert audit.audit(one, [], service(osv.url)) == 1
    out = capfd.readouterr().out
    assert out.startswith(f"vulnerable: aiohttp 3.14.5: {PLANTED} (fixed in 999.0)")


@pytest.mark.parametrize("why", ["nobody", "broken"])
def test_a_service_that_cannot_be_asked_is_said_and_fails_nothing(osv, one, capfd, why):
    osv.broken = True
    assert audit.audit(one, [], service(osv.url if why == "broken" else "http://127.0.0.1:9/")) == 0
    assert capfd.readouterr().out == audit.NOT_DONE + "\n"


def test_what_is_ignored_has_a_reason_and_a_day():
    entry = '[[ignored]]\nid = "GHSA-1"\nreason = "only in its server"\nuntil = 2026-11-25\n'
    good, faults = audit.ignored(entry, TODAY)
    assert ([each.id for each in good], faults) == (["GHSA-1"], [])
    assert audit.ignored(entry, date(2026, 11, 26))[1] == ["GHSA-1: was ignored until 2026-11-25; look at it again"]
    for wrong in ('reason = "only in its server"', "until = 2026-11-25", 'id = "GHSA-1"'):
        assert audit.ignored(entry.replace(wrong, ""), TODAY)[1]
    assert audit.ignored((ROOT / "tools" / "audit_ignored.toml").read_text(encoding="utf-8"), TODAY) == ([], [])


def test_what_is_ignored_is_not_found(osv, one, capfd):
    osv.found = "aiohttp"
    assert audit.audit(one, [audit.Ignored(PLANTED, "planted", TODAY)], service(osv.url)) == 0
    assert audit.audit(one, [], ["--no-such-flag"]) == 2
    assert "0 known vulnerabilities in 1 locked packages; 1 ignored" in capfd.readouterr().out


def test_a_mirror_that_knows_nothing_of_vulnerabilities_is_no_audit(capfd, tmp_path, monkeypatch):
    report = {"dependencies": [{"name": "aiohttp", "skip_reason": "not found"}], "fixes": []}
    monkeypatch.setattr(audit, "PIP_AUDIT", (sys.executable, "-c", f"print({json.dumps(json.dumps(report))})"))
    assert audit.audit(tmp_path / "requirements.txt", [], []) == 0
    assert capfd.readouterr().out == audit.NOT_DONE + "\n"
