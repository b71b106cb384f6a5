"""The audit of the dependencies, by the real uv against a stand-in for OSV: a finding fails, silence does not."""

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
    """OSV's API (querybatch, vulns); `server.found` names the package that has something."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked += [query["package"]["name"] for query in asked]
        if self.server.broken:
            self.send_error(503)
            return
        answer = [
            {"vulns": [{"id": PLANTED, "modified": MODIFIED}]} if q["package"]["name"] == self.server.found else {}
            for q in asked
        ]
        self._send({"results": answer})

    def do_GET(self):
        events = [{"introduced": "0"}, {"fixed": "999.0"}]
        package = {"ecosystem": "PyPI", "name": self.server.found}
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
        self._send({"id": PLANTED, "modified": MODIFIED, "summary": "planted", "affected": affected})

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


def run(url):
    if UV is None:
        pytest.skip("no uv on this machine")
    command = [sys.executable, str(ROOT / "tools" / "audit.py"), "--service-url", url]
    environment = os.environ | {"UV": UV, "UV_HTTP_RETRIES": "0", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=environment)


def test_nothing_known(osv):
    done = run(osv.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 known vulnerabilities" in done.stdout
    assert {"aiohttp", "twilio", "pytest"} <= set(osv.asked)


def test_a_finding_fails(osv):
    osv.found = "aiohttp"
    done = run(osv.url)
    assert done.returncode == 1
    assert f"{PLANTED} (fixed in 999.0) planted" in done.stdout
    assert done.stdout.startswith("vulnerable: aiohttp 3.")


@pytest.mark.parametrize("why", ["nobody", "broken"])
def test_a_service_that_cannot_be_asked_is_said_and_fails_nothing(osv, why):
    osv.broken = True
    done = run(osv.url if why == "broken" else "http://127.0.0.1:9/")
    assert (done.returncode, done.stdout) == (0, audit.NOT_DONE + "\n"), done.stderr


def test_what_is_ignored_has_a_reason_and_a_day():
    entry = '[[ignored]]\nid = "GHSA-1"\nreason = "only in its server"\nuntil = 2026-11-25\n'
    good, faults = audit.ignored(entry, TODAY)
    assert ([each.id for each in good], faults) == (["GHSA-1"], [])
    assert audit.ignored(entry, date(2026, 11, 26))[1] == ["GHSA-1: was ignored until 2026-11-25; look at it again"]
    for wrong in ('reason = "only in its server"', "until = 2026-11-25", 'id = "GHSA-1"'):
        assert audit.ignored(entry.replace(wrong, ""), TODAY)[1]
    assert audit.ignored((ROOT / "tools" / "audit_ignored.toml").read_text(encoding="utf-8"), TODAY) == ([], [])


def test_what_is_ignored_is_not_found(osv, capfd):
    if UV is None:
        pytest.skip("no uv on this machine")
    osv.found = "aiohttp"
    command = [UV, "audit", "--locked", "--output-format", "json", *audit.PREVIEWS, "--service-url", osv.url]
    assert audit.audit(command, [audit.Ignored(PLANTED, "planted", TODAY)]) == 0
    assert audit.audit(command, []) == 1
    assert audit.audit([*command, "--no-such-flag"], []) == 2
    assert "0 known vulnerabilities in uv.lock; 1 ignored" in capfd.readouterr().out
