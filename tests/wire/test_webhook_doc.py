"""The page about the webhook says what the models say, and every example on it is real."""

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from standardwebhooks import Webhook

from voicebot.config import WebhookSettings
from voicebot.core.actions import Action, BargeInPolicy, EndpointPolicy, Expect
from voicebot.core.turn_state import bare
from voicebot.wire import webhook_data
from voicebot.wire.webhook import EVENT_TYPES, WANTS_REPLY, parse_event, parse_reply
from voicebot.wire.webhook_events import CallStartedEvent
from voicebot.wire.webhook_reply import MAX_ACTIONS, MAX_TEXT, ReplyDocument

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
JSON = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
EVENTS = [document for document in JSON if "sequence" in document]
REPLIES = [document for document in JSON if "actions" in document]
ACTIONS = [document for document in JSON if document not in EVENTS and document not in REPLIES]
KINDS = get_args(Action.__value__)
TABLES = {
    name: re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
    for name, rows in re.findall(r"^<!-- fields: (\w+) -->\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
}
DATA = [
    model
    for model in vars(webhook_data).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields
]


def names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


@pytest.mark.parametrize("model", [*DATA, ReplyDocument], ids=lambda model: model.__name__)
def test_every_field_of_the_models_is_in_its_table(model):
    assert TABLES[model.__name__] == names(model)


@pytest.mark.parametrize("model", [*DATA], ids=lambda model: model.__name__)
def test_every_description_is_on_the_page(model):
    for name, field in model.model_fields.items():
        assert f"| {field.description} |" in PAGE, name


@pytest.mark.parametrize("model", [*KINDS, BargeInPolicy, Expect, EndpointPolicy], ids=lambda model: model.__name__)
def test_every_field_of_the_actions_is_in_its_table(model):
    assert TABLES[model.__name__] == [field.name for field in fields(model) if field.name != "type"]


def test_the_table_of_the_envelope_is_complete():
    assert sorted(TABLES["Envelope"]) == sorted(names(CallStartedEvent))


def test_every_event_has_an_example_and_a_heading():
    assert [event["type"] for event in EVENTS] == re.findall(r"^### ([a-z_]+\.[a-z]+|no_input)$", PAGE, re.MULTILINE)
    assert {event["type"] for event in EVENTS} == set(EVENT_TYPES)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_overview_says_who_wants_a_reply(kind):
    assert f"| `{kind}` | {'yes' if kind in WANTS_REPLY else 'no'} |" in PAGE


@pytest.mark.parametrize("document", EVENTS, ids=lambda document: document["type"])
def test_every_event_on_the_page_is_one(document):
    assert json.loads(parse_event(json.dumps(document)).model_dump_json()) == document


def test_every_action_has_an_example_and_a_heading():
    kinds = [kind.__dataclass_fields__["type"].default for kind in KINDS]
    assert list(dict.fromkeys(action["type"] for action in ACTIONS)) == kinds
    assert all(f"\n### {kind}\n" in PAGE for kind in kinds)


def test_every_reply_on_the_page_is_one():
    for document in [*({"actions": [action]} for action in ACTIONS), *REPLIES]:
        reply = parse_reply(200, "application/json", json.dumps(document).encode(), max_bytes=65_536)
        assert len(reply.actions) == len(document["actions"])


def test_the_reply_in_lines_is_one():
    (lines,) = [text for kind, text in BLOCKS if kind == "ndjson"]
    reply = parse_reply(200, "application/x-ndjson", lines.encode(), max_bytes=65_536)
    assert [action.type for action in reply.actions] == ["say", "play"]
    assert reply.state == {"waiting": True}


@pytest.mark.parametrize(
    ("kind", "content_type", "texts"),
    [
        pytest.param(
            "jsonl",
            "application/x-ndjson",
            ["Let me look that up.", "Your order left on Monday, ", "and it should be there tomorrow."],
            id="lines",
        ),
        pytest.param(
            "sse",
            "text/event-stream",
            ["Your order left on Monday ", "and should be there ", "tomorrow."],
            id="messages",
        ),
    ],
)
def test_the_streamed_replies_are_replies(kind, content_type, texts):
    (body,) = [text for block, text in BLOCKS if block == kind]
    reply = parse_reply(200, content_type, body.encode(), max_bytes=65_536)
    assert [action.text for action in reply.actions if action.type == "say"] == texts


def test_the_numbers_about_streams_are_the_defaults():
    settings = WebhookSettings()
    assert f"`webhook.stream_idle_s` ({settings.stream_idle_s:g} s)" in PAGE
    assert f"`webhook.stream_timeout_s` ({settings.stream_timeout_s:g} s)" in PAGE


def test_a_retracted_turn_is_the_provisional_one():
    """The two examples belong together: same number, same version, the same words without punctuation."""
    (told,) = [event["data"] for event in EVENTS if event["type"] == "turn.provisional"]
    (back,) = [event["data"] for event in EVENTS if event["type"] == "turn.retracted"]
    assert (back["number"], back["revision"]) == (told["turn"]["number"], told["revision"])
    assert back["text"] == bare(told["turn"]["text"])


def test_the_signed_example_is_signed():
    (request,) = [text for kind, text in BLOCKS if kind == "http"]
    secret = re.search(r"`(whsec_[^`…]+)`", PAGE).group(1)
    head, _, body = request.rstrip("\n").partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    instant = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(secret).sign(headers["webhook-id"], instant, body)
    assert parse_event(body).id == headers["webhook-id"]


def test_the_numbers_on_the_page_are_the_defaults():
    settings = WebhookSettings()
    assert f"`webhook.reply_deadline_s` ({settings.reply_deadline_s:g} s)" in PAGE
    assert f"`webhook.attempt_timeout_s` ({settings.attempt_timeout_s:g} s)" in PAGE
    assert f"`webhook.inform_timeout_s` ({settings.inform_timeout_s:g} s)" in PAGE
    assert f"`webhook.max_reply_bytes` ({settings.max_reply_bytes // 1_000} {settings.max_reply_bytes % 1_000})" in PAGE
    waits = ", ".join(f"{wait:g}" for wait in settings.retry_waits_s)
    assert f"`webhook.retry_waits_s` ({waits}, " in PAGE
    assert f"at most {MAX_ACTIONS}" in PAGE
    assert f"at most {MAX_TEXT} characters" in PAGE


def test_links_inside_the_page_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


def test_the_sample_is_printed_as_it_is():
    (path, printed) = re.search(
        r"^<!-- sample: (\S+) -->\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    ).groups()
    assert printed == (ROOT / path).read_text(encoding="utf-8")
