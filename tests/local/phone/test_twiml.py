import pytest
from twilio.twiml.voice_response import Connect, Dial, Start, Stop, Stream, VoiceResponse

from voicebot.local.phone import twiml


def verbs(text: str) -> tuple[twiml.Verb, ...]:
    return twiml.parse(f"<Response>{text}</Response>".encode()).verbs


def codes(text: str) -> list[tuple[int, bool]]:
    return [(p.code, p.error) for p in twiml.parse(f"<Response>{text}</Response>".encode()).problems]


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        pytest.param(
            "<Say voice='a' language='de-DE' loop='2'> Guten\n Tag </Say>",
            twiml.Say("Guten Tag", "a", "de-DE", 2),
            id="say",
        ),
        pytest.param("<Say>one <emphasis>two</emphasis> three</Say>", twiml.Say("one two three"), id="say-ssml"),
        pytest.param("<Play>https://x/y.mp3</Play>", twiml.Play("https://x/y.mp3"), id="play"),
        pytest.param("<Play digits='ww1'/>", twiml.Play("", "ww1"), id="play-digits"),
        pytest.param("<Pause/>", twiml.Pause(1.0), id="pause-default"),
        pytest.param("<Pause length='0'/>", twiml.Pause(0.0), id="pause-zero"),
        pytest.param("<Dial>+4930</Dial>", twiml.Dial(("+4930",)), id="dial-text"),
        pytest.param(
            "<Dial action='/d' method='get' timeout='7' callerId='+1'><Number>+2</Number><Sip>sip:a@b</Sip></Dial>",
            twiml.Dial(("+2", "sip:a@b"), "/d", "GET", 7.0, "+1"),
            id="dial-nested",
        ),
        pytest.param(
            "<Redirect method='GET'>/next?a=1&amp;b=2</Redirect>", twiml.Redirect("/next?a=1&b=2", "GET"), id="redirect"
        ),
        pytest.param("<Hangup/>", twiml.Hangup(), id="hangup"),
        pytest.param("<Reject reason='busy'/>", twiml.Reject("busy"), id="reject"),
        pytest.param("<Stop><Stream name='a'/></Stop>", twiml.Stop("a"), id="stop"),
    ],
)
def test_verb(text, verb):
    assert verbs(text) == (verb,)
    assert codes(text) == []


def test_reads_what_twilios_builder_writes():
    response = VoiceResponse()
    connect = Connect(action="/after", method="POST")
    stream = Stream(url="wss://e.com/ws", name="n", status_callback="/s", status_callback_method="GET")
    stream.parameter(name="token", value='a"b<c&d')
    connect.append(stream)
    response.append(connect)
    begin = Start()
    begin.stream(url="wss://e.com/2", track="both_tracks")
    response.append(begin)
    end = Stop()
    end.stream(name="n")
    response.append(end)
    dial = Dial(action="/d")
    dial.number("+49")
    response.append(dial)
    response.redirect("/again")
    assert twiml.parse(str(response).encode()) == twiml.Document(
        (
            twiml.Connect(
                twiml.Stream("wss://e.com/ws", "n", "inbound_track", "/s", "GET", (("token", 'a"b<c&d'),)),
                "/after",
            ),
            twiml.Start(twiml.Stream("wss://e.com/2", track="both_tracks")),
            twiml.Stop("n"),
            twiml.Dial(("+49",), "/d"),
            twiml.Redirect("/again"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("<Gather/>", [(12200, False)], id="unknown-verb"),
        pytest.param("<hangup/>", [(12200, False)], id="verbs-are-case-sensitive"),
        pytest.param("<Connect><ConversationRelay url='wss://x'/></Connect>", [(12200, False)], id="other-noun"),
        pytest.param("<Hangup now='1'/>", [(12200, False)], id="unknown-attribute"),
        pytest.param("<Pause length='long'/>", [(12200, False)], id="number"),
        pytest.param("<Redirect method='PUT'>/x</Redirect>", [(12200, False)], id="method"),
        pytest.param("<Connect><Stream/></Connect>", [(12200, True)], id="stream-without-url"),
        pytest.param("<Connect><Stream url='wss://x' track='both_tracks'/></Connect>", [(31941, True)], id="both-ways"),
        pytest.param("<Start><Stream url='wss://x' track='all'/></Start>", [(31941, True)], id="track"),
        pytest.param(
            f"<Start><Stream url='wss://x'><Parameter name='a' value='{'v' * 499}'/></Stream></Start>",
            [(12200, False)],
            id="parameter-too-long",
        ),
        pytest.param(
            f"<Start><Stream url='wss://x'><Parameter name='a' value='{'v' * 498}'/></Stream></Start>",
            [],
            id="parameter-just-fits",
        ),
        pytest.param("<Dial/>", [(12200, True)], id="dial-nobody"),
        pytest.param("<Play/>", [(12200, True)], id="play-nothing"),
        pytest.param("<Stop/>", [(12200, False)], id="stop-nothing"),
    ],
)
def test_problem(text, found):
    assert codes(text) == found


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        pytest.param(b"", 12100, "not well-formed", id="empty"),
        pytest.param(b"<Response><Say>", 12100, "not well-formed", id="cut"),
        pytest.param(b'{"a": 1}', 12100, "not well-formed", id="json"),
        pytest.param(b"<Respond/>", 12100, "<Response>", id="root"),
        pytest.param(b"\xff\xfe\x00<", 12100, "not well-formed", id="bytes"),
        pytest.param(b"<!DOCTYPE x [<!ENTITY a 'b'>]><Response>&a;</Response>", 12100, "document type", id="entities"),
        pytest.param(b"<Response>" + b" " * 65536 + b"</Response>", 11750, "at most", id="too-large"),
    ],
)
def test_refused(body, code, words):
    with pytest.raises(twiml.TwimlError, match=words) as refused:
        twiml.parse(body)
    assert refused.value.code == code
