"""What the application may answer, and where and why a malformed reply is refused."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.actions import (
    BargeInPolicy,
    Configure,
    Expect,
    HangUp,
    Listen,
    Pause,
    Play,
    Redirect,
    Say,
    SendDigits,
    Transfer,
)
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.wire.webhook_reply import MAX_ACTIONS, UNSET, Reply, parse_reply

JSON = "application/json"
LINES = "application/x-ndjson"
STREAM = "text/event-stream"
LIMIT = 65_536
SAY = {"type": "say", "text": "Hi."}


def parse(body: object, content_type: str | None = JSON, status: int = 200) -> Reply:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return parse_reply(status, content_type, text if isinstance(text, bytes) else text.encode(), max_bytes=LIMIT)


def action(**fields: object) -> object:
    return parse({"actions": [fields]}).actions[0]


# --- what is taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(SAY, Say(text="Hi."), id="say"),
        pytest.param(
            {**SAY, "language": "de", "voice": "Mina", "speed": 1, "interruptible": False},
            Say(text="Hi.", language="de", voice="Mina", speed=1.0, interruptible=False),
            id="say-all",
        ),
        pytest.param(
            {"type": "play", "url": "https://a.example/x.wav"}, Play(url="https://a.example/x.wav"), id="play"
        ),
        pytest.param({"type": "pause", "ms": 500}, Pause(ms=500), id="pause"),
        pytest.param({"type": "listen"}, Listen(), id="listen-nothing"),
        pytest.param(
            {
                "type": "listen",
                "no_input_ms": 0,
                "barge_in": {"enabled": False},
                "expect": {"digits": 10, "finish_key": ""},
            },
            Listen(no_input_ms=0, barge_in=BargeInPolicy(enabled=False), expect=Expect(digits=10, finish_key="")),
            id="listen-all",
        ),
        pytest.param({"type": "send_digits", "digits": "1w#*ABCD"}, SendDigits(digits="1w#*ABCD"), id="send_digits"),
        pytest.param({"type": "transfer", "to": "+15550100"}, Transfer(to="+15550100"), id="transfer-number"),
        pytest.param(
            {"type": "transfer", "to": "sip:desk@pbx.example;transport=tls", "caller_id": "+15550101", "timeout": 5},
            Transfer(to="sip:desk@pbx.example;transport=tls", caller_id="+15550101", timeout=5),
            id="transfer-sip",
        ),
        pytest.param(
            {"type": "transfer", "to": "client:ann", "on_failure": "hangup"},
            Transfer(to="client:ann", on_failure="hangup"),
            id="transfer-client",
        ),
        pytest.param(
            {"type": "redirect", "twiml": "<?xml version='1.0'?><Response><Hangup/></Response>"},
            Redirect(twiml="<?xml version='1.0'?><Response><Hangup/></Response>"),
            id="redirect-twiml",
        ),
        pytest.param(
            {"type": "redirect", "url": "https://a.example/t"}, Redirect(url="https://a.example/t"), id="redirect-url"
        ),
        pytest.param(
            {"type": "configure", "language_hints": ["en", "de"], "context": {"terms": ["Zürich"]}, "speed": 0.7},
            Configure(language_hints=("en", "de"), context={"terms": ["Zürich"]}, speed=0.7),
            id="configure",
        ),
        pytest.param({"type": "hangup", "reason": "done"}, HangUp(reason="done"), id="hangup"),
    ],
)
def test_actions(fields, expected):
    assert action(**fields) == expected


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        pytest.param(204, None, b"", id="204"),
        pytest.param(204, "text/html", b"ignored", id="204-with-body"),
        pytest.param(200, None, b"", id="empty"),
        pytest.param(200, "text/html; charset=utf-8", b" \r\n", id="blank"),
        pytest.param(202, JSON, b"{}", id="empty-object"),
        pytest.param(200, JSON, b'{"actions": []}', id="no-actions"),
        pytest.param(200, LINES, b"\n\n", id="empty-lines"),
        pytest.param(200, STREAM, b": ping\n\n", id="only-a-comment"),
    ],
)
def test_replies_that_keep_listening(status, content_type, body):
    assert parse(body, content_type, status) == Reply()


def test_state_null_is_a_value_and_no_state_is_none():
    assert parse({"actions": [], "state": None}).state is None
    assert parse({"actions": []}).state is UNSET
    assert parse({"state": [1, {"a": "b"}]}).state == [1, {"a": "b"}]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("text/plain", "  Grüezi.\n".encode(), id="utf-8"),
        pytest.param("Text/Plain; charset=UTF-8", "Grüezi.".encode(), id="named-utf-8"),
        pytest.param('text/plain; charset="iso-8859-1"', "Grüezi.".encode("latin-1"), id="latin-1"),
    ],
)
def test_plain_text_is_said(content_type, body):
    assert parse(body, content_type) == Reply((Say(text="Grüezi."),))


LINE_REPLY = Reply((Say(text="Hi."), HangUp()), {"n": 1})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(LINES, '{"type":"say","text":"Hi."}\n{"state":{"n":1}}\n{"type":"hangup"}', id="ndjson"),
        pytest.param(LINES, '{"type":"say","text":"Hi."}\r\n\r\n{"type":"hangup"}\n{"state":{"n":1}}\n', id="crlf"),
        pytest.param(
            STREAM,
            'data: {"type":"say","text":"Hi."}\n\nevent: x\ndata:{"state":{"n":1}}\n\ndata: {"type":"hangup"}\n\n',
            id="sse",
        ),
        pytest.param(
            STREAM,
            ':c\r\ndata: {"type":"say",\r\ndata: "text":"Hi."}\r\rdata: {"type":"hangup"}\n\ndata: {"state":{"n":1}}',
            id="sse-many-lines",
        ),
    ],
)
def test_replies_in_pieces(content_type, body):
    assert parse(body, content_type) == LINE_REPLY


# --- what is refused -------------------------------------------------------------------------------


def one(**fields: object) -> dict[str, object]:
    return {"actions": [fields]}


DEEP = "[" * 300 + "]" * 300
KNOWN_TYPES = "known: say, play, pause, listen, send_digits, transfer, redirect, configure, hangup"
REFUSED = [
    # the document
    pytest.param("{", "$", "is no JSON", id="garbage"),
    pytest.param(b"\xff\xfe", "$", "is no JSON", id="not-utf-8"),
    pytest.param('{"state": NaN}', "$", "is no JSON", id="nan"),
    pytest.param('{"state": [1e999]}', "$", "too large", id="infinity"),
    pytest.param(f'{{"state": {DEEP}}}', "$", "recursion limit", id="too-deep"),
    pytest.param([SAY], "$", 'should be an object like {"actions": [...]}', id="bare-list"),
    pytest.param("null", "$", "should be an object", id="null"),
    pytest.param('"Hi."', "$", "should be an object", id="string"),
    pytest.param({"action": []}, "$.action", "is an unknown key; known: actions, state", id="unknown-key"),
    pytest.param({"say": "Hi."}, "$.say", "is an unknown key", id="an-actions-name-as-key"),
    pytest.param({"a b": 1}, "$['a b']", "is an unknown key", id="odd-key"),
    pytest.param({"actions": None}, "$.actions", "valid array", id="actions-null"),
    pytest.param({"actions": SAY}, "$.actions", "valid array", id="actions-object"),
    pytest.param({"actions": [SAY] * (MAX_ACTIONS + 1)}, "$", f"{MAX_ACTIONS} are the most", id="too-many"),
    # any action
    pytest.param({"actions": [SAY, "hangup"]}, "$.actions[1]", "should be an object", id="action-string"),
    pytest.param({"actions": [None]}, "$.actions[0]", "should be an object", id="action-null"),
    pytest.param(one(text="Hi."), "$.actions[0]", f'has no "type"; {KNOWN_TYPES}', id="no-type"),
    pytest.param(one(type="speak"), "$.actions[0]", f"has the unknown type 'speak'; {KNOWN_TYPES}", id="unknown-type"),
    pytest.param(one(type=3), "$.actions[0]", "has the unknown type", id="type-number"),
    pytest.param(one(**SAY, voise="Mina"), "$.actions[0].voise", "known: text, language, voice", id="misspelt-key"),
    # say
    pytest.param(one(type="say"), "$.actions[0].text", "is missing", id="say-nothing"),
    pytest.param(one(type="say", text=""), "$.actions[0].text", "at least 1 character", id="say-empty"),
    pytest.param(one(type="say", text=" \n"), "$.actions[0].text", "is blank", id="say-blank"),
    pytest.param(one(type="say", text="x" * 5_001), "$.actions[0].text", "at most 5000", id="say-too-long"),
    pytest.param(one(type="say", text=1), "$.actions[0].text", "valid string", id="say-number"),
    pytest.param(one(**SAY, speed=2), "$.actions[0].speed", "less than or equal to 1.3", id="say-fast"),
    pytest.param(one(**SAY, speed="1"), "$.actions[0].speed", "valid number", id="say-speed-string"),
    pytest.param(one(**SAY, interruptible="no"), "$.actions[0].interruptible", "valid boolean", id="say-string-bool"),
    # play
    pytest.param(one(type="play", url="beep.wav"), "$.actions[0].url", "absolute http(s) URL", id="play-relative"),
    pytest.param(one(type="play", url="file:///etc/passwd"), "$.actions[0].url", "absolute http(s)", id="play-file"),
    pytest.param(one(type="play", url="https://"), "$.actions[0].url", "absolute http(s)", id="play-no-host"),
    pytest.param(one(type="play", url="http://a.example:x/"), "$.actions[0].url", "absolute http(s)", id="play-port"),
    pytest.param(one(type="play", url="http://a.example/a b"), "$.actions[0].url", "absolute", id="play-space"),
    pytest.param(one(type="play", url="http://[a/"), "$.actions[0].url", "absolute", id="play-bracket"),
    # pause
    pytest.param(one(type="pause", ms=0), "$.actions[0].ms", "greater than 0", id="pause-0"),
    pytest.param(one(type="pause", ms=60_001), "$.actions[0].ms", "less than or equal to 60000", id="pause-long"),
    pytest.param(one(type="pause", ms=1.5), "$.actions[0].ms", "valid integer", id="pause-fraction"),
    pytest.param(one(type="pause", ms=True), "$.actions[0].ms", "valid integer", id="pause-bool"),
    # listen
    pytest.param(
        one(type="listen", finalize_after_ms=100), "$.actions[0].finalize_after_ms", "or equal to 200", id="listen-low"
    ),
    pytest.param(
        one(type="listen", barge_in={"min_word": 2}),
        "$.actions[0].barge_in.min_word",
        "known: enabled, min_ms, min_words",
        id="listen-barge-in-key",
    ),
    pytest.param(
        one(type="listen", expect={"digits": 0}), "$.actions[0].expect.digits", "or equal to 1", id="listen-no-digits"
    ),
    pytest.param(
        one(type="listen", expect={"finish_key": "x"}),
        "$.actions[0].expect.finish_key",
        "is one of 0-9 * #",
        id="listen-finish-key",
    ),
    # send_digits
    pytest.param(one(type="send_digits", digits="12x"), "$.actions[0].digits", "may hold 0-9 * #", id="digits-x"),
    pytest.param(one(type="send_digits", digits=12), "$.actions[0].digits", "valid string", id="digits-number"),
    # transfer
    pytest.param(one(type="transfer", to="5550100"), "$.actions[0].to", "E.164", id="transfer-local-number"),
    pytest.param(one(type="transfer", to="+0123456"), "$.actions[0].to", "E.164", id="transfer-country-0"),
    pytest.param(one(type="transfer", to="+1555010012345678"), "$.actions[0].to", "E.164", id="transfer-16-digits"),
    pytest.param(one(type="transfer", to="+1555\u0661"), "$.actions[0].to", "E.164", id="transfer-foreign-digits"),
    pytest.param(one(type="transfer", to="sip:desk"), "$.actions[0].to", "sip:user@host", id="transfer-sip-no-host"),
    pytest.param(one(type="transfer", to="tel:+15550100"), "$.actions[0].to", "E.164", id="transfer-tel"),
    pytest.param(
        one(type="transfer", to="+15550100", caller_id="me"), "$.actions[0].caller_id", "E.164", id="transfer-caller"
    ),
    pytest.param(
        one(type="transfer", to="+15550100", timeout=4), "$.actions[0].timeout", "or equal to 5", id="transfer-timeout"
    ),
    pytest.param(
        one(type="transfer", to="+15550100", on_failure="retry"),
        "$.actions[0].on_failure",
        "'return' or 'hangup'",
        id="transfer-on-failure",
    ),
    # redirect
    pytest.param(one(type="redirect"), "$.actions[0]", "exactly one of twiml and url", id="redirect-neither"),
    pytest.param(
        one(type="redirect", twiml="<Response/>", url="https://a.example/"),
        "$.actions[0]",
        "exactly one of twiml and url",
        id="redirect-both",
    ),
    pytest.param(one(type="redirect", url="/more"), "$.actions[0].url", "absolute http(s)", id="redirect-relative"),
    pytest.param(
        one(type="redirect", twiml="<Response>"), "$.actions[0].twiml", "is not well-formed XML", id="redirect-open"
    ),
    pytest.param(
        one(type="redirect", twiml="<Hangup/>"), "$.actions[0].twiml", "has the root Hangup", id="redirect-root"
    ),
    pytest.param(
        one(type="redirect", twiml='<!DOCTYPE x [<!ENTITY a "b">]><Response>&a;</Response>'),
        "$.actions[0].twiml",
        "may not declare",
        id="redirect-entities",
    ),
    # configure, hangup
    pytest.param(
        one(type="configure", language_hints="en"), "$.actions[0].language_hints", "valid array", id="configure-hints"
    ),
    pytest.param(
        one(type="configure", language_hints=[1]), "$.actions[0].language_hints[0]", "valid string", id="configure-hint"
    ),
    pytest.param(one(type="hangup", reason="x" * 201), "$.actions[0].reason", "at most 200", id="hangup-long"),
    # order
    pytest.param(
        {"actions": [{"type": "hangup"}, SAY]}, "$.actions[1]", "say comes after hangup", id="say-after-hangup"
    ),
    pytest.param(
        {"actions": [{"type": "transfer", "to": "+15550100"}, {"type": "hangup"}]},
        "$.actions[1]",
        "hangup comes after transfer",
        id="hangup-after-transfer",
    ),
    pytest.param(
        {"actions": [SAY, {"type": "redirect", "url": "https://a.example/"}, SAY]},
        "$.actions[2]",
        "say comes after redirect",
        id="say-after-redirect",
    ),
]


@pytest.mark.parametrize(("body", "path", "reason"), REFUSED)
def test_malformed_json_is_refused_whole(body, path, reason):
    with pytest.raises(ReplyRefused) as caught:
        parse(body)
    assert caught.value.path == path
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("content_type", "body", "path", "reason"),
    [
        pytest.param(None, "OK", "$", "has the content type (none); send application/json", id="none"),
        pytest.param("text/html", "<p>OK", "$", "has the content type text/html; send", id="html"),
        pytest.param("application/xml", "<Response/>", "$", "application/xml", id="xml"),
        pytest.param(";charset=utf-8", "OK", "$", "(none)", id="only-a-charset"),
        pytest.param("text/plain", b"\xff", "$", "is no text in utf-8", id="text-not-utf-8"),
        pytest.param("text/plain; charset=nonsense", "OK", "$", "is no text in nonsense", id="text-charset"),
        pytest.param("text/plain", "x" * 5_001, "$", "5000 are the most", id="text-too-long"),
        pytest.param(LINES, '{"type":"say","text":"a"}\n{"type":"say"}', "line 2: $.text", "is missing", id="line"),
        pytest.param(LINES, '{"type":"say",\n"text":"a"}', "line 1: $", "is no JSON", id="line-broken"),
        pytest.param(LINES, '{"type":"hangup"}\n{"type":"hangup"}', "line 2: $", "comes after", id="line-order"),
        pytest.param(LINES, '{"actions":[]}', "line 1: $", 'has no "type"', id="line-document"),
        pytest.param(STREAM, 'data: {"type":"pause","ms":"1"}\n\n', "message 1: $.ms", "valid integer", id="sse"),
        pytest.param(STREAM, "data: {}\n\ndata: [DONE]\n\n", "message 1: $", 'has no "type"', id="sse-empty"),
        pytest.param(STREAM, "data: [DONE]\n\n", "message 1: $", "is no JSON", id="sse-done"),
    ],
)
def test_other_formats_are_refused_with_their_place(content_type, body, path, reason):
    with pytest.raises(ReplyRefused) as caught:
        parse(body, content_type)
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_the_limit_is_exact():
    body = b'{"state":"' + b"x" * 88 + b'"}'
    assert parse_reply(200, JSON, body, max_bytes=100).state == "x" * 88
    with pytest.raises(ReplyRefused, match="larger than 99 bytes"):
        parse_reply(200, JSON, body, max_bytes=99)


@pytest.mark.parametrize("status", [199, 300, 404, 500])
def test_only_success_carries_a_reply(status):
    with pytest.raises(LocalProtocolError):
        parse(b"{}", status=status)


def test_foreign_names_are_cut_in_errors():
    with pytest.raises(ReplyRefused) as caught:
        parse({"x" * 10_000: 1})
    assert len(str(caught.value)) < 200


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "text", "actions", "state", "url", "ms", "twiml", "to"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    body=ANY_JSON.map(json.dumps) | st.text(max_size=50) | st.binary(max_size=50),
    content_type=st.sampled_from([JSON, "text/plain", LINES, STREAM]),
)
def test_whatever_comes_is_taken_or_refused(body, content_type):
    with suppress(ReplyRefused):
        assert isinstance(parse(body, content_type), Reply)


def test_the_module_table_names_every_action():
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'id="{name}' in source for name in KNOWN_TYPES.removeprefix("known: ").split(", "))


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_what_is_said_is_remembered_by_nobody_else(content_type):
    """Pydantic's JSON reader would keep short strings for the next document."""
    body = b'{"actions":[{"type":"say","text":"Your code is 4711."}]}'
    if content_type == "application/x-ndjson":
        body = b'{"type":"say","text":"Your code is 4711."}\n'
    (first,), (second,) = (parse_reply(200, content_type, body, max_bytes=1_000).actions for _ in range(2))
    assert first == second
    assert first.text is not second.text
