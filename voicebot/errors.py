"""Everything we raise on purpose: four words sort all failures."""

from voicebot.text import whole


class VoicebotError(Exception):
    """The root of what this service raises on purpose; its text is written for the person who reads the log."""

    def __init__(self, text: str) -> None:
        super().__init__(whole(text))  # a peer's words are in it


class ConfigurationError(VoicebotError):
    """A setting is missing or wrong: the service cannot start; names the setting, never its secret value."""


class LocalProtocolError(VoicebotError):
    """We broke a protocol: our own bug."""


class PeerError(VoicebotError):
    """A peer failed us; `peer` is its name in logs and metrics (``twilio``, ``soniox``, ``application``, ``audio``)."""

    def __init__(self, peer: str, message: str) -> None:
        super().__init__(f"{peer}: {message}")
        self.peer = peer


class PeerProtocolError(PeerError):
    """The peer broke the protocol: bad JSON, a wrong type, an early close, a wrong order."""


class PeerUnavailable(PeerError):  # noqa: N818 - the four words are the vocabulary, not a naming slip
    """The peer could not be reached or gave up for now: connect, time-out, reset, 5xx; may be retried."""


class PeerRefused(PeerError):  # noqa: N818 - see PeerUnavailable
    """The peer said no: wrong key, no quota, 4xx; never retried automatically."""

    def __init__(self, peer: str, message: str, *, code: int) -> None:
        super().__init__(peer, message)
        self.code = code


class ReplyRefused(VoicebotError):  # noqa: N818 - the term of the webhook contract
    """The application's reply has the wrong shape; `path` is the JSON path of the first fault, `reason` what is wrong there."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"reply refused at {path}: {reason}")
        self.path = path
        self.reason = reason
