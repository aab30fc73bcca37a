"""`fleetpulse`: picks the command; what it cannot do ends in one line that says what to do, and exit status 1."""

import argparse
import os
import sys

from fleetpulse import __version__
from fleetpulse.cli import devices, export, maintenance, metrics, report, serve, simulate, uptime, verify
from fleetpulse.errors import OperatorError


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    parser = argparse.ArgumentParser(
        prog="fleetpulse", description="Watch a fleet of edge devices: durable heartbeats in, exact uptime out."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve.add_command(commands)
    simulate.add_command(commands)
    verify.add_command(commands)
    for client in (devices, uptime, metrics, maintenance, report, export):
        client.add_command(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: print(__version__))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status."""
    chosen = build_parser().parse_args(arguments)
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
