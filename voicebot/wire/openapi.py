"""Publishes the HTTP API as OpenAPI 3.1, from the models and the table that the handlers use."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from voicebot.wire.api import PROBLEM_MEDIA, Problem
from voicebot.wire.api_operations import EVENT_STREAM, JSON, OPERATIONS, Operation
from voicebot.wire.webhook import DIALECT

VERSION = "3.1.0"
_REF = "#/components/schemas/{model}"
_BEARER, _COOKIE = "token", "session"
MAX_ID_CHARS = 200
_RESUMED = [
    {
        "name": name,
        "in": place,
        "required": False,
        "description": "The id of the last event that was read; the stream goes on behind it.",
        "schema": {"type": "string", "maxLength": MAX_ID_CHARS},
    }
    for name, place in (("Last-Event-ID", "header"), ("last_event_id", "query"))
]


def document(*, version: str, cookie: str) -> dict[str, Any]:
    """Return the whole document; `version` is the service's, `cookie` the name of the browser's session."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": VERSION,
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "voicebot",
            "version": version,
            "description": "Calls, live and past: list, search, watch, act, export. Errors are problem details (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                _BEARER: {"type": "http", "scheme": "bearer", "description": "One of the tokens in `api.tokens`."},
                _COOKIE: {"type": "apiKey", "in": "cookie", "name": cookie, "description": "From `POST /session`."},
            },
        },
    }


def _schemas() -> dict[str, Any]:
    sent: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    sent += [(each.answer.model, "serialization") for each in OPERATIONS if each.answer.model]
    taken: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (each.body, "validation") for each in OPERATIONS if each.body
    ]
    _, shared = models_json_schema([*dict.fromkeys(sent), *dict.fromkeys(taken)], ref_template=_REF)
    definitions: dict[str, Any] = shared["$defs"]
    for definition in definitions.values():
        if "const" in definition.get("properties", {}).get("type", {}):
            definition["required"] = sorted({"type", *definition.get("required", ())})
    return definitions


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.about,
        "responses": _responses(operation),
        "security": [{_BEARER: []}, {_COOKIE: []}] if operation.scope else [],
    }
    if operation.scope:
        described["description"] = f"Needs a token with the scope `{operation.scope}`."
    resumed = _RESUMED if operation.answer.media == EVENT_STREAM else []
    if parameters := [*_path_parameters(operation), *_query_parameters(operation), *resumed]:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {JSON: {"schema": _reference(operation.body)}},
        }
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in operation.path_parameters]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(by_alias=True)
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": described.pop("description", ""),
            "schema": _inlined(described, schema.get("$defs", {})),
        }
        for name, described in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return the schema with its references followed; an absent parameter is not `null`."""
    match schema:
        case {"$ref": str(reference), **rest}:
            return _inlined({**definitions[reference.rpartition("/")[2]], **rest}, definitions)
        case {"anyOf": [one, {"type": "null"}], **rest}:
            kept = {key: value for key, value in rest.items() if key not in {"default", "title"}}
            return _inlined(one, definitions) | kept
        case dict():
            return {key: _inlined(value, definitions) for key, value in schema.items() if key != "title"}
        case list():
            return [_inlined(value, definitions) for value in schema]
        case _:
            return schema


def _responses(operation: Operation) -> dict[str, Any]:
    answer = operation.answer
    responses: dict[str, Any] = {str(int(answer.status)): {"description": answer.status.phrase}}
    if answer.media:
        schema = _reference(answer.model) if answer.model else {}
        responses[str(int(answer.status))]["content"] = {media: {"schema": schema} for media in answer.media}
    problem = {PROBLEM_MEDIA: {"schema": _reference(Problem)}}
    for status in sorted(set(operation.refusals())):
        responses[str(int(status))] = {"description": status.phrase, "content": problem}
    return responses


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
