"""Print the webhook contract as JSON Schema."""

import argparse
import json

from voicebot.wire.webhook import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which half of the contract."""
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--events", dest="part", action="store_const", const="events", help="only what is sent")
    half.add_argument("--reply", dest="part", action="store_const", const="reply", help="only what may be answered")
    parser.set_defaults(part="all")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(json_schema(arguments.part), indent=2, ensure_ascii=False))
    return 0
