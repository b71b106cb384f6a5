"""Sessions, pages and files: what a browser holds, and what another page, or a copied cookie, can do with it."""

import asyncio

import pytest
from yarl import URL

from voicebot.web.api.tokens import MAX_CLOSED, Holder, Tokens
from voicebot.wire.api_operations import OPERATIONS

ORIGIN = "https://voice.example.com"


async def signed_in(client, scope="control", **headers):
    body = {"token": client_token(scope)}
    answer = await client.post("/session", body, token=None, headers=headers)
    assert answer.status == 200, answer.body
    return {"Cookie": f"voicebot_session={answer.cookies['voicebot_session'].value}", "Origin": client.house.address}


def client_token(scope):
    return f"{scope}-token-0123456789"


def filled(path):
    return path.replace("{id}", "CAnobody").replace("{event}", "evt_nobody")


async def test_a_copied_cookie_is_dead_once_its_owner_signs_out(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        mine, twin = await signed_in(client), await signed_in(client)
        assert (await client.get("/calls", token=None, headers=mine)).status == 200
        assert (await client.delete("/session", token=None, headers=mine)).status == 204
        for path in ("/calls", "/session", "/events"):
            answer = await client.get(path, token=None, headers=mine)
            assert (answer.status, answer.kind) == (401, "session-over")
        # Another session of the same token, begun in the same second, goes on.
        assert (await client.get("/calls", token=None, headers=twin)).status == 200
        assert (await client.delete("/session", token=None, headers=mine)).status == 204, "twice is no fault"


def test_the_memory_of_closed_sessions_is_bounded():
    from datetime import UTC, datetime, timedelta

    now = datetime(2026, 11, 22, tzinfo=UTC)
    tokens = Tokens(())
    for number in range(MAX_CLOSED + 5):
        tokens.close(Holder("a", frozenset(), now + timedelta(hours=1), str(number)), now)
    assert len(tokens._closed) == MAX_CLOSED
    tokens.close(Holder("a", frozenset(), now + timedelta(hours=9), "last"), now + timedelta(hours=2))
    assert list(tokens._closed) == ["last"]


async def test_a_session_that_somebody_else_has_chosen(house, api):
    """Fixation: signing in always makes a new one, and the one that came along is worth nothing."""
    h = await house(api=api.settings)
    async with api(h) as client:
        planted = {"Cookie": "voicebot_session=planted.planted"}
        answer = await client.post("/session", {"token": api.tokens["watch"]}, token=None, headers=planted)
        assert "planted" not in answer.cookies["voicebot_session"].value
        assert (await client.get("/calls", token=None, headers=planted)).status == 401


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.method != "get"], ids=lambda each: each.id)
@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", f"{ORIGIN}:8443", f"http{ORIGIN[5:]}"])
async def test_no_other_page_acts_with_the_cookie(house, api, operation, origin):
    if operation.id == "open_session" and origin is None:
        pytest.skip("programs sign in as well, and send no cookie along that could be misused")
    h = await house(api=api.settings)
    async with api(h) as client:
        cookie = await signed_in(client, "admin")
        del cookie["Origin"]
        headers = cookie | ({"Origin": origin} if origin else {})
        body = {"token": api.tokens["admin"]} if operation.id == "open_session" else None
        answer = await client.ask(operation.method.upper(), filled(operation.path), body, token=None, headers=headers)
        assert (answer.status, answer.kind) == (403, "foreign-origin")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
async def test_no_answer_may_be_read_by_another_page_or_kept_by_a_cache(house, api, operation):
    h = await house(api=api.settings)
    async with api(h) as client:
        headers = {"Origin": "https://evil.example"}
        if operation.id in {"watch_all", "watch_call"}:
            headers["Authorization"] = "Bearer nothing-0123456789012"
            answer = await client.get(filled(operation.path), token=None, headers=headers)
        else:
            answer = await client.ask(operation.method.upper(), filled(operation.path), headers=headers)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        preflight = await client.ask("OPTIONS", filled(operation.path), headers=headers)
        assert preflight.status == 405


async def test_live_events_have_the_headers_too_and_take_no_token_from_the_address(house, api):
    h = await house(api=api.settings)
    async with api(h) as client:
        for query in ("?token=", "?access_token=", "?authorization=Bearer "):
            assert (await client.get(f"/events{query}{api.tokens['admin']}", token=None)).status == 401
        key = {"Authorization": f"Bearer {api.tokens['watch']}"}
        async with client.session.get(f"{h.address}/events", headers=key) as stream:
            assert stream.status == 200
            assert stream.headers["Cache-Control"] == "no-store"
            assert stream.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/console/static/../doors.py",
        "/console/static/..%2fdoors.py",
        "/console/static/%2e%2e/doors.py",
        "/console/static/..%5cdoors.py",
        "/console/static/%00index.html",
        "/console/static//etc/passwd",
        "/console/static/doors.py",
        "/console/../../etc/passwd",
    ],
)
async def test_the_pages_files_are_those_and_no_others(house, path):
    import aiohttp

    h = await house()
    async with aiohttp.ClientSession() as session:
        url = URL(f"{h.address}{path}", encoded=True)
        async with session.get(url) as answer:
            assert answer.status == 404
            assert b"import" not in await answer.read()


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "..", "%2e%2e%2fsecret", "secret%00", "*", "..%5csecret", "[a-z]*"]
)
async def test_no_recording_outside_of_its_folder(house, api, tmp_path, name):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (tmp_path / "secret.jsonl").write_text('{"type": "head"}\n', encoding="utf-8")
    (folder / "secret.jsonl").write_text('{"type": "head"}\n', encoding="utf-8")
    h = await house(api=api.settings, record={"directory": str(folder)})
    async with api(h) as client:
        url = URL(f"{h.address}/calls/{name}/recording", encoded=True)
        key = {"Authorization": f"Bearer {api.tokens['admin']}"}
        async with client.session.get(url, headers=key) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("name", ['CA1"; filename="x.html', "CA1%0d%0aSet-Cookie: a=b", "CA1%0aX: y", "CA1%c3%a9"])
async def test_a_name_adds_no_header_to_an_export(house, api, carrier, name):
    """A call's name is the carrier's, and whoever signs may choose it."""
    h = await house(api=api.settings)
    from urllib.parse import unquote

    async with carrier(h) as twilio, api(h) as client:
        await twilio.ring(unquote(name))
        await twilio.post("/twilio/status", twilio.form(unquote(name), CallStatus="completed"))
        await h.empty()
        url = URL(f"{h.address}/calls/{name.replace(' ', '%20')}/export", encoded=True)
        key = {"Authorization": f"Bearer {api.tokens['admin']}"}
        async with client.session.get(url, headers=key) as answer:
            given = answer.headers.get("Content-Disposition", "")
            assert answer.status == (404 if "%0" in name else 200)
            assert given.count('"') in {0, 2}
            assert "Set-Cookie" not in answer.headers
            assert "X" not in answer.headers


# --- how often --------------------------------------------------------------------------------------------


async def test_one_token_asks_no_more_than_so_often(house, api):
    h = await house(api=api.settings | {"requests_per_minute": 10})
    async with api(h) as client:
        from_elsewhere = ({"X-Forwarded-For": f"192.0.2.{number}"} for number in range(1, 20))
        for _ in range(10):
            assert (await client.get("/calls", headers=next(from_elsewhere))).status == 200
        answer = await client.get("/calls", headers=next(from_elsewhere))
        assert (answer.status, answer.kind) == (429, "too-many-requests")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert (await client.get("/calls", token="watch", headers=next(from_elsewhere))).status == 200


async def test_one_address_asks_no_more_than_so_often_with_or_without_a_token(house, api):
    h = await house(api=api.settings | {"requests_per_minute": 10})
    async with api(h) as client:
        for _ in range(10):
            assert (await client.get("/openapi.json", token=None)).status == 200
        for path in ("/openapi.json", "/calls"):
            assert (await client.get(path)).kind == "too-many-requests"
        assert (await client.post("/session", {"token": "x"}, token=None)).kind == "too-many-requests"
        assert (await client.get("/healthz", token=None)).status == 200


async def test_one_token_reads_no_more_than_so_many_streams(house, api):
    h = await house(api=api.settings, live={"readers_per_token": 2})
    async with api(h) as client:
        key = {"Authorization": f"Bearer {api.tokens['watch']}"}
        first, second = [await client.session.get(f"{h.address}/events", headers=key) for _ in range(2)]
        answer = await client.get("/events", token="watch")
        assert (answer.status, answer.kind) == (503, "no-stream")
        other = await client.session.get(
            f"{h.address}/events", headers={"Authorization": f"Bearer {api.tokens['admin']}"}
        )
        assert other.status == 200
        first.close()
        async with asyncio.timeout(20):
            while (again := await client.session.get(f"{h.address}/events", headers=key)).status != 200:
                again.close()
        for stream in (second, other, again):
            stream.close()
