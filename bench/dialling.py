"""How a caller gets through: the signed voice webhook, its TwiML, and the WebSocket that it names."""

import asyncio
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import frames
from line import ACCOUNT, Caller, DialError, Line

DIAL_TIMEOUT_S = 30


async def dial(caller: Caller, number: int) -> Line:
    """Place one call: voice webhook, TwiML, stream; raises DialError or OSError."""
    loop = asyncio.get_running_loop()
    line = Line(number, caller, loop.create_future())
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            url, parameters = _stream(await _post(caller, line.call_id))
            parts = urlsplit(url)
            await loop.create_connection(lambda: line, parts.hostname or "", parts.port or 80)
            line.request(url)
            await line.opened
    except TimeoutError:
        line.drop()
        raise DialError(f"no stream within {DIAL_TIMEOUT_S} s") from None
    line.start(parameters)
    return line


async def _post(caller: Caller, call_id: str) -> bytes:
    """Ask for the TwiML of a call."""
    form = {
        "CallSid": call_id,
        "AccountSid": ACCOUNT,
        "From": "+15550100",
        "To": "+15550199",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
    }
    parts = urlsplit(caller.voice_url)
    body = urlencode(form).encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        f"X-Twilio-Signature: {caller.sign(caller.voice_url, form)}\r\n\r\n".encode()
        + body
    )
    answer = await reader.read()
    writer.close()
    head, _, document = answer.partition(frames.HEAD_END)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise DialError(f"the voice webhook was answered: {answer[:200]!r}")
    return document


def _stream(document: bytes) -> tuple[str, dict[str, str]]:
    """Return the URL and the parameters of the stream that the TwiML asks for."""
    stream = ET.fromstring(document).find(".//Stream")  # noqa: S314 - from the service under test
    if stream is None:
        raise DialError(f"the TwiML opens no stream: {document[:200]!r}")
    parameters = {each.get("name", ""): each.get("value", "") for each in stream.iter("Parameter")}
    return stream.get("url", ""), parameters
