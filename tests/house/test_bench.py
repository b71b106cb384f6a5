"""The bench measures what it says: a short run, and the parts that could quietly miss something."""

import asyncio
import base64
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from voicebot.core.audio import SpeechDetector
from voicebot.core.events import SpeechStarted, SpeechStopped

BENCH = Path(__file__).parents[2] / "bench"
CALLS = 3


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Let the scripts of the bench be imported as they import each other."""
    monkeypatch.syspath_prepend(str(BENCH))


def frame(call: int, sequence: int, *, speech: bool = False) -> bytes:
    import stamps

    rest = stamps.rests(speech=speech)[sequence % stamps.VARIANTS]
    return base64.b64decode(stamps.write(call, sequence, time.monotonic_ns(), speech=speech) + rest)


def bench(results: Path, *words: str) -> dict:
    command = [sys.executable, str(BENCH / "run.py"), "--json", str(results), "--no-pin", "--rounds", "1"]
    load = [
        "--calls",
        str(CALLS),
        "--seconds",
        "2.5",
        "--settle",
        "1",
        "--rate",
        "10",
        "--speech-ms",
        "700",
        "--pause-ms",
        "1000",
    ]
    done = subprocess.run([*command, *load, *words], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(results.read_text(encoding="utf-8"))


@pytest.mark.skipif(sys.platform != "linux", reason="the bench reads /proc")
@pytest.mark.timeout(180)
def test_short_run_of_both_systems(tmp_path):
    from figures import Run

    results = bench(tmp_path / "results.json")
    assert [run["system"] for run in results["runs"]] == ["voicebot", "reference"]
    assert results["machine"]["cores"]
    for run in results["runs"]:
        assert run.keys() == Run.__annotations__.keys()
        assert run["calls"] == run["calls_ended"] == CALLS
        assert run["calls_failed"] == run["log_warnings"] == 0
        assert run["frames_sent"] > 0
        assert run["frames_lost"] == run["frames_out_of_order"] == run["frames_unstamped"] == 0
        assert run["webhooks"] > CALLS
        assert run["webhooks_missing"] == 0
        assert run["cpu_ms_per_call_second"] > 0
        assert (run["watched_events"] > 0) == (run["system"] == "voicebot")
        for name in ("forward_newest_ms", "forward_all_ms", "end_to_webhook_ms", "setup_ms", "pacing_late_ms"):
            assert run[name]["count"] > 0, name
            assert 0 <= run[name]["p50"] <= run[name]["p99"] <= run[name]["max"]


@pytest.mark.skipif(sys.platform != "linux", reason="the bench reads /proc")
@pytest.mark.timeout(180)
def test_run_with_speech_tls_and_another_setting(tmp_path):
    (run,) = bench(tmp_path / "results.json", "--only", "voicebot", "--tls", "--set", "VOICEBOT_SONIOX__BATCH_MS=60")[
        "runs"
    ]
    assert run["calls_ended"] == CALLS
    assert run["frames_lost"] == run["webhooks_missing"] == run["log_warnings"] == 0
    assert run["speech_ms"] > CALLS * 500


def test_setting_that_does_not_exist_is_told(tmp_path):
    command = [sys.executable, str(BENCH / "run.py"), "--only", "voicebot", "--no-pin"]
    words = ["--set", "VOICEBOT_NO_SUCH_SETTING=1", "--json", str(tmp_path / "results.json")]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "did not become ready" in done.stderr
    assert "VOICEBOT_NO_SUCH_SETTING" in done.stderr


@pytest.mark.parametrize("key", [b"", b"\0\0\0\0", b"\x81\x02\xf0\x7f"])
def test_stamps_of_a_batch_are_read(key):
    import frames
    import stamps

    batch = frame(7, 41) + frame(7, 42, speech=True)
    masked = frames.unmasked(batch, key)  # to mask is to unmask
    (_, *first, sent_ns), (_, *second, later_ns) = stamps.read(masked, key)
    assert (first, second) == ([False, 7, 41], [True, 7, 42])
    assert sent_ns <= later_ns


def test_other_audio_has_no_stamp_and_hides_no_other():
    import stamps
    from book import Book

    assert stamps.read(b"\xff" * stamps.FRAME_BYTES) == []
    assert stamps.read(frame(1, 1)[1:]) == []
    assert stamps.read(b"") == []
    book = Book()
    found = book.audio(b"\xff" * stamps.FRAME_BYTES + b"\xaa" * stamps.FRAME_BYTES + frame(7, 41) + b"cut off")
    assert [sequence for *_, sequence, _ in found] == [41]
    assert (book.frames, book.unstamped) == (1, 3)


def test_load_sounds_like_speech_and_like_a_quiet_line():
    pattern = [False] * 50 + [True] * 50 + [False] * 50
    detector = SpeechDetector()
    changes = [
        (number, type(change))
        for number, speech in enumerate(pattern)
        if (change := detector.feed(frame(1, number, speech=speech)))
    ]
    assert [kind for _, kind in changes] == [SpeechStarted, SpeechStopped]
    assert 50 <= changes[0][0] <= 55
    assert 100 <= changes[1][0] <= 115


@pytest.mark.parametrize(
    ("order", "lost", "disordered"),
    [
        pytest.param([0, 1, 2, 3], 0, 0, id="whole"),
        pytest.param([0, 1, 3], 1, 0, id="gap"),
        pytest.param([0, 1, 2], 1, 0, id="end missing"),
        pytest.param([0, 1, 1, 2, 3], 0, 1, id="twice"),
        pytest.param([0, 2, 1, 3], 1, 1, id="late"),
    ],
)
def test_lost_and_disordered_frames_are_counted(order, lost, disordered):
    from book import Book

    book, sent = Book(recording=True), 4
    for sequence in order:
        book.audio(frame(1, sequence))
    report = book.report()
    assert report["disordered"] == disordered
    assert sent - report["frames"] + report["disordered"] == lost
    assert report["forward_all_ms"]["count"] == len(order)


class Connection:
    """The transport of a line whose socket is one end of a pair, and which takes all or holds all."""

    def __init__(self, end):
        self.end, self.holds, self.held = end, False, b""

    def get_extra_info(self, _name):
        return self.end

    def get_write_buffer_size(self):
        return len(self.held)

    def write(self, data):
        if self.holds:
            self.held += data
        else:
            self.end.sendall(data)


@contextmanager
def line_of(number):
    import line

    ours, theirs = socket.socketpair()
    with ours, theirs:
        opened = asyncio.Future(loop=asyncio.get_running_loop())
        opened.set_result(None)
        caller = line.Line(number, line.Caller("http://127.0.0.1/", "token", 40, 1_000), opened)
        caller.connection_made(Connection(ours))
        caller.start({})
        theirs.recv(65_536)
        yield caller, ours, theirs


def pacer_with(line):
    import pacing

    pacer = pacing.Pacer(1)
    pacer.put(0, line)
    return pacer


needs_c = pytest.mark.skipif(
    shutil.which("cc") is None, reason="without a C compiler the phones send from Python alone"
)


@needs_c
@pytest.mark.parametrize("number", [7, 9, 300])
async def test_frames_from_c_are_those_from_python(number):
    import frames
    import pump
    import stamps

    with line_of(number) as (line, _, theirs):
        pacer = pacer_with(line)
        for count in range(120):
            assert pacer._send_in_c(pacer._send_due, 0, 0) == 0
            sent = theirs.recv(65_536)
            assert line.sent == count + 1
            ((_, text, _),) = frames.Frames().feed(sent)
            ((*_, sent_ns),) = stamps.read(base64.b64decode(json.loads(text)["media"]["payload"]))
            line.state.sent = count
            line.send_frame(sent_ns)
            assert theirs.recv(65_536) == sent
            assert line.state.status == pump.READY


@needs_c
async def test_message_that_goes_out_in_part_is_completed_before_the_next():
    import frames
    import pump

    with line_of(3) as (line, ours, theirs):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        pacer = pacer_with(line)
        while not pacer._send_in_c(pacer._send_due, 0, 0):
            pass
        assert line.state.status == pump.STUCK
        line._transport.holds = True
        pacer._send(0, 0)
        assert line.state.status == pump.BUSY
        pacer._send(0, 0)
        line.hang_up()
        assert pacer._send_in_c(pacer._send_due, 0, 0) == 0
        theirs.setblocking(False)
        arrived = b""
        with suppress(BlockingIOError):
            while piece := theirs.recv(65_536):
                arrived += piece
        reader = frames.Frames()
        told = [json.loads(text) for _, text, _ in reader.feed(arrived + line._transport.held)]
    assert [message.get("sequenceNumber") for message in told] == [str(n) for n in range(2, len(told) + 2)]
    assert told[-1]["event"] == "stop"
    assert len(told) == line.sent + 1


async def test_phones_send_from_python_where_there_is_no_compiler(monkeypatch, capfd):
    import pump

    monkeypatch.setattr(shutil, "which", lambda _name: None)
    pump.load.cache_clear()
    with line_of(3) as (line, _, theirs):
        pacer = pacer_with(line)
        pacer.recording = True
        pacer._send(0, 0)
        assert b'"sequenceNumber":"2"' in theirs.recv(65_536)
        assert len(pacer.late) == line.sent == 1
    pump.load.cache_clear()
    assert "no C compiler" in capfd.readouterr().err


def test_endpoint_without_its_webhook_is_missing():
    from book import Book, first_word

    book = Book(recording=True)
    book.end(3, 0)
    book.end(3, 1)
    book.webhook({"type": "turn.completed", "data": {"turn": {"text": f"{first_word(3, 1)} and so on"}}})
    report = book.report()
    assert report["webhooks_missing"] == 1
    assert report["end_to_webhook_ms"]["count"] == 1


@pytest.mark.parametrize("size", [0, 5, 125, 126, 480, 70_000])
@pytest.mark.parametrize("masked", [pytest.param(True, id="masked"), pytest.param(False, id="plain")])
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_frames_of_a_real_peer_are_read(size, masked, piece):
    import frames

    payload = bytes(index % 251 for index in range(size))
    data = b"".join(
        Frame(opcode, payload).serialize(mask=masked, extensions=[]) for opcode in (Opcode.TEXT, Opcode.BINARY)
    )
    reader, found = frames.Frames(), []
    for at in range(0, len(data), piece):
        found += [(opcode, frames.unmasked(body, key)) for opcode, body, key in reader.feed(data[at : at + piece])]
    assert found == [(frames.TEXT, payload), (frames.BINARY, payload)]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_for_a_real_peer_are_right(size):
    import frames

    payload = b"x" * size
    plain = Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[])
    assert frames.frame(frames.TEXT, payload) == plain
    client = frames.frame(frames.TEXT, payload, client=True)
    assert client[0] == plain[0]
    assert client[1] == plain[1] | 0x80
    assert client.endswith(struct.pack(">I", 0) + payload)


def test_percentiles_are_samples():
    from array import array

    from figures import spread

    assert spread(array("d", (float(number) for number in range(1, 101)))) == {
        "count": 100,
        "p50": 51.0,
        "p99": 100.0,
        "max": 100.0,
    }
    assert spread(array("d"))["p99"] is None


@pytest.mark.parametrize("limit", [0, 1, 30, 100, 131, 700])
async def test_limit_of_a_system_is_found(limit):
    import limits
    import measure

    none = {"count": 1, "p50": 1.0, "p99": 1.0, "max": 1.0}
    tried = []

    async def run(plan, _which):
        tried.append(plan.calls)
        late = none | {"p99": 31.0} if plan.calls > limit else none
        counts = {"calls": plan.calls, "calls_ended": plan.calls, "calls_failed": 0, "frames_lost": 0}
        return counts | {"webhooks_missing": 0, "forward_newest_ms": late, "end_to_webhook_ms": none}

    common = {"seconds": 1, "settle_s": 1, "rate": 1, "speech_ms": 1, "pause_ms": 1, "mix": True, "tls": False}
    plan = measure.Plan(system="voicebot", calls=100, pin=False, **common)
    runs = await limits.find([plan], run)
    held = max((calls for calls in tried if calls <= limit), default=0)
    failed = min(calls for calls in tried if calls > limit)
    assert held <= limit < failed
    assert failed - held <= max(1, failed * limits.CLOSE_ENOUGH)
    assert len(runs) == len(tried) <= 20


async def test_run_without_a_result_does_not_hold(capsys):
    import limits
    import measure

    none = {"count": 1, "p50": 1.0, "p99": 1.0, "max": 1.0}

    async def run(plan, _which):
        if plan.calls > 150:
            raise measure.RunFailedError("out of memory")
        counts = {"calls": plan.calls, "calls_ended": plan.calls, "calls_failed": 0, "frames_lost": 0}
        return counts | {"webhooks_missing": 0, "forward_newest_ms": none, "end_to_webhook_ms": none}

    common = {"seconds": 1, "settle_s": 1, "rate": 1, "speech_ms": 1, "pause_ms": 1, "mix": True, "tls": False}
    plan = measure.Plan(system="voicebot", calls=100, pin=False, **common)
    runs = await limits.find([plan], run)
    assert max(run["calls"] for run in runs) <= 150
    assert "does not hold: no result: out of memory" in capsys.readouterr().out
    with pytest.raises(measure.RunFailedError):
        await limits.find([measure.Plan(system="voicebot", calls=200, pin=False, **common)], run)


@pytest.mark.parametrize("name", ["calls_failed", "frames_lost", "webhooks_missing", "calls_ended"])
def test_run_with_a_fault_does_not_hold(name):
    import limits

    none = {"count": 0, "p50": None, "p99": None, "max": None}
    counts = {"calls": 5, "calls_ended": 5, "calls_failed": 0, "frames_lost": 0, "webhooks_missing": 0}
    run = counts | {"forward_newest_ms": none, "end_to_webhook_ms": none}
    assert limits.faults(run) == []
    assert len(limits.faults(run | {name: 1})) == 1
