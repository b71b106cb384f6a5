"""What the caller does: steps with expectations, written in Python or in a YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

#: How long a `wait_for` waits unless told, in seconds.
DEFAULT_TIMEOUT_S: Final = 15.0
#: How long both sides must be silent for `wait_for: silence`, in seconds.
DEFAULT_SILENCE_S: Final = 2.0
#: What PyYAML raises besides its own: for a date that is none, an empty `!!int`, a thousand brackets.
YAML_STUMBLES: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
#: Most characters of a YAML error that are repeated.
MAX_REASON: Final = 300
#: Largest scenario file, in bytes.
MAX_SCENARIO_BYTES: Final = 256 * 1024


class ScenarioError(ValueError):
    """A scenario that cannot be followed; says which file, which step and which key."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expectation(_Model):
    """What must hold. Times in milliseconds; "since the caller spoke" means since his last `say` or `play` began."""

    heard_ms: float | None = None
    """The caller heard at least this much sound since he spoke (or since the call was answered)."""
    total_heard_ms: float | None = None
    """The caller heard at least this much sound in the whole call."""
    first_audio_within_ms: float | None = None
    """Sound came within this time after the caller's last words (or after the answer)."""
    stopped_within_ms: float | None = None
    """The sound playing when the caller last began to speak stopped within this time."""
    ended_by: Literal["service", "caller", "nobody", "error", "time-limit"] | None = None
    """Who or what ended the call; `nobody` means that it goes on."""
    dialed: str | None = None
    """This number was called by `<Dial>`."""
    dial_status: str | None = None
    """The last `<Dial>` ended like this."""
    verb: str | None = None
    """This TwiML verb was followed."""
    said: str | None = None
    """A `<Say>` contained these words (letters' case does not matter)."""
    marks_echoed: int | None = None
    """At least so many marks went back to the service."""
    clears: int | None = None
    """The service cleared the buffer at least so often."""
    streams: int | None = None
    """The service had at least so many media streams, one after another."""
    resumed_within_ms: float | None = None
    """Another stream followed each stream but the last within this time."""
    error: int | None = None
    """This Twilio error code occurred; it then no longer counts against the service."""


class _Spoken(_Model):
    barge_in: bool = False
    """Begin while the bot is speaking (waits until it does) instead of waiting until it is quiet."""
    after_ms: float = Field(default=0, ge=0)
    """Begin so much later."""
    optional: bool = False
    """If the call has ended by then, that is no failure."""


class Say(_Spoken):
    """Speak a text through the voice."""

    say: str


class Play(_Spoken):
    """Play a sound file, or sound given as bytes of a sound file."""

    play: Path | bytes
    label: str | None = None


class Wait(_Model):
    """Let time pass, in seconds."""

    wait: float = Field(ge=0)


class WaitFor(_Model):
    """Wait until something happens; a failure when it has not after `timeout` seconds, unless optional."""

    wait_for: Literal["speech", "mark", "quiet", "hangup", "silence"]
    timeout: float = Field(default=DEFAULT_TIMEOUT_S, gt=0)
    optional: bool = False
    name: str | None = None
    """Which mark; any if left out."""
    for_s: float = Field(default=DEFAULT_SILENCE_S, gt=0)
    """How long `silence` must last, in seconds."""


class Dtmf(_Model):
    """Press keys one after another; `w` waits half a second."""

    dtmf: str = Field(pattern=r"^[0-9A-D*#w]+$")
    optional: bool = False


class Expect(_Model):
    """Judge something now, or wait up to `within` seconds for it to become true."""

    expect: Expectation
    within: float = Field(default=0, ge=0)


class HangUp(_Model):
    """The caller hangs up."""

    hangup: bool | None = True


type Step = Say | Play | Wait | WaitFor | Dtmf | Expect | HangUp

_STEPS: Final[Mapping[str, type[Say | Play | Wait | WaitFor | Dtmf | Expect | HangUp]]] = {
    "say": Say,
    "play": Play,
    "wait": Wait,
    "wait_for": WaitFor,
    "dtmf": Dtmf,
    "expect": Expect,
    "hangup": HangUp,
}


class Scenario(_Model):
    """A named list of steps, and what must hold when the call is over."""

    name: str = "call"
    steps: tuple[Say | Play | Wait | WaitFor | Dtmf | Expect | HangUp, ...] = ()
    expect: Expectation | None = None


def load(path: Path) -> Scenario:
    """Read a YAML scenario; sound files are looked for beside it. Raises `ScenarioError` naming file, step and key."""
    if not path.is_file():
        raise ScenarioError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_SCENARIO_BYTES:
        raise ScenarioError(f"{path}: larger than {MAX_SCENARIO_BYTES} bytes; that is no scenario")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, *YAML_STUMBLES) as error:
        raise ScenarioError(f"{path}: not YAML: {str(error)[:MAX_REASON]}") from error
    return read(content, path)


def read(content: Any, path: Path) -> Scenario:
    """Judge what a YAML file holds; `path` names it in errors and is where relative sound files are looked for."""
    if isinstance(content, list):
        content = {"steps": content}
    if not isinstance(content, dict):
        raise ScenarioError(f"{path}: expected a mapping with `steps:` or a list of steps, found {_kind(content)}")
    _known(content, ("name", "steps", "expect"), f"{path}: top level")
    steps = content.get("steps") or []
    if not isinstance(steps, list):
        raise ScenarioError(f"{path}: `steps` must be a list, found {_kind(steps)}")
    after = content.get("expect")
    return Scenario(
        name=str(content.get("name") or path.stem),
        steps=tuple(_step(step, number, path) for number, step in enumerate(steps, 1)),
        expect=None if after is None else _validated(Expectation, after, f"{path}: expect"),
    )


def label(step: Step) -> str:
    """A step in a few words, for the display and for failures."""
    match step:
        case Say(say=text):
            return f"say {text!r}"
        case Play(play=bytes(), label=name):
            return f"play {name or 'audio'}"
        case Play(play=source, label=name):
            return f"play {name or Path(str(source)).name}"
        case Wait(wait=seconds):
            return f"wait {seconds:g} s"
        case WaitFor(wait_for=what):
            return f"wait_for {what}"
        case Dtmf(dtmf=digits):
            return f"dtmf {digits}"
        case Expect(expect=wanted):
            return "expect " + ", ".join(wanted.model_dump(exclude_none=True))
        case HangUp():
            return "hangup"


def _step(raw: Any, number: int, path: Path) -> Say | Play | Wait | WaitFor | Dtmf | Expect | HangUp:
    where = f"{path}: step {number}"
    if raw == "hangup":
        raw = {"hangup": True}
    if not isinstance(raw, dict):
        raise ScenarioError(f"{where}: expected a mapping such as `wait: 1`, found {_kind(raw)}")
    verbs = [key for key in raw if key in _STEPS]
    if len(verbs) != 1:
        found = ", ".join(f"`{key}`" for key in raw) or "nothing"
        raise ScenarioError(f"{where}: found {found}; a step has exactly one of {_names(_STEPS)}")
    model = _STEPS[verbs[0]]
    _known(raw, tuple(model.model_fields), f"{where} ({verbs[0]})")
    step = _validated(model, raw, where)
    if isinstance(step, Play) and isinstance(step.play, Path) and not step.play.is_absolute():
        step = step.model_copy(update={"play": path.parent / step.play})
    if isinstance(step, Play) and isinstance(step.play, Path) and not step.play.is_file():
        raise ScenarioError(f"{where}: `play`: there is no file {step.play}")
    return step


def _validated[M: BaseModel](model: type[M], raw: Any, where: str) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = f"; known keys: {_names(Expectation.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise ScenarioError(f"{where}: `{key}`: {first['msg']}{known}") from error


def _known(raw: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            raise ScenarioError(f"{where}: unknown key `{key}`; known keys: {_names(known)}")


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} ({str(value)[:40]!r})"
