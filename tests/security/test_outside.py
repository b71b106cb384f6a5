"""Whom the service fetches from when somebody else names the address: nobody inside (SSRF)."""

import asyncio
import gzip
import socket

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from voicebot.clips import Clips
from voicebot.config import PlaySettings
from voicebot.core.addresses import is_public, literal_fault
from voicebot.errors import PeerError, PeerProtocolError, PeerRefused, PeerUnavailable
from voicebot.outside import AddressRefused, PublicResolver, check_url, guarded_connector

ANY_PORT = PlaySettings(ports=())
METADATA = "http://169.254.169.254/latest/meta-data"


@pytest.fixture
def outside(monkeypatch):
    """127.0.0.1 plays the open internet, everything else of this machine stays inside; `lookups` are the answers of DNS."""

    class Outside:
        def __init__(self):
            self.lookups, self.asked = [], []

        def getaddrinfo(self, host, port, *_args, **_more):
            self.asked.append(host)
            addresses = self.lookups.pop(0) if len(self.lookups) > 1 else self.lookups[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    made = Outside()
    true = is_public
    for module in ("voicebot.outside", "voicebot.core.addresses"):
        monkeypatch.setattr(f"{module}.is_public", lambda address: address == "127.0.0.1" or true(address))
    monkeypatch.setattr("socket.getaddrinfo", made.getaddrinfo)
    return made


def redirect(target):
    return lambda: web.Response(status=302, headers={"Location": target})


PRIVATE = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "017700000001",
    "0x7f.0.0.1",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "\uff11\uff12\uff17.0.0.1",
    "\u246027.0.0.1",
    "127\u30020\u30020\u30021",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "user:word@localhost",
    "8.8.8.8:80@127.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "[5f00::1]",
    "[3fff::1]",
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_addresses_are_refused_however_they_are_written(site, host):
    url = f"http://{host}:{site.port}/a"
    async with Clips(ANY_PORT) as clips:
        with pytest.raises(PeerError):  # that a name is unknown is as good
            await clips.fetch(url)
    assert site.requests == []


@pytest.mark.parametrize("host", [host for host in PRIVATE if "@" not in host])
async def test_the_connector_alone_refuses_them_too(site, host):
    """A check that is forgotten, or that read a host in another way, does not open the door."""
    async with aiohttp.ClientSession(connector=guarded_connector(1), trust_env=False) as session:
        with pytest.raises((AddressRefused, aiohttp.ClientError, ValueError)):
            await session.get(f"http://{host}:{site.port}/a")
    assert site.requests == []


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses(address):
    assert is_public(address)
    assert literal_fault(address) == ""


@pytest.mark.parametrize(
    "name", ["example.com", "a1.example", "3com.example.com", "xn--bcher-kva.example", "1e100.net"]
)
def test_names_are_the_resolvers_business(name):
    assert literal_fault(name) == ""


async def test_the_refusal_says_where_the_host_leads():
    async with Clips(ANY_PORT) as clips:
        with pytest.raises(PeerRefused, match=r"localhost leads to .*(127\.0\.0\.1|::1).* not public"):
            await clips.fetch("http://localhost:1/a")
        with pytest.raises(PeerRefused, match=r"169\.254\.169\.254 is not a public address"):
            await clips.fetch(METADATA)


@pytest.mark.parametrize("url", ["http://8.8.8.8:22/", "https://example.com:6379/", "http://example.com:25/"])
def test_other_ports(url):
    with pytest.raises(AddressRefused, match="port"):
        check_url(URL(url), PlaySettings().ports)
    check_url(URL(url), ())


@pytest.mark.parametrize("url", ["http://example.com/", "https://example.com/", "https://example.com:80/"])
def test_usual_ports(url):
    check_url(URL(url), PlaySettings().ports)


# --- names --------------------------------------------------------------------------------------------


async def test_the_resolver_leaves_private_addresses_out(outside):
    outside.lookups = [["10.0.0.1", "8.8.8.8", "127.0.0.2"], ["10.0.0.1"], []]
    resolver = PublicResolver()
    assert [result["host"] for result in await resolver.resolve("mixed.example", 80)] == ["8.8.8.8"]
    with pytest.raises(AddressRefused, match=r"private\.example leads to 10\.0\.0\.1"):
        await resolver.resolve("private.example", 80)
    with pytest.raises(AddressRefused, match="no address"):
        await resolver.resolve("nothing.example", 80)
    await resolver.close()


async def test_a_name_that_leads_elsewhere_a_moment_later(outside, site):
    """DNS rebinding: the address that was checked is the one that is connected to, and it is asked for only once."""
    site.pages["/a"] = lambda: web.Response(status=404)
    outside.lookups = [["127.0.0.1"], ["127.0.0.2"]]
    async with Clips(ANY_PORT) as clips:
        with pytest.raises(PeerRefused, match="404"):
            await clips.fetch(f"http://rebinds.example:{site.port}/a")
        assert outside.asked == ["rebinds.example"]
        # The next request asks again and is refused, unless it goes over the connection that was checked.
        with pytest.raises(PeerRefused, match=r"404|127\.0\.0\.2"):
            await clips.fetch(f"http://rebinds.example:{site.port}/a")


async def test_a_resolver_that_lies_does_not_open_the_socket(site, monkeypatch):
    """The last look is at the address that the socket is made for."""

    async def lie(_self, host, port=0, family=0):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr(PublicResolver, "resolve", lie)
    async with Clips(ANY_PORT) as clips:
        with pytest.raises(PeerRefused, match=r"127\.0\.0\.1 is not a public address"):
            await clips.fetch(f"http://liar.example:{site.port}/a")
    assert site.requests == []


async def test_proxies_of_the_environment_are_ignored(site, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, site.url(""))
    async with Clips(PlaySettings(timeout_s=0.2)) as clips:
        with pytest.raises(PeerError):
            await clips.fetch("http://proxied.invalid/a")
    assert site.requests == []


# --- redirects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "why"),
    [
        pytest.param(METADATA, "not a public address", id="metadata"),
        pytest.param("//[::1]/", "not a public address", id="loopback"),
        pytest.param("http://2130706433/", "disguise", id="disguised"),
        pytest.param("http://inside.example/", "leads to 10.0.0.7", id="name"),
        pytest.param("file:///etc/passwd", "only http", id="file"),
        pytest.param("gopher://127.0.0.1:6379/_INFO", "only http", id="gopher"),
        pytest.param("http://example.com:22/", "port 22", id="port"),
        pytest.param("http://user:word@169.254.169.254/", "not a public address", id="userinfo"),
    ],
)
async def test_redirects_are_checked_like_the_first_url(outside, site, target, why):
    outside.lookups = [["10.0.0.7"]]
    site.pages["/a"] = redirect(target)
    async with Clips(PlaySettings(ports=(80, site.port))) as clips:
        with pytest.raises(PeerRefused, match=why):
            await clips.fetch(site.url("/a"))
    assert site.requests == [("GET", "/a")]


async def test_a_loop_of_redirects(outside, site):
    site.pages["/a"] = redirect("/a")
    async with Clips(ANY_PORT.model_copy(update={"redirects": 2})) as clips:
        with pytest.raises(PeerRefused, match="more than 2 redirects"):
            await clips.fetch(site.url("/a"))
    assert len(site.requests) == 3


# --- bodies -------------------------------------------------------------------------------------------


async def test_a_bomb_is_not_unpacked(outside, site):
    site.pages["/a"] = lambda: web.Response(
        body=gzip.compress(b"\0" * 10_000_000), headers={"Content-Encoding": "gzip"}
    )
    async with Clips(ANY_PORT) as clips:
        with pytest.raises(PeerProtocolError, match="encoded"):
            await clips.fetch(site.url("/a"))


async def test_a_body_without_an_end_is_cut_at_its_limit(outside, site):
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\0" * 10_000)
                sent += 10_000
        except ConnectionError:
            return response

    async with _serving(endless) as url, Clips(ANY_PORT.model_copy(update={"max_bytes": 100_000})) as clips:
        with pytest.raises(PeerProtocolError, match="more than 100000 bytes"):
            await clips.fetch(url)
    assert sent < 20_000_000  # what fits into the buffers on the way


async def test_a_body_that_trickles_is_cut_in_time(outside):
    async def slow(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\0")
                await asyncio.sleep(0.02)
        except ConnectionError:
            return response

    async with _serving(slow) as url, Clips(ANY_PORT.model_copy(update={"timeout_s": 0.3})) as clips:
        with pytest.raises(PeerUnavailable, match=r"not there after 0\.3 s"):
            await clips.fetch(url)


class _serving:  # noqa: N801 - reads as a function
    """A server with one handler, which gets the request."""

    def __init__(self, handler):
        self.app = web.Application()
        self.app.router.add_get("/{path:.*}", handler)

    async def __aenter__(self):
        self.runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        server = web.TCPSite(self.runner, "127.0.0.1", 0)
        await server.start()
        return f"http://127.0.0.1:{server.port}/a"

    async def __aexit__(self, *_error):
        await self.runner.cleanup()
