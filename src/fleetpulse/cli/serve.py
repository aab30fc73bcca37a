"""`fleetpulse serve`: the service."""

import os
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, Parameter

from fleetpulse.app import serve as run
from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.settings import ENVIRONMENT_PREFIX, load_settings
from fleetpulse.telemetry.logs import configure_logs

app = App(
    name="serve",
    help_epilogue="Each flag is also an environment variable (FLEETPULSE_NAME) and a line of a TOML file; flags win "
    "over the environment, and the environment over the file.",
)


@app.default
@takes_settings()
def serve(*, config: Annotated[Path | None, Parameter(metavar="FILE")] = None, **flags: str | bool | None) -> None:
    """Run the service.

    Args:
        config: TOML file of settings (default: FLEETPULSE_CONFIG).
    """
    file = config or os.environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    settings = load_settings(given(flags), os.environ, Path(file) if file else None)
    configure_logs(settings.log_format)
    uvloop.run(run(settings))
