"""Canaries: words and secrets that would be noticed wherever they come out, through calls that go well and calls that fail."""

import io
import json
import sqlite3
from dataclasses import fields

import pytest
import structlog
from aiohttp import web

from voicebot import live, logs
from voicebot.config import LogSettings, Settings, SonioxSettings, secret_values, shown_url
from voicebot.courier.poster import Poster
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.local.soniox.server import Faults
from voicebot.soniox_socket import without_key

HEARD, SAID, STATE = "zebrafish", "quokka", "axolotl"
WORDS = (HEARD, SAID, STATE)
URL_SECRETS = ("okapi-password", "tapir-query", "gnu-password")
TOKENS = ("watch-token-0123456789", "control-token-0123456789", "admin-token-0123456789")
SECRETS = ("the-key", DEFAULT_AUTH_TOKEN, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY", *TOKENS, *URL_SECRETS)
SCRIPT = [
    {"at_ms": 300 + 900 * n, "say": f"{HEARD} {n}", "until_ms": 600 + 900 * n, "end_ms": 800 + 900 * n}
    for n in range(12)
]
SAY = {"type": "say", "text": f"A {SAID} on the phone."}
PLAY = f"http://okapi:{URL_SECRETS[0]}@127.0.0.1:9/ibex.wav?key={URL_SECRETS[1]}"
COPY = {"copy_url": f"http://gnu:{URL_SECRETS[2]}@127.0.0.1:9/copy?key={URL_SECRETS[1]}"}


def raw(body, content_type="application/json", status=200):
    return lambda _event: web.Response(status=status, body=body.encode(), headers={"Content-Type": content_type})


BAD = [
    raw(f'{{"actions": [{{"type": "say", "text": "{SAID}"'),
    raw(json.dumps({"actions": [{"type": "say", "text": SAID, "speed": f"{SAID}"}]})),
    raw(json.dumps({"actions": [{"type": "say", "text": [SAID]}]})),
    raw(json.dumps({"actions": [{"type": "configure", "voice": SAID, "context": {"text": 1e999}}]})),
    raw(SAID * 20_000, "text/plain"),
    raw(f"{SAID}", "text/plain; charset=utf-99"),
    raw(f"<b>{SAID}</b>", "text/html"),
    raw(f"it is out of order: {SAID}", "text/plain", 500),
    raw(f"no, {SAID}", "text/plain", 403),
]


def leaks(text, canaries):
    return [canary for canary in canaries if canary in text]


async def test_nothing_said_and_no_secret_is_in_log_metrics_or_troubles(house, api, logs, caplog):
    caplog.set_level("WARNING")  # as `voicebot serve` has it for libraries, whatever its own level
    h = await house(SCRIPT, api=api.settings, webhook=COPY | {"retry_waits_s": [0.01], "reply_deadline_s": 1})
    h.app.on("call.started", {"actions": [SAY, {"type": "play", "url": PLAY}], "state": {"animal": STATE}})
    h.app.on("turn.completed", *BAD, {"actions": [SAY, {"type": "hangup", "reason": "done"}]})
    await h.call()
    answers = []
    async with api(h) as client:
        for method, path, body in (
            ("GET", "/calls?cursor=quokka", None),
            ("GET", "/calls?limit=quokka", None),
            ("GET", "/calls/zz", None),
            ("POST", "/calls", {"to": "quokka", "from": "+15550100"}),
            ("POST", "/session", {"token": "quokka-" + TOKENS[0]}),
        ):
            answers.append(await client.ask(method, path, body))
    told = "\n".join(map(str, logs)) + caplog.text
    assert "call.trouble" in told
    assert leaks(told, WORDS + SECRETS) == []
    troubles = [event for event in h.seen if isinstance(event, live.Trouble | live.WebhookAttempt | live.ReplyMissing)]
    assert len(troubles) > len(BAD)
    assert leaks(str(troubles), SECRETS) == []
    assert leaks("".join(str(event) for event in troubles if isinstance(event, live.Trouble)), WORDS) == []
    for answer in answers:
        assert leaks(answer.body.decode(), SECRETS) == []
        assert leaks(answer.body.decode(), WORDS) == []
    async with api(h) as client:
        assert leaks((await client.get("/metrics", token=None)).body.decode(), WORDS + SECRETS) == []
    assert h.app.of("turn.completed"), "the calls did say it"


async def test_a_bug_is_told_with_its_stack_and_without_the_values_in_it(house, logs, monkeypatch):
    from voicebot.call.speaker import Speaker

    h = await house(SCRIPT)
    h.app.on("call.started", {"actions": [SAY]})

    def broken(_self, script):
        secret_local = script, SAID
        raise ZeroDivisionError(len(secret_local))

    monkeypatch.setattr(Speaker, "perform", broken)
    await h.call()
    failed = [entry for entry in logs if entry["event"] == "call.failed"]
    assert "ZeroDivisionError" in failed[0]["exception"]
    assert leaks(str(failed), WORDS + SECRETS) == []
    logs.all[:] = [entry for entry in logs if entry["event"] != "call.failed"]


async def test_a_store_that_refuses_rows_repeats_none(house, logs):
    h = await house(SCRIPT)
    path = h.settings.store.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in {"turns", "utterances"} & set(tables):
            database.execute(
                f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'planted'); END"
            )
    database.close()
    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.completed", {"actions": [SAY, {"type": "hangup"}]})
    await h.call()
    await h.trouble("not in the store")
    assert leaks("\n".join(map(str, logs)), WORDS + SECRETS) == []


async def test_a_recogniser_that_repeats_the_key(house, logs):
    """Soniox names what it did not take; whoever watches the call may not read it."""
    h = await house(SCRIPT, Faults(error_at_ms=400, error_code=401), soniox={"connect_attempts": 1})
    phone = h.dial()
    await h.live(live.Trouble)
    await phone.hang_up()
    await h.empty()
    assert leaks(str(list(logs)) + str(h.seen.all), SECRETS) == []


def test_a_message_that_quotes_a_key_is_told_without_it():
    settings = SonioxSettings(api_key="the-key-it-is", fallback={"api_key": "the-other-key"})
    told = without_key("Invalid API key: the-key-it-is, nor the-other-key", settings)
    assert told == "Invalid API key: ***, nor ***"


def fail(secrets, local_value):
    raise RuntimeError("a peer repeats " + " ".join(sorted(secrets)) + str(len(local_value)))


SETTINGS = {
    "twilio": {"auth_token": "twilio-canary"},
    "soniox": {"api_key": "soniox-canary"},
    "webhook": {
        "secrets": ["whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"],
        "copy_secrets": ["whsec_" + "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"],
        "url": "https://me:webhook-canary@app.example.com/a?key=query-canary",
    },
    "store": {"url": "postgresql+psycopg://me:store%20canary@db.example.com/calls"},
    "api": {"tokens": [{"name": "a", "token": 'token-"canary"-0123456789'}]},
}
HIDDEN = [
    "twilio-canary",
    "soniox-canary",
    "QUJDREVG",
    "YWJjZGVm",
    "webhook-canary",
    "store canary",
    "store%20canary",
    'canary"-0',
]


def test_the_settings_show_no_secret_however_they_are_printed():
    settings = Settings.model_validate(SETTINGS)
    shown = repr(settings) + str(settings) + repr(settings.store) + settings.api.model_dump_json()
    assert leaks(shown, [each for each in HIDDEN if each != "webhook-canary"]) == []
    assert shown_url(settings.webhook.url) == "https://app.example.com/a"
    known = {field.name: None for field in fields(Poster)} | {"secrets": ("canary",)}
    poster = Poster(**known)
    assert "canary" not in repr(poster)


@pytest.mark.parametrize("style", ["console", "json"])
def test_whoever_writes_a_secret_into_the_log_does_not_get_it_there(style):
    settings = Settings.model_validate(SETTINGS)
    secrets = secret_values(settings)
    assert all(any(secret in value for value in secrets) for secret in HIDDEN if len(secret) > 9)
    stream = io.StringIO()
    before = structlog.get_config()
    try:
        logs.set_up(LogSettings(format=style, level="debug"), stream, secrets=secrets)
        structlog.configure(cache_logger_on_first_use=False)
        log = structlog.get_logger()
        for secret in secrets:
            log.info("a library says", text=f"could not use {secret} here", more={"deep": [secret]})
        try:
            fail(secrets, f"{HEARD} is what was said")
        except RuntimeError:
            log.exception("broken")
            import logging

            logging.getLogger("aiohttp.server").exception("a library's own: %s", sorted(secrets))
    finally:
        structlog.configure(**before)
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])
        logging.getLogger().setLevel(logging.WARNING)
    told = stream.getvalue()
    assert told.count("RuntimeError") >= 2
    assert "[secret]" in told
    assert leaks(told, [*HIDDEN, HEARD]) == []
