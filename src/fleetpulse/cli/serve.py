"""`fleetpulse serve`: the service."""

import argparse
import os
from pathlib import Path
from typing import Any

import uvloop

from fleetpulse.app import serve
from fleetpulse.settings import ENVIRONMENT_PREFIX, entries, load_settings
from fleetpulse.telemetry.logs import configure_logs


def add_command(commands: Any) -> None:
    """Declare the command; every setting is a flag."""
    parser = commands.add_parser(
        "serve",
        help="run the service",
        description="Run the service. Each flag is also an environment variable (FLEETPULSE_NAME) and a line of a TOML file; "
        "flags win over the environment, the environment over the file.",
    )
    parser.add_argument(
        "--config", metavar="FILE", default=argparse.SUPPRESS, help="TOML file of settings (FLEETPULSE_CONFIG)"
    )
    for entry in entries():
        flags = ["--" + name.replace("_", "-") for name in (entry.name, entry.about.former_name) if name]
        text = f"{entry.about.text} (default: {entry.default})".replace("%", "%%")
        if entry.kind is bool:
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            kind = entry.kind.__name__.upper()
            parser.add_argument(*flags, dest=entry.name, metavar=kind, default=argparse.SUPPRESS, help=text)
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    flags = {name: value for name, value in vars(chosen).items() if name not in ("run", "config")}
    file = getattr(chosen, "config", None) or os.environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    settings = load_settings(flags, os.environ, Path(file) if file else None)
    configure_logs(settings.log_format)
    uvloop.run(serve(settings))
    return 0
