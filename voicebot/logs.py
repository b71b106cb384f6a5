"""Logs for a person or for a machine."""

import json
import logging
import sys
from collections.abc import Iterable
from typing import TextIO, cast

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from voicebot.config import LogSettings

HIDDEN = "[secret]"


class Censored:
    """A stream that writes no secret, whoever has put it into a text: a library, a peer's error, a stack."""

    def __init__(self, stream: TextIO, secrets: Iterable[str]) -> None:
        self._stream = stream
        forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
        self._secrets = sorted(forms, key=len, reverse=True)

    def write(self, text: str) -> int:
        """Write, with what is secret left out; returns the length of what was to be written."""
        shown = text
        for secret in self._secrets:
            shown = shown.replace(secret, HIDDEN)
        self._stream.write(shown)
        return len(text)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()


def set_up(settings: LogSettings, stream: TextIO | None = None, *, secrets: Iterable[str] = ()) -> None:
    """Configure structlog and the standard library's loggers of our libraries, once, at start; to standard error.

    No line has any of `secrets`.
    """
    stream = stream or sys.stderr
    censored = cast("TextIO", Censored(stream, secrets))
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    renderers: list[structlog.typing.Processor] = (
        # Stacks without the values in them: those are what was said.
        [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(censored),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(censored)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def pass_over_bad_requests() -> None:
    """Keep requests that are no HTTP out of the log: anybody can send them, and each would be an error with a traceback."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
