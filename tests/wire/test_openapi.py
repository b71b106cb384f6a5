"""The published document of the HTTP API holds together, and docs/api.md says the same."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from voicebot.call.admission import Why
from voicebot.wire import api, api_requests
from voicebot.wire.api_operations import OPERATIONS
from voicebot.wire.api_requests import ActionsRequest, BadRequest, CallsQuery, DialRequest, read_body, read_query
from voicebot.wire.openapi import document

DOCUMENT = document(version="0.1.0", cookie="voicebot_session")
PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def references(value):
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)


def operations():
    return [(path, method, each) for path, methods in DOCUMENT["paths"].items() for method, each in methods.items()]


def test_every_reference_leads_somewhere_and_every_schema_is_used():
    assert DOCUMENT["openapi"] == "3.1.0"
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    used = set(references(DOCUMENT))
    assert used <= known
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert "null" not in {reference.rpartition("/")[2] for reference in used}


def test_every_operation_is_there_with_its_scope():
    assert {(path, method) for path, method, _ in operations()} == {(each.path, each.method) for each in OPERATIONS}
    assert len({each["operationId"] for *_, each in operations()}) == len(OPERATIONS)
    for path, _, each in operations():
        named = set(re.findall(r"{(\w+)}", path))
        assert {one["name"] for one in each.get("parameters", ()) if one["in"] == "path"} == named
        assert bool(each["security"]) == ("401" in each["responses"] and "scope" in each.get("description", ""))
        assert [status for status in each["responses"] if status < "300"]


@pytest.mark.parametrize(
    "model",
    [
        value
        for module in (api, api_requests)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__
    ],
    ids=lambda model: model.__name__,
)
def test_every_field_says_what_it_is(model):
    assert model.__doc__
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name}"
        assert field.description.rstrip().endswith((".", "?")), f"{model.__name__}.{name}"


def test_actions_are_the_same_as_in_a_reply():
    schema = DOCUMENT["components"]["schemas"]["Say"]
    assert schema["required"] == ["text", "type"]
    taken = read_body(ActionsRequest, b'{"actions": [{"type": "say", "text": "Hi."}]}')
    assert (taken.actions[0].text, taken.interrupt) == ("Hi.", False)


def test_each_fault_of_a_body_is_named():
    with pytest.raises(BadRequest) as bad:
        read_body(DialRequest, b'{"to": "x", "parameters": {"a/b": 1}, "more": 1}')
    assert {error.pointer for error in bad.value.errors} == {"#/to", "#/from", "#/parameters/a~1b", "#/more"} or {
        error.pointer.partition("/%5B")[0] for error in bad.value.errors
    } >= {"#/to", "#/from", "#/more"}


def test_each_fault_of_a_query_is_named():
    with pytest.raises(BadRequest) as bad:
        read_query(CallsQuery, {"limit": "0", "state": "x", "q": "a\x00b"})
    assert {error.parameter for error in bad.value.errors} == {"limit", "state", "q"}


# --- docs/api.md ----------------------------------------------------------------------------------


def test_the_page_lists_every_operation():
    rows = re.findall(r"^\| `(GET|POST|DELETE) (\S+)` \| (\w+|none) \|", PAGE, re.MULTILINE)
    assert rows == [(each.method.upper(), each.path, each.scope or "none") for each in OPERATIONS]


def test_the_page_names_every_parameter():
    for operation in OPERATIONS:
        if operation.query is not None:
            for field in operation.query.model_json_schema(by_alias=True)["properties"]:
                assert f"`{field}`" in PAGE, f"{operation.id}: {field}"


def test_the_page_explains_every_kind_of_problem():
    folder = Path(__file__).parents[2] / "voicebot" / "web" / "api"
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    kinds = set(re.findall(r'HTTPStatus\.\w+, "([a-z-]+)"', code)) | set(re.findall(r'conflict\(\s*"([a-z-]+)"', code))
    kinds |= set(get_args(Why.__value__))  # what keeps a call from being dialled
    assert len(kinds) > 20
    told = set(re.findall(r"^\| `([a-z-]+)` \| \d{3} \|", PAGE, re.MULTILINE))
    assert kinds - told == set()
    assert told - kinds <= {"method-not-allowed", "worker-away"}


def test_the_page_names_statuses_as_they_are():
    for kind, status in re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE):
        assert HTTPStatus(int(status)) >= HTTPStatus.BAD_REQUEST, kind
