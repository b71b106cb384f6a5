"""The command `voicebot`."""

import argparse
import importlib
import sys
from collections.abc import Mapping

from voicebot.errors import ConfigurationError, VoicebotError

type Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name for it

EXIT_FAILED, EXIT_CONFIGURATION = 1, 3
COMMANDS = {
    "serve": "serve",
    "demo": "demo",
    "check": "check",
    "schema": "schema",
    "secret": "secret",
    "watch": "watch",
    "calls": "calls",
    "transcribe": "transcribe",
    "replay": "replay",
    "deliveries": "deliveries",
}
LOCAL = {"soniox": "local_soniox", "call": "local_call", "app": "local_app", "probe": "local_probe"}
LOCAL_HELP = "Stand-ins that run on this machine: Soniox, the phone, and an application; and a probe for yours."


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="voicebot", description="A phone number in, one signed webhook per turn out.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, COMMANDS, words[:1])
    local = commands.add_parser("local", help=LOCAL_HELP, description=LOCAL_HELP)
    _add(local.add_subparsers(metavar="WHAT", required=True), LOCAL, words[1:2] if words[:1] == ["local"] else [])
    parsed = parser.parse_args(words)
    try:
        return int(parsed.run(parsed))
    except ConfigurationError as error:
        print(f"voicebot: not configured\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except VoicebotError as error:
        print(f"voicebot: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


def _add(commands: Commands, modules: Mapping[str, str], wanted: list[str]) -> None:
    """Add the commands; only the module of the one that is wanted is imported, unless help needs them all."""
    chosen = {name: module for name, module in modules.items() if [name] == wanted} or modules
    for name, module_name in chosen.items():
        module = importlib.import_module(f"voicebot.cli.{module_name}")
        parser = commands.add_parser(name, help=module.__doc__, description=module.__doc__)
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)


if __name__ == "__main__":
    sys.exit(main())
