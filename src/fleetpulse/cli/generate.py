"""`fleetpulse generate`: a data folder with a past, for trying and measuring."""

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from fleetpulse.blocks.store import FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.data_folder import BLOCKS, CATALOG, JOURNAL, hold_folder
from fleetpulse.errors import SettingsError
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.settings import Settings
from fleetpulse.simulation.generate import METRICS, PIECE_DEVICES, Generator, HistorySpec, declare

DAYS_MAX = 3_660
DEVICES_MAX = 1_000_000


def add_command(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "generate",
        help="make a data folder with a past, for trying and measuring",
        description="Write days of a fleet's life straight into the blocks of a new data folder: beats with jitter, outages, backlogs "
        "sent late, slowly moving metrics. Then serve it: fleetpulse serve --data FOLDER. Example: fleetpulse generate --data demo "
        "--devices 1000 --days 30",
    )
    add = parser.add_argument
    add("--data", required=True, metavar="FOLDER", help="data folder to make; must be new or empty")
    add("--devices", type=int, default=1_000, metavar="N", help="devices, device-0000000 … (default: %(default)s)")
    add("--days", type=int, default=30, metavar="N", help="days, up to the end (default: %(default)s)")
    add("--sites", type=int, default=50, metavar="N", help="values of the label site (default: %(default)s)")
    add(
        "--metrics",
        type=int,
        default=5,
        metavar="N",
        help="metrics, one sample a minute each; 0 to 5 (default: %(default)s)",
    )
    add("--end", metavar="TIME", help="RFC 3339 time at which the past ends (default: now)")
    add("--seed", type=int, default=1, help="the same seed and --end make the same past (default: %(default)s)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    for name, lowest, highest in (
        ("devices", 1, DEVICES_MAX),
        ("days", 1, DAYS_MAX),
        ("sites", 1, DEVICES_MAX),
        ("metrics", 0, len(METRICS)),
    ):
        if not lowest <= getattr(chosen, name) <= highest:
            raise SettingsError(f"--{name} must be {lowest} to {highest}, not {getattr(chosen, name)}.")
    try:
        end_ns = time.time_ns() if chosen.end is None else parse_rfc3339_ns(chosen.end)
    except ValueError as error:
        raise SettingsError(
            f"--end must be an RFC 3339 time such as 2026-11-24T08:30:00Z, not {chosen.end}."
        ) from error
    spec = HistorySpec(
        chosen.devices, chosen.days, end_ns, sites=chosen.sites, metrics=chosen.metrics, seed=chosen.seed
    )
    folder = Path(chosen.data)
    with hold_folder(folder):
        if any((folder / name).exists() for name in (JOURNAL, CATALOG, BLOCKS)):
            raise SettingsError(f"{folder} has data already: name another folder with --data, or remove that one.")
        _make(spec, folder)
    Console().print(
        f"made {spec.days} days of {spec.devices} devices in {folder}; serve it with: fleetpulse serve --data {folder}",
        soft_wrap=True,
    )
    return 0


def _make(spec: HistorySpec, folder: Path) -> None:
    SqliteJournal(folder / JOURNAL).close()
    catalog = SqliteCatalog(folder / CATALOG)
    default = Settings()
    generator = Generator(
        spec, FolderBlockStore(folder / BLOCKS), policy=HeartbeatPolicy(default.interval_s, default.grace_s)
    )
    pieces = 1 + spec.metrics * -(-spec.devices // PIECE_DEVICES)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        declaring = progress.add_task("declaring devices", total=None)
        declare(spec, catalog)
        progress.remove_task(declaring)
        making = progress.add_task("making days", total=len(generator.days) * pieces)
        for day in generator.days:
            generator.make_day(day, lambda: progress.advance(making))
    # Last of all, so that a folder whose making was broken off holds no past that looks whole.
    catalog.commit_manifest(generator.finish(catalog))
    catalog.close()
