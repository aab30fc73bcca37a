"""`fleetpulse generate`: a data folder with history, for trying and measuring."""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress

from fleetpulse.blocks.manifest_note import put_manifest_note
from fleetpulse.blocks.store import FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.beating_flags import BeatingFlags
from fleetpulse.cli.flags import Time, Whole
from fleetpulse.cli.tables import show
from fleetpulse.data_folder import BLOCKS, CATALOG, JOURNAL, hold_folder
from fleetpulse.errors import SettingsError
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.units import S_PER_DAY
from fleetpulse.notation.count import count_text
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.settings import Settings
from fleetpulse.simulation.beating import Beating, check_behaviour
from fleetpulse.simulation.generate import METRICS, PIECE_DEVICES, Generator, HistorySpec, declare

DAYS_MAX = 3_660
DEVICES_MAX = 1_000_000
app = App(
    name="generate",
    help_epilogue="It writes days of a fleet's life straight into the blocks of a new data folder: heartbeats with "
    "jitter, outages, backlogs that are sent late, slowly moving metrics. Then serve it with "
    "fleetpulse serve --data FOLDER.\n\nExample:\n  fleetpulse generate --data demo --devices 1000 --days 30",
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the fleet behaved. Shares are of 1, times in seconds.

    Attributes:
        outage_share: Share of a device's time for which it was switched off; at most one outage a day.
        link_outage_share: Share of its time for which it was cut off, and sent its heartbeats afterwards.
        outage_s: Mean length of an outage of either kind, in seconds.
        missed_share: Share of single heartbeats that were never sent.
        jitter_s: How many seconds a heartbeat may be early or late.
    """

    outage_share: float = 0.00058
    link_outage_share: float = 0.00025
    outage_s: float = 2_400.0
    missed_share: float = 0.00007
    jitter_s: float = 0.05

    def of_spec(self, beating: Beating) -> dict[str, float]:
        """The fields of `HistorySpec` that follow. Raises: SettingsError: the fleet cannot behave so."""
        try:
            beating.check()
            check_behaviour(asdict(self))
            if self.jitter_s >= beating.step_s / 2:
                raise ValueError(f"--jitter-s {self.jitter_s:g} is not less than half of the time between two beats")
        except ValueError as error:
            text = f"the history cannot be made so: {error}. Shares are 0 to 1, seconds at least 0."
            raise SettingsError(text) from error
        share = self.outage_share + self.link_outage_share
        return {
            "outages": share * S_PER_DAY / max(1.0, self.outage_s),
            "outage_minutes": self.outage_s / 60,
            "link_share": self.link_outage_share / share if share else 0.0,
            "missed_share": self.missed_share,
            "jitter_s": self.jitter_s,
        }


@app.default
def generate(
    *,
    data: Annotated[Path, Parameter(metavar="FOLDER")],
    devices: Whole = 1_000,
    days: Whole = 30,
    sites: Whole = 50,
    metrics: Whole = 5,
    end: Time = None,
    seed: Whole = 1,
    restart_every_s: Whole = 0,
    beating: BeatingFlags = BeatingFlags(),
    behaviour: Annotated[Behaviour, Parameter(name="*", group="How the fleet behaves")] = Behaviour(),
) -> None:
    """Generate a data folder with history, to try fleetpulse on it and to measure it.

    Args:
        data: Data folder to create; must be new or empty.
        devices: How many devices, device-0000000 and so on.
        days: How many days of history, up to --end.
        sites: How many different values the label `site` has.
        metrics: How many metrics, with one sample in each heartbeat; 0 to 5.
        end: Time at which the history ends, RFC 3339 (default: now).
        seed: The same --seed and --end make the same history.
        restart_every_s: Once in so many seconds the service was not running for a second; 0: it always ran.
    """
    ranges = (
        ("devices", devices, 1, DEVICES_MAX),
        ("days", days, 1, DAYS_MAX),
        ("sites", sites, 1, DEVICES_MAX),
        ("metrics", metrics, 0, len(METRICS)),
        ("restart-every-s", restart_every_s, 0, DAYS_MAX * S_PER_DAY),
    )
    for name, value, lowest, highest in ranges:
        if not lowest <= value <= highest:
            raise SettingsError(f"--{name} must be {lowest} to {highest}, not {value}.")
    spec = HistorySpec(
        devices,
        days,
        _end_ns(end),
        sites=sites,
        metrics=metrics,
        seed=seed,
        restart_every_s=restart_every_s,
        beating=beating,
        **behaviour.of_spec(beating),
    )
    with hold_folder(data):
        if any((data / name).exists() for name in (JOURNAL, CATALOG, BLOCKS)):
            raise SettingsError(f"{data} has data already: name another folder with --data, or remove that one.")
        try:
            _make(spec, data)
        except BaseException:  # Ctrl-C as well as a full disk
            text = f"broken off: {data} holds devices without the whole of their history; remove it and generate again"
            print(f"fleetpulse: {text}.", file=sys.stderr)
            raise
    made = f"{count_text(days, 'day')} of {count_text(devices, 'device')}"
    show(f"made {made} in {data}; serve it with: fleetpulse serve --data {data}")


def _end_ns(end: str | None) -> int:
    """Raises: SettingsError: the time is none."""
    try:
        return time.time_ns() if end is None else parse_rfc3339_ns(end)
    except ValueError as error:
        text = f"--end must be an RFC 3339 time such as 2026-11-24T08:30:00Z, not {end}."
        raise SettingsError(text) from error


def _make(spec: HistorySpec, folder: Path) -> None:
    SqliteJournal(folder / JOURNAL).close()
    catalog = SqliteCatalog(folder / CATALOG)
    default = Settings()
    policy = HeartbeatPolicy(spec.beating.interval_s, default.grace_s)
    store = FolderBlockStore(folder / BLOCKS)
    generator = Generator(spec, store, policy=policy)
    pieces = 1 + spec.metrics * -(-spec.devices // PIECE_DEVICES)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        declaring = progress.add_task("declaring devices", total=None)
        declare(spec, catalog)
        progress.remove_task(declaring)
        making = progress.add_task("making days", total=len(generator.days) * pieces)
        for day in generator.days:
            generator.make_day(day, lambda: progress.advance(making))
    # The manifest comes last: a folder whose making was broken off must not look whole.
    manifest = generator.finish(catalog)
    put_manifest_note(store, manifest)
    catalog.commit_manifest(manifest)
    catalog.close()
