"""Run the sample application, a dictation notebook, as the other end of the webhooks."""

import argparse
import secrets

from aiohttp import web

from voicebot.cli.secret import SECRET_BYTES
from voicebot.errors import ConfigurationError
from voicebot.local.sample import application
from voicebot.wire.webhook import check_secret, new_secret

DEFAULT_PORT = 8090


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it listens, and the secret that it checks."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on (default: %(default)s)")
    parser.add_argument("--secret", help="the webhook secret, whsec_… (default: a new one, printed)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; raises ConfigurationError when the secret is none."""
    secret = arguments.secret or new_secret(secrets.token_bytes(SECRET_BYTES))
    try:
        check_secret(secret)
    except ValueError as error:
        raise ConfigurationError(f"--secret: {error}") from None
    if not arguments.secret:
        print(f"The service must sign with\n  VOICEBOT_WEBHOOK__SECRETS='[\"{secret}\"]'", flush=True)
    web.run_app(application(secret), host=arguments.host, port=arguments.port)
    return 0
