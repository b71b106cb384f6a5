"""The console's files: what is served, with which promises to the browser, and that the source keeps them."""

import re

import aiohttp
import pytest
from aiohttp import web

from voicebot.web.console import ConsoleDoors
from voicebot.web.console.doors import DIRECTIVES

STATIC = "console/static"
MOST_LINES = 300


@pytest.fixture
async def client(aiohttp_client):
    application = web.Application()
    application.add_routes(ConsoleDoors().routes())
    return await aiohttp_client(application)


@pytest.fixture(scope="module")
def sources():
    """Every file of the console by its name."""
    from importlib.resources import files

    folder = files("voicebot.web.console") / "static"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


async def test_the_page_allows_nothing_from_elsewhere(client):
    answer = await client.get("/console")
    assert answer.status == 200
    assert answer.content_type == "text/html"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "media-src")} == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in "".join(DIRECTIVES)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_every_file_that_the_page_names_is_there_and_no_other_is_needed(client, sources):
    named = set(re.findall(r'(?:href|src)="console/static/([^"]+)"', sources["index.html"]))
    for name in named:
        answer = await client.get(f"/{STATIC}/{name}")
        assert answer.status == 200, name
        assert await answer.text() == sources[name]
        assert answer.headers["Content-Security-Policy"]
    imported = {name for text in sources.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert imported <= named
    assert set(sources) == named | {"index.html"}


@pytest.mark.parametrize(
    ("name", "kind"), [("main.js", "text/javascript"), ("base.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
async def test_files_say_what_they_are(client, name, kind):
    assert (await client.get(f"/{STATIC}/{name}")).content_type == kind


@pytest.mark.parametrize("name", ["none.js", "..%2fdoors.py", "..%2f..%2f__init__.py", "doors.py", "%00", "."])
async def test_nothing_else_is_served(client, name):
    from yarl import URL

    answer = await client.get(URL(f"/{STATIC}/{name}", encoded=True))
    assert answer.status == 404


async def test_what_the_browser_has_is_not_sent_again(client):
    first = await client.get("/console")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    again = await client.get("/console", headers={"If-None-Match": tag})
    assert (again.status, await again.read()) == (304, b"")
    other = await client.get("/console", headers={"If-None-Match": '"another"'})
    assert other.status == 200


async def test_only_reading_is_possible(client):
    async with client.post("/console") as answer:
        assert answer.status == 405
    async with client.head("/console") as answer:
        assert answer.status == 200
    assert isinstance(client.session, aiohttp.ClientSession)


def test_text_never_becomes_markup(sources):
    banned = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc"
    )
    for name, text in sources.items():
        assert banned.findall(text) == [], name


def test_nothing_is_inline(sources):
    page = sources["index.html"]
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []


def test_files_are_small(sources):
    assert {name for name, text in sources.items() if len(text.splitlines()) > MOST_LINES} == set()
    assert sum(map(len, sources.values())) < 150_000
