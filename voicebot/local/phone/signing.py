"""Signatures as Twilio makes them, over the URL exactly as configured and the form's parameters."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from twilio.request_validator import RequestValidator


class Signer:
    """Makes `X-Twilio-Signature` for webhooks and WebSocket handshakes with one auth token."""

    def __init__(self, auth_token: str) -> None:
        self._validator = RequestValidator(auth_token)

    def form(self, url: str, parameters: Mapping[str, str]) -> str:
        """Signature of a form POST, or of a GET whose parameters are already in the URL (then `parameters` is {})."""
        return str(self._validator.compute_signature(signed_url(url), dict(parameters)))

    def handshake(self, url: str) -> str:
        """Signature of a WebSocket upgrade: the `wss://` URL exactly as in the TwiML, no parameters."""
        return str(self._validator.compute_signature(url, {}))


def signed_url(url: str) -> str:
    """The URL that Twilio signs: no fragment, no user and password; the port dropped for https.

    Twilio, "Security": user information is removed before signing, and voice drops the port over https.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.scheme != "https":
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
