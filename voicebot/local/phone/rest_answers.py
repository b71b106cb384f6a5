"""What Twilio's REST API answers: calls, streams and errors in its own shapes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from voicebot.local.phone.caller import PhoneCall
from voicebot.local.phone.socket import MediaStream

API_VERSION: Final = "2010-04-01"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer: HTTP status, Twilio's code and its text."""

    status: int
    code: int
    message: str

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": self.message, "more_info": more, "status": self.status}


AUTHENTICATE: Final = Refusal(401, 20003, "Authenticate")
NOT_IN_PROGRESS: Final = Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
NO_TO: Final = Refusal(400, 21201, "No 'To' number is specified")
NO_FROM: Final = Refusal(400, 21603, "A 'From' phone number is required.")
URL_REQUIRED: Final = Refusal(400, 21205, "Url parameter is required.")


def not_found(path: str) -> Refusal:
    """The resource does not exist."""
    return Refusal(404, 20404, f"The requested resource {path} was not found")


def invalid_url(url: str) -> Refusal:
    """A parameter should be a URL and is none."""
    return Refusal(400, 21205, f"Url is not a valid URL: {url}")


def bad_parameter(message: str) -> Refusal:
    """A parameter has a value that Twilio does not take."""
    return Refusal(400, 20001, message)


def call_resource(call: PhoneCall) -> dict[str, Any]:
    """A call as `GET Calls/{sid}.json` shows it."""
    options = call.options
    uri = f"/{API_VERSION}/Accounts/{options.account_sid}/Calls/{call.call_sid}"
    ended = None if call.ended is None else format_datetime(call.ended)
    duration = None if call.ended is None else str(round((call.ended - call.started).total_seconds()))
    return {
        "sid": call.call_sid,
        "account_sid": options.account_sid,
        "api_version": API_VERSION,
        "from": options.from_,
        "from_formatted": options.from_,
        "to": options.to,
        "to_formatted": options.to,
        "direction": options.direction,
        "status": call.status,
        "date_created": format_datetime(call.started),
        "date_updated": format_datetime(datetime.now(UTC)),
        "start_time": format_datetime(call.started),
        "end_time": ended,
        "duration": duration,
        "answered_by": None,
        "annotation": None,
        "caller_name": None,
        "forwarded_from": None,
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "trunk_sid": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"streams": f"{uri}/Streams.json"},
    }


def stream_resource(call: PhoneCall, stream: MediaStream) -> dict[str, Any]:
    """A stream as the Streams subresource shows it."""
    account = call.options.account_sid
    return {
        "sid": stream.plan.sid,
        "account_sid": account,
        "call_sid": call.call_sid,
        "name": stream.plan.verb.name,
        "status": "stopped" if stream.stopped else "in-progress",
        "date_updated": format_datetime(datetime.now(UTC)),
        "uri": f"/{API_VERSION}/Accounts/{account}/Calls/{call.call_sid}/Streams/{stream.plan.sid}.json",
    }
