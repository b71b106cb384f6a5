"""The page about security describes every door there is, and names tests that are there."""

import re
from pathlib import Path

from aiohttp import web

from voicebot import app
from voicebot.wire.api_operations import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = {
    door: (protection, re.findall(r"`([^`]+)`", tests))
    for door, protection, tests in re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
}


async def test_every_route_of_the_application_is_described(house, monkeypatch):
    made = []
    build = app._application

    def kept(*arguments, **more):
        made.append(build(*arguments, **more))
        return made[-1]

    monkeypatch.setattr(app, "_application", kept)
    await house()
    (application,) = made
    doors = {
        f"{route.method} {route.resource.canonical}"
        for route in application.router.routes()
        if route.method != "HEAD" and isinstance(route, web.AbstractRoute)
    }
    assert doors == set(ROWS)


def test_every_operation_is_told_with_its_scope():
    for operation in OPERATIONS:
        protection, _ = ROWS[f"{operation.method.upper()} {operation.path}"]
        told = re.search(r"token or session: `(\w+)`", protection)
        assert (told[1] if told else None) == operation.scope, operation.id
        assert "rates" in protection
        if operation.method != "get":
            assert "same origin" in protection


def test_the_tests_that_it_names_are_there():
    named = {test for _, tests in ROWS.values() for test in tests}
    assert {name for name in named if not (ROOT / "tests" / name).is_file()} == set()
    assert all(tests for _, tests in ROWS.values())


def test_the_settings_that_it_names_are_there():
    from voicebot.config import Settings

    settings = Settings()
    sections = set(type(settings).model_fields)
    for name in set(re.findall(r"`([a-z]+\.[a-z_]+(?:\.[a-z_]+)?)`", PAGE)):
        section, *path = name.split(".")
        if section not in sections:
            continue
        value = getattr(settings, section)
        for part in path:
            assert hasattr(value, part), name
            value = getattr(value, part)


def test_how_to_report_a_hole():
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private security advisory" in policy
    assert "SECURITY.md" in PAGE
