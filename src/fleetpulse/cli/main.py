"""`fleetpulse`: picks the command; what it cannot do ends in one line that says what to do, and exit status 1."""

import argparse
import os
import sys
from importlib import import_module

from fleetpulse import __version__
from fleetpulse.errors import OperatorError

COMMANDS = (
    "serve",
    "simulate",
    "generate",
    "verify",
    "devices",
    "uptime",
    "metrics",
    "maintenance",
    "report",
    "export",
)
"""Each is a module beside this one."""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """All commands and their flags, or `only` one of them: a question to the service need not load the service, which takes a second."""
    parser = argparse.ArgumentParser(
        prog="fleetpulse", description="Watch a fleet of edge devices: durable heartbeats in, exact uptime out."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in (only,) if only in COMMANDS else COMMANDS:
        import_module(f"fleetpulse.cli.{name}").add_command(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: print(__version__))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = build_parser(given[0] if given else None).parse_args(given)
    try:
        status: int = chosen.run(chosen) or 0
        sys.stdout.flush()
    except OperatorError as error:
        print(f"fleetpulse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone (`| head`). Nobody is left to tell, and the interpreter shall not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status
