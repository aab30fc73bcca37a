"""`fleetpulse serve`: the service."""

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import uvloop

from fleetpulse.app import serve
from fleetpulse.settings import ENVIRONMENT_PREFIX, Settings, load_settings
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
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        text = f"{setting.metadata['text']} (default: {setting.default})".replace("%", "%%")
        if isinstance(setting.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            kind = type(setting.default).__name__.upper()
            parser.add_argument(flag, dest=setting.name, metavar=kind, default=argparse.SUPPRESS, help=text)
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    flags = {name: value for name, value in vars(chosen).items() if name not in ("run", "config")}
    file = getattr(chosen, "config", None) or os.environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    settings = load_settings(flags, os.environ, Path(file) if file else None)
    configure_logs(settings.log_format)
    uvloop.run(serve(settings))
    return 0
