"""The streamed replies on the page about the webhook are real."""

import re
from pathlib import Path

import pytest

from voicebot.wire.webhook_stream import open_stream

PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")
TYPES = {"ndjson": "application/x-ndjson", "jsonl": "application/x-ndjson", "sse": "text/event-stream"}
STREAMS = [
    (TYPES[kind], text)
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    if kind in TYPES
]


def test_the_page_shows_a_stream():
    assert STREAMS


@pytest.mark.parametrize(("content_type", "text"), STREAMS, ids=[text.splitlines()[0][:40] for _, text in STREAMS])
def test_every_stream_on_the_page_is_one(content_type, text):
    stream = open_stream(content_type, max_bytes=65_536)
    part, end = stream.push(text.encode()), stream.end()
    assert (part.refusal, end.refusal) == (None, None)
    assert len(part.actions) + len(end.actions) == text.count('"type"')
