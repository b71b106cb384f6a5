"""Call the service as Twilio does: webhook, TwiML, media stream, keys, transfers and hang-up."""

import argparse
import asyncio
import contextlib
import functools
import json
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from voicebot.cli import running
from voicebot.errors import ConfigurationError
from voicebot.local.phone import scenario
from voicebot.local.phone.caller import PhoneCall
from voicebot.local.phone.display import Display
from voicebot.local.phone.echo import Echo
from voicebot.local.phone.events import PhoneEvent
from voicebot.local.phone.faults import PhoneFaults, parse_faults
from voicebot.local.phone.options import (
    DEFAULT_ACCOUNT_SID,
    DEFAULT_AUTH_TOKEN,
    DEFAULT_FROM,
    DEFAULT_TO,
    CallOptions,
    DialOutcome,
    Voice,
)
from voicebot.local.phone.report import CallReport, ExitCode
from voicebot.local.phone.rest import Desk
from voicebot.local.phone.routes import RouteError, Routes
from voicebot.local.phone.scenario import Scenario, ScenarioError, Step
from voicebot.local.phone.sound import SoundError, read_sound

#: How long the caller waits for a greeting, and for each answer, before he goes on, in seconds.
GREETING_S: Final = 5.0
ANSWER_S: Final = 15.0
#: How long the bot may go on speaking before the caller loses patience, in seconds.
SPEECH_S: Final = 60.0
#: How long the caller stays without anything to do, in seconds.
LISTEN_S: Final = 30.0
NOWHERE: Final = "http://127.0.0.1/"


class _UsageError(Exception):
    """The command line asks for something that cannot be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("url", nargs="?", metavar="URL", help="the voice webhook; left out, --rest waits for calls")
    says = parser.add_argument_group("what the caller does (default: listen)")
    says.add_argument("--audio", action="append", type=Path, default=[], metavar="FILE", help="say this; repeatable")
    says.add_argument("--say", action="append", default=[], metavar="TEXT", help="speak this text; repeatable")
    says.add_argument("--dtmf", metavar="KEYS", help="press these keys at the end; w waits half a second")
    says.add_argument("--scenario", type=Path, metavar="FILE", help="follow a YAML scenario with expectations")
    says.add_argument("--voice", default="pico", help="local voice for --say and <Say> (default: %(default)s)")
    says.add_argument("--language", default="en", help="language of that voice (default: %(default)s)")
    _add_call(parser.add_argument_group("the call"))
    _add_output(parser.add_argument_group("what is kept and shown"))


def _add_call(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--from", dest="from_", default=DEFAULT_FROM, metavar="N", help="caller (default: %(default)s)")
    group.add_argument("--to", default=DEFAULT_TO, metavar="N", help="called number (default: %(default)s)")
    signs = "signs every request; the service needs the same (default: %(default)s)"
    group.add_argument("--auth-token", default=DEFAULT_AUTH_TOKEN, metavar="T", help=signs)
    group.add_argument("--account-sid", default=DEFAULT_ACCOUNT_SID, metavar="AC", help="default: %(default)s")
    resolve = "public origin A is really at B, e.g. https://voice.example.com=http://127.0.0.1:8080; repeatable"
    group.add_argument("--resolve", action="append", default=[], metavar="A=B", help=resolve)
    group.add_argument("--ca-file", type=Path, metavar="PEM", help="trust these certificates too")
    group.add_argument("--status-callback", metavar="URL", help="report the call's progress there")
    dial = "how <Dial> goes: busy, no-answer, failed, answered or answered:SECONDS (default: %(default)s)"
    group.add_argument("--dial", default="no-answer", metavar="OUTCOME", help=dial)
    group.add_argument("--agent-audio", type=Path, metavar="FILE", help="what the party called by <Dial> says")
    group.add_argument(
        "--quiet-caller",
        choices=["noise", "comfort", "suppress"],
        default="noise",
        help="how silence is sent; suppress leaves gaps (default: %(default)s)",
    )
    echo = "the caller's phone returns the bot's voice, e.g. 160:-20 for 160 ms later and 20 dB softer"
    group.add_argument("--echo", metavar="MS:DB", help=echo)
    fault = "misbehave, e.g. no_stop, drop_every=5, parameters.token=x; repeatable; a wrong name lists them all"
    group.add_argument("--fault", action="append", default=[], metavar="NAME[=N]", help=fault)
    rest = "serve Twilio's REST API for this account there (0 takes a free port)"
    group.add_argument("--rest", type=int, metavar="PORT", help=rest)


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--record", type=Path, metavar="WAV", help="stereo: left the caller, right what he heard")
    group.add_argument("--report", type=Path, metavar="JSON", help="write the report there")
    group.add_argument("--json", action="store_true", help="print the report instead of the live display")


def run(arguments: argparse.Namespace) -> int:
    """Make the call, or serve REST; the exit code says pass (0) or what went wrong (1 to 5)."""
    console = Console(stderr=arguments.json)
    try:
        options = _options(arguments)
        if arguments.url is None:
            return _wait_for_calls(arguments, options, console)
        report = asyncio.run(_call(arguments, options, console))
    except (_UsageError, ScenarioError, SoundError, RouteError, ConfigurationError) as error:
        console.print(f"[red]cannot call:[/] {escape(str(error))}", highlight=False)
        return ExitCode.USAGE
    except KeyboardInterrupt:
        console.print("stopped")
        return ExitCode.EXPECTATION_FAILED
    if arguments.json:
        print(report.model_dump_json(indent=2))
    else:
        Display(console).summary(report)
    return int(report.exit_code)


async def _call(arguments: argparse.Namespace, options: CallOptions, console: Console) -> CallReport:
    call = PhoneCall(options, observe=_observer(arguments, console))
    if threading.current_thread() is threading.main_thread():
        hang_up = functools.partial(call.hang_up, "caller", "Ctrl-C")
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, hang_up)
    with contextlib.nullcontext() if arguments.json else console.status("on the phone; Ctrl-C hangs up"):
        return await _with_rest(call, options, arguments.rest, console)


async def _with_rest(call: PhoneCall, options: CallOptions, port: int | None, console: Console) -> CallReport:
    if port is None:
        return await call.run()
    desk = Desk(options)
    desk.add(call)
    try:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(desk.run("127.0.0.1", port, _teller(console)))
            report = await call.run()
            serving.cancel()
    except* OSError as error:
        raise _UsageError(f"--rest {port}: {error.exceptions[0]}") from error
    return report


def _wait_for_calls(arguments: argparse.Namespace, options: CallOptions, console: Console) -> int:
    def finished(report: CallReport) -> None:
        if arguments.json:
            print(json.dumps(report.model_dump(mode="json")))
        else:
            Display(console).summary(report)

    desk = Desk(options, observe=_observer(arguments, console), finished=finished)
    try:
        running.run(desk.run("127.0.0.1", arguments.rest, _teller(console)))
    except KeyboardInterrupt:
        console.print("stopped")
    except OSError as error:
        raise _UsageError(f"--rest {arguments.rest}: {error}") from error
    return ExitCode.PASSED


def _observer(arguments: argparse.Namespace, console: Console) -> Callable[[PhoneEvent], None] | None:
    return None if arguments.json else Display(console).show


def _teller(console: Console) -> Callable[[str], None]:
    return lambda url: console.print(f"REST API at [bold]{url}[/]", highlight=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the caller does and how it is judged."""

    steps: tuple[Step, ...]
    expect: scenario.Expectation | None


def _options(arguments: argparse.Namespace) -> CallOptions:
    if arguments.url is None and arguments.rest is None:
        raise _UsageError("give the URL of the voice webhook, or --rest PORT to wait for calls")
    plan = _plan(arguments)
    resolve = dict(_pair(text) for text in arguments.resolve)
    locate = Routes(resolve).locate
    for url in (arguments.url, arguments.status_callback):
        if url is not None:
            locate(url)
    options = CallOptions(
        voice_url=arguments.url or NOWHERE,
        auth_token=arguments.auth_token,
        account_sid=arguments.account_sid,
        from_=arguments.from_,
        to=arguments.to,
        steps=plan.steps,
        expect=plan.expect,
        agent_audio=_sound_file(arguments.agent_audio),
        dial=_outcome(arguments.dial),
        connect_to=resolve,
        ca_file=_existing(arguments.ca_file),
        status_callback=arguments.status_callback,
        quiet=arguments.quiet_caller,
        echo=_echo(arguments.echo),
        faults=_faults(arguments.fault),
        record=_writable(arguments.record),
        report=_writable(arguments.report),
    )
    voice = _voice(arguments, needed=any(isinstance(step, scenario.Say) for step in plan.steps))
    return replace(options, voice=voice, bot_voice=voice)


def _plan(arguments: argparse.Namespace) -> _Plan:
    if arguments.scenario is not None:
        if arguments.audio or arguments.say or arguments.dtmf:
            raise _UsageError("--scenario says what the caller does; leave --audio, --say and --dtmf out")
        loaded: Scenario = scenario.load(arguments.scenario)
        return _Plan(loaded.steps, loaded.expect)
    spoken: list[Step] = []
    for file in arguments.audio:
        _sound_file(file)
        spoken.append(scenario.Play(play=file, optional=True))
    spoken += [scenario.Say(say=text, optional=True) for text in arguments.say]
    return _Plan(tuple(_conversation(spoken, arguments.dtmf)), None)


def _conversation(spoken: list[Step], keys: str | None) -> list[Step]:
    """Greeting, then each utterance with its answer, then the keys; the caller hangs up in the end."""
    steps = _hear(GREETING_S)
    for step in spoken:
        steps += [step, *_hear(ANSWER_S)]
    if keys is not None:
        steps += [_keys(keys), *_hear(ANSWER_S)]
    if not spoken and keys is None:
        steps += [scenario.WaitFor(wait_for="hangup", timeout=LISTEN_S, optional=True)]
    return steps


def _hear(timeout_s: float) -> list[Step]:
    return [
        scenario.WaitFor(wait_for="speech", timeout=timeout_s, optional=True),
        scenario.WaitFor(wait_for="quiet", timeout=SPEECH_S, optional=True),
    ]


def _keys(keys: str) -> Step:
    try:
        return scenario.Dtmf(dtmf=keys, optional=True)
    except ValueError as error:
        raise _UsageError(f"--dtmf {keys!r}: keys are 0-9, A-D, * and #, and w to wait") from error


def _voice(arguments: argparse.Namespace, *, needed: bool) -> Voice | None:
    from voicebot.local.phone.voices import open_voice  # noqa: PLC0415 - only who wants a voice loads the engines

    try:
        return open_voice(arguments.voice, arguments.language)
    except ConfigurationError:
        if needed:
            raise
        return None


def _pair(text: str) -> tuple[str, str]:
    public, separator, local = text.partition("=")
    if not separator:
        raise _UsageError(f"--resolve {text!r}: write A=B, e.g. https://voice.example.com=http://127.0.0.1:8080")
    return public, local


def _outcome(text: str) -> DialOutcome:
    try:
        return DialOutcome.parse(text)
    except ValueError as error:
        raise _UsageError(f"--dial {error}") from error


def _echo(text: str | None) -> Echo | None:
    try:
        return None if text is None else Echo.parse(text)
    except ValueError as error:
        raise _UsageError(f"--echo {error}") from error


def _faults(words: list[str]) -> PhoneFaults:
    try:
        return parse_faults(words)
    except ValueError as error:
        raise _UsageError(f"--fault {error}") from error


def _sound_file(path: Path | None) -> Path | None:
    if path is not None:
        read_sound(path)
    return path


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise _UsageError(f"{path}: there is no such file")
    return path


def _writable(path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise _UsageError(f"{path}: there is no folder {path.parent}")
    return path
