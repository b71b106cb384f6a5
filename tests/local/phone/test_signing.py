import pytest
from twilio.request_validator import RequestValidator

from voicebot.local.phone.signing import Signer, signed_url

PARAMETERS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}


def test_the_documented_vector():
    url = "https://example.com/myapp.php?foo=1&bar=2"
    assert Signer("12345").form(url, PARAMETERS) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a",
        "https://example.com:8443/a?b=1",
        "http://127.0.0.1:8080/a",
        "https://user:secret@example.com/a",
        "https://example.com/a#ct=2000",
    ],
)
def test_twilios_validator_agrees(url):
    signature = Signer("t").form(url, PARAMETERS)
    assert RequestValidator("t").validate(url.split("#")[0].replace("user:secret@", ""), PARAMETERS, signature)
    assert not RequestValidator("u").validate(url, PARAMETERS, signature)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://u:p@h:8443/x?y=1#rt=1", "https://h/x?y=1"),
        ("http://h:8080/x", "http://h:8080/x"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ],
)
def test_signed_url(url, signed):
    assert signed_url(url) == signed


def test_handshake_is_signed_as_written():
    url = "wss://example.com/media"
    assert RequestValidator("t").validate(url, {}, Signer("t").handshake(url))
    assert Signer("t").handshake(url) != Signer("t").handshake(url + "/")
