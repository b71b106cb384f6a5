"""Who may ask the API: tokens, scopes, sessions of browsers, and those who guess."""

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest
from pydantic import ValidationError

from voicebot.config import ApiSettings
from voicebot.web.api.rates import MAX_KEYS, Peers, PerMinute
from voicebot.web.api.tokens import Tokens
from voicebot.wire.api_operations import OPERATIONS

HOME = "https://voice.example.com"
SCOPES = ("watch", "control", "admin")


def filled(path):
    return path.replace("{id}", "CAnobody").replace("{event}", "evt_nobody")


# --- tokens and scopes ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.scope], ids=lambda each: each.id)
async def test_every_operation_asks_for_its_scope(house, api, operation):
    h = await house(api=api.settings)
    async with api(h) as client:
        for token, status, kind in (
            (None, 401, "no-token"),
            ("wrong-token-0123456789", 401, "unknown-token"),
            *((scope, 403, "scope") for scope in SCOPES[: SCOPES.index(operation.scope)]),
        ):
            answer = await client.ask(operation.method.upper(), filled(operation.path), token=token)
            assert (answer.status, answer.kind) == (status, kind)
        assert h.metric("refused_total", door="api", why="no-token") == 1


async def test_without_tokens_the_api_is_closed_and_says_how_to_open_it(house, api):
    h = await house()
    async with api(h) as client:
        for answer in (await client.get("/calls"), await client.post("/session", {"token": "x"}, token=None)):
            assert (answer.status, answer.kind) == (403, "api-closed")
            assert "VOICEBOT_API__TOKENS" in answer.json["detail"]


@pytest.mark.parametrize("header", ["Basic eDp5", "Bearer", "Bearer  ", "Token admin-token-0123456789"])
async def test_strange_keys(house, api, header):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await client.get("/calls", token=None, headers={"Authorization": header})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_no_token_is_in_the_log(house, api, logs):
    h = await house(api=api.settings)
    async with api(h) as client:
        await client.get("/calls", token="a-wrong-token-0123456789")
        await client.get("/calls", token="admin")
        await client.post("/session", {"token": api.tokens["watch"]}, token=None)
    told = str(list(logs))
    assert "api.refused" in told
    assert "api.session_opened" in told
    assert "token-0123456789" not in told


async def test_every_answer_is_hardened(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        for answer in (
            await client.get("/calls"),
            await client.get("/calls", token=None),
            await client.get("/calls/a/b/c"),
        ):
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_unknown_paths_and_methods_are_told_as_problems(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        missing, wrong = await client.get("/calls/a/b/c"), await client.ask("PUT", "/calls")
        assert (missing.status, missing.kind) == (404, "not-found")
        assert (wrong.status, wrong.kind, wrong.headers["Allow"]) == (405, "method-not-allowed", "GET,POST")
        assert (await client.get("/elsewhere")).type == "text/plain"


# --- guessing -------------------------------------------------------------------------------------


async def test_one_who_guesses_has_to_wait_with_a_good_token_too(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        for number in range(5):
            assert (await client.get("/calls", token=f"guess-{number}-0123456789")).status == 401
        for token in ("guess-6-0123456789", "admin"):
            answer = await client.get("/calls", token=token)
            assert (answer.status, answer.kind) == (429, "too-many-failures")
            assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert (await client.post("/session", {"token": "x"}, token=None)).status == 429
        # Behind the proxy on this machine, each client counts for itself.
        assert (await client.get("/calls", headers={"X-Forwarded-For": "192.0.2.7"})).status == 200


def test_failures_are_forgotten_after_a_minute_and_their_memory_is_bounded():
    now = [0.0]
    failures = PerMinute(2, lambda: now[0])
    failures.note("a")
    assert failures.wait_s("a") == 0
    failures.note("a")
    assert failures.wait_s("a") == 60
    now[0] = 59.0
    assert failures.wait_s("a") == 1
    now[0] = 60.0
    assert failures.wait_s("a") == 0
    failures.note("a")
    assert failures.wait_s("a") == 0
    failures.note("a")
    for number in range(MAX_KEYS):
        failures.note(str(number))
    assert failures.wait_s("a") == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("192.0.2.1", "", "192.0.2.1", id="direct"),
        pytest.param("192.0.2.1", "198.51.100.9", "192.0.2.1", id="a-stranger-claims"),
        pytest.param("127.0.0.1", "198.51.100.9", "198.51.100.9", id="our-proxy"),
        pytest.param("127.0.0.1", "203.0.113.5, 198.51.100.9", "198.51.100.9", id="the-last-counts"),
        pytest.param("127.0.0.1", "203.0.113.5, 10.0.0.3", "203.0.113.5", id="two-proxies"),
        pytest.param("::ffff:127.0.0.1", "198.51.100.9", "198.51.100.9", id="mapped"),
        pytest.param("2001:db8::1:2:3:4", "", "2001:db8::/64", id="ipv6-network"),
        pytest.param("127.0.0.1", "unknown", "127.0.0.1", id="no-address"),
        pytest.param("", "", "", id="nothing"),
    ],
)
def test_who_asks(peer, forwarded, address):
    assert Peers(("127.0.0.0/8", "10.0.0.0/8")).address(peer, forwarded) == address


# --- sessions -------------------------------------------------------------------------------------


async def opened(client, scope="control", **headers):
    answer = await client.post("/session", {"token": client_token(scope)}, token=None, headers=headers)
    assert answer.status == 200, answer.body
    return answer


def client_token(scope):
    return f"{scope}-token-0123456789"


async def test_a_browser_signs_in_and_out(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await opened(client)
        assert (answer.json["name"], answer.json["scopes"]) == ("control", ["watch", "control"])
        morsel = answer.cookies["voicebot_session"]
        assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]) == (True, "Strict", "/", "")
        cookie = {"Cookie": f"voicebot_session={morsel.value}"}
        shown = await client.get("/session", token=None, headers=cookie)
        assert (shown.status, shown.json) == (200, answer.json)
        assert (await client.get("/calls", token=None, headers=cookie)).status == 200
        assert (await client.get("/session", token="admin")).json["expires_at"] is None
        closed = await client.delete("/session", token=None, headers=cookie | {"Origin": h.address})
        assert closed.status == 204
        assert SimpleCookie(closed.headers["Set-Cookie"])["voicebot_session"]["max-age"] == "0"


async def test_the_cookie_is_for_tls_alone_unless_the_browser_is_on_this_machine(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await opened(client, Host="voice.example.com")
        assert answer.cookies["voicebot_session"]["secure"] is True


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        pytest.param(None, 403, id="none"),
        pytest.param("https://evil.example", 403, id="foreign"),
        pytest.param("null", 403, id="null"),
        pytest.param("https://voice.example.com.evil.example", 403, id="alike"),
        pytest.param(HOME, 404, id="public"),
        pytest.param("direct", 404, id="direct"),
    ],
)
async def test_a_cookie_acts_for_our_own_pages_alone(house, api, origin, status):
    h = await house(api=api.settings)
    async with api(h) as client:
        cookie = {"Cookie": f"voicebot_session={(await opened(client)).cookies['voicebot_session'].value}"}
        if origin:
            cookie["Origin"] = h.address if origin == "direct" else origin
        answer = await client.post("/calls/CAnobody/finalize", token=None, headers=cookie)
        assert answer.status == status
        if status == 403:
            assert answer.kind == "foreign-origin"


async def test_a_foreign_page_signs_nobody_in(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await client.post(
            "/session", {"token": api.tokens["watch"]}, token=None, headers={"Origin": "https://evil.example"}
        )
        assert (answer.status, answer.kind) == (403, "foreign-origin")


@pytest.mark.parametrize("cookie", ["x", "a.b", "WyJhZG1pbiIsOTk5OTk5OTk5OV0.x", "." * 5_000])
async def test_forged_cookies(house, api, cookie):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await client.get("/calls", token=None, headers={"Cookie": f"voicebot_session={cookie}"})
        assert (answer.status, answer.kind) == (401, "session-over")


def test_a_session_ends_and_with_its_token_too():
    settings = ApiSettings.model_validate({"tokens": [{"name": "a", "token": "a" * 20, "scopes": ["admin"]}]})
    tokens, now = Tokens(settings.tokens), datetime(2026, 11, 22, tzinfo=UTC)
    cookie, holder = tokens.cookie("a", now, timedelta(hours=1))
    assert tokens.session(cookie, now) == holder
    assert tokens.session(cookie, now + timedelta(hours=1)) is None
    claim, _, seal = cookie.partition(".")
    assert tokens.session(f"{claim[:-2]}AA.{seal}", now) is None
    other = ApiSettings.model_validate({"tokens": [{"name": "a", "token": "b" * 20}]})
    assert Tokens(other.tokens).session(cookie, now) is None


@pytest.mark.parametrize(
    "token",
    [
        pytest.param({"token": "short"}, id="short"),
        pytest.param({"token": "with spaces in between them"}, id="spaces"),
        pytest.param({"scopes": []}, id="no-scope"),
        pytest.param({"scopes": ["root"]}, id="unknown-scope"),
        pytest.param({"name": "a\nb"}, id="name"),
    ],
)
def test_tokens_that_cannot_be_set(token):
    good = {"name": "a", "token": "0123456789" * 2, "scopes": ["watch"]}
    ApiSettings.model_validate({"tokens": [good]})
    with pytest.raises(ValidationError) as error:
        ApiSettings.model_validate({"tokens": [good | token]})
    assert "0123456789" not in str(error.value)
    for twin in ({"name": "b"}, {"token": "x" * 20}):
        with pytest.raises(ValidationError, match="same"):
            ApiSettings.model_validate({"tokens": [good, good | twin]})
