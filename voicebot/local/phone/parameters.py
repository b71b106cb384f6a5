"""The parameters Twilio sends with every request about a call."""

from collections.abc import Mapping
from typing import Final, Literal

from voicebot.local.phone.options import CallOptions

type CallStatus = Literal[
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "failed",
    "no-answer",
    "canceled",
]
_COUNTRIES: Final = {"+1": "US", "+44": "GB", "+49": "DE", "+43": "AT", "+41": "CH", "+33": "FR", "+61": "AU"}
_PARTIES: Final = (("From", "Caller"), ("To", "Called"))


def call_parameters(options: CallOptions, call_sid: str, status: CallStatus) -> dict[str, str]:
    """The standard parameters of a voice webhook; places nobody knows are blank, as Twilio leaves them."""
    numbers = {"From": options.from_, "To": options.to}
    parameters = {
        "AccountSid": options.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallStatus": status,
        "Direction": options.direction,
    }
    for party, alias in _PARTIES:
        for name in (party, alias):
            parameters[name] = numbers[party]
            parameters |= {f"{name}{place}": "" for place in ("City", "State", "Zip")}
            parameters[f"{name}Country"] = _country(numbers[party])
    return parameters | dict(options.parameters)


def dial_parameters(child_sid: str, status: str, duration_s: int) -> Mapping[str, str]:
    """What the `action` of `<Dial>` is told on top; the duration only when somebody answered."""
    parameters = {"DialCallStatus": status, "DialCallSid": child_sid}
    if status == "completed":
        parameters |= {"DialCallDuration": str(duration_s), "DialBridged": "true"}
    return parameters


def _country(number: str) -> str:
    return next((country for prefix, country in _COUNTRIES.items() if number.startswith(prefix)), "")
