"""The documents in twiml/ parse, say where they go, and show what we really serve."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from voicebot.config import LimitSettings
from voicebot.core.actions import Transfer
from voicebot.local.phone.twiml import parse
from voicebot.wire import twiml

FOLDER = Path(__file__).parents[2] / "twiml"
FILES = sorted(FOLDER.glob("*.xml"))
DOORS = twiml.Doors("https://voice.example.com")
TOKEN = "made-for-this-call"
SERVED = {
    "served-bot.xml": twiml.connect(DOORS, TOKEN),
    "served-transcribe.xml": twiml.start(DOORS, TOKEN, track="both_tracks", then="<Dial>+15550100</Dial>"),
    "served-transfer.xml": twiml.dial(DOORS, Transfer(to="+15550100", caller_id="+15550199", timeout=20)),
    "served-busy.xml": twiml.refuse(LimitSettings().busy_twiml),
}
ROUTES = {"/twilio/voice", "/twilio/media", "/twilio/connected", "/twilio/dialed", "/twilio/stream-status"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_twilio_would_take_it(path):
    document = parse(path.read_bytes())
    assert document.problems == ()
    assert document.verbs


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_comment_says_where_it_goes(path):
    comment = re.search(r"<!--(.*?)-->", path.read_text(encoding="utf-8"), re.DOTALL)
    assert comment is not None
    wanted = "For reading, not for pasting" if path.name in SERVED else "Where: "
    assert wanted in comment.group(1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_addresses_are_ours(path):
    addresses = re.findall(r"\b(?:https?|wss?)://[^\s\"<,#]*[\w/]", path.read_text(encoding="utf-8"))
    for address in addresses:
        origin, host, route = re.fullmatch(r"(\w+)://([^/]+)(/.*)", address).groups()
        assert origin in {"https", "wss"}
        assert host == "voice.example.com"
        assert route in ROUTES


def test_every_served_document_is_there():
    assert {path.name for path in FILES if path.name.startswith("served-")} == SERVED.keys()


@pytest.mark.parametrize("name", SERVED)
def test_served_example_is_what_we_serve(name):
    shown = ET.canonicalize((FOLDER / name).read_text(encoding="utf-8"), strip_text=True)
    assert shown == ET.canonicalize(SERVED[name], strip_text=True)
