"""A client of the API, for any house."""

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

TOKENS = {
    "watch": "watch-token-0123456789",
    "control": "control-token-0123456789",
    "admin": "admin-token-0123456789",
}
SETTINGS = {
    "tokens": [{"name": scope, "token": token, "scopes": [scope]} for scope, token in TOKENS.items()],
    "failures_per_minute": 5,
}


class Answer:
    """An HTTP answer, read."""

    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body
        self.cookies = response.cookies
        self.type = response.content_type

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def kind(self):
        """The kind of a problem."""
        assert self.type == "application/problem+json", self.body
        problem = self.json
        assert (problem["status"], problem["instance"][:1]) == (self.status, "/")
        return problem["type"].removeprefix("urn:voicebot:problem:")


class Client:
    """Asks the API of one house."""

    def __init__(self, house, session):
        self.house, self.session = house, session

    async def ask(self, method, path, body=None, *, token="admin", **request):
        """Ask; `token` is a scope, another token, or None."""
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {TOKENS.get(token, token)}"
        if body is not None:
            request["data"] = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, f"{self.house.address}{path}", headers=headers, allow_redirects=False, **request
        ) as response:
            return Answer(response, await response.read())

    async def get(self, path, **request):
        return await self.ask("GET", path, **request)

    async def post(self, path, body=None, **request):
        return await self.ask("POST", path, body, **request)

    async def delete(self, path, **request):
        return await self.ask("DELETE", path, **request)


@pytest.fixture
def api():
    """Ask a house opened with `api=SETTINGS`: `async with api(h) as client:`."""

    @asynccontextmanager
    async def open_client(house):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Client(house, session)

    open_client.settings = SETTINGS
    open_client.tokens = TOKENS
    return open_client
