"""The HTTP API against its own OpenAPI document, asked by schemathesis: what is published is what happens."""

import asyncio

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode

from voicebot.wire.api_operations import OPERATIONS

TOKEN = "admin-token-0123456789"
API = {"tokens": [{"name": "test", "token": TOKEN, "scopes": ["admin"]}]}
EXAMPLES = 8
"""For each operation and mode; real calls and events are asked for as well."""
INPUTLESS = ("DELETE", "/session")
"""Nothing can be wrong in a request that holds nothing."""
ORDER = ("get", "post", "delete")
"""What changes something comes last."""
STREAMS = {"/events", "/calls/{id}/events"}  # they end when the call does, or never
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]


def checked(operation, mode, known, headers):
    """Ask one operation with what the document allows, or forbids; `known` replaces what stands in the path."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.path_parameters = {**(case.path_parameters or {}), **known}
        if mode is GenerationMode.POSITIVE and case.query:
            case.query.pop("cursor", None)  # only the service makes them
        case.call_and_validate(headers=headers)

    ask()


def walk(address, known):
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked = []
    found = [result.ok() for result in schema.get_all_operations()]
    for operation in sorted(found, key=lambda each: ORDER.index(each.method.lower())):
        if operation.path in STREAMS:
            continue
        asked.append((operation.method.upper(), operation.path))
        checked(operation, GenerationMode.POSITIVE, {}, headers)
        if asked[-1] != INPUTLESS:
            checked(operation, GenerationMode.NEGATIVE, {}, headers)
        names = {parameter.name for parameter in operation.path_parameters}
        for values in known if names else ():
            checked(operation, GenerationMode.POSITIVE, {name: values[name] for name in names}, headers)
    return asked


@pytest.mark.timeout(170)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # schemathesis's own affair
async def test_the_service_does_what_its_document_says(house):
    h = await house(HELLO, api=API, default={"turns": {"no_input_ms": 0}})
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "Goodbye."}, {"type": "hangup"}]})
    ended = await h.call()
    assert ended.exit_code == 0, ended.notes
    await h.empty()
    h.app.on("turn.completed", {})
    phone = h.dial()
    await h.app.until("turn.completed", call=phone.sid)
    events = [event["id"] for event in h.app.events]
    known = [{"id": ended.call_sid, "event": events[0]}, {"id": phone.sid, "event": events[-1]}]
    asked = await asyncio.to_thread(walk, h.address, known)
    published = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert {each for each in published if each[1] not in {*STREAMS, "/openapi.json"}} == set(asked)
