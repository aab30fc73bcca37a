"""`fleetpulse serve`: the service."""

import os
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import App, Parameter
from cyclopts.help import ColumnSpec, DefaultFormatter, NameRenderer
from cyclopts.help.specs import get_default_parameter_columns
from rich.console import Console

from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.journal_settings import check_engines
from fleetpulse.running import serve as run
from fleetpulse.settings import ENVIRONMENT_PREFIX, load_settings
from fleetpulse.telemetry.logs import configure_logs


def _columns(console: Console, options: Any, entries: Any) -> tuple[ColumnSpec, ...]:
    name, text = get_default_parameter_columns(console, options, entries)
    width = max(32, name.max_width or 0)  # cyclopts itself would break the longest flag in two on 80 columns
    return name.copy(renderer=NameRenderer(width), max_width=width), text


app = App(
    name="serve",
    help_formatter=DefaultFormatter(column_specs=_columns),
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
    check_engines(journal=settings.journal, catalog=settings.catalog, blocks=settings.blocks)
    configure_logs(settings.log_format)
    uvloop.run(run(settings))
