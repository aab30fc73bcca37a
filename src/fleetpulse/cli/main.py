"""`fleetpulse`: picks the command; what it cannot do ends in one line that says what to do, and exit status 1."""

import argparse
import sys

from fleetpulse import __version__
from fleetpulse.cli import generate, serve, simulate, verify
from fleetpulse.errors import OperatorError


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    parser = argparse.ArgumentParser(
        prog="fleetpulse", description="Watch a fleet of edge devices: durable heartbeats in, exact uptime out."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve.add_command(commands)
    simulate.add_command(commands)
    generate.add_command(commands)
    verify.add_command(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: print(__version__))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status."""
    chosen = build_parser().parse_args(arguments)
    try:
        return chosen.run(chosen) or 0
    except OperatorError as error:
        print(f"fleetpulse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
