"""Print a new webhook secret."""

import argparse
import secrets

from voicebot.wire.webhook import new_secret

SECRET_BYTES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - every command has this form
    """Print the secret alone, so that it can be piped."""
    print(new_secret(secrets.token_bytes(SECRET_BYTES)))
    return 0
