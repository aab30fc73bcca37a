"""`fleetpulse export`: raw data as a file, CSV or Parquet, as it streams in."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cyclopts import App, Parameter

from fleetpulse.cli.flags import Address, Ids, IncludeDeleted, Labels, Types, Window, action, label_query, types_query
from fleetpulse.cli.output_file import Output
from fleetpulse.errors import SettingsError

app = App(name="export")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Rows(Address):
    """Which rows, in which format, and where they go.

    Attributes:
        label: Only devices with this label; may be repeated.
        device: Only this device; may be repeated.
        format: Format of the file (default: parquet for a file that ends so, else csv).
    """

    window: Window = field(default=Window())
    label: Labels = ()
    device: Annotated[Ids, Parameter(name=["--device-id", "--device"])] = ()
    include_deleted: IncludeDeleted = False
    format: Literal["csv", "parquet"] | None = None
    output: Output = field(default=Output())


@action(app, "fleetpulse export samples --types cpu,memory --window 30d -o samples.parquet")
def samples(*, types: Types, rows: Rows = Rows()) -> None:
    """Write values that devices reported.

    Args:
        types: Names of metrics; may be repeated; in Parquet all of one kind (float or integer).
    """
    _export("samples", rows, types=types)


@action(app, "fleetpulse export presence --window 30d -o presence.parquet")
def presence(*, rows: Rows = Rows()) -> None:
    """Write the minutes in which each device sent a heartbeat or a report of metrics."""
    _export("presence", rows)


@action(app, "fleetpulse export heartbeats --window 30d -o heartbeats.csv")
def heartbeats(*, rows: Rows = Rows()) -> None:
    """The same as `export presence`: heartbeats and reports are stored as minutes."""
    _export("presence", rows)


@action(app, "fleetpulse export reception-gaps --window 30d -o gaps.csv")
def reception_gaps(*, rows: Rows = Rows()) -> None:
    """Write reception gaps: times in which nothing was received from a device, longer than a missed heartbeat."""
    _export("reception_gaps", rows)


@action(app, "fleetpulse export silences --window 30d -o gaps.csv")
def silences(*, rows: Rows = Rows()) -> None:
    """Write reception gaps, under the former name of `reception-gaps`."""
    _export("reception_gaps", rows)


def _export(what: str, rows: Rows, *, types: Types = ()) -> None:
    path = rows.output.path
    is_parquet = path is not None and path.name.endswith(".parquet")
    kind = rows.format or ("parquet" if is_parquet else "csv")
    if kind == "parquet" and path is None and sys.stdout.isatty():
        raise SettingsError("Parquet is not for terminals: name a file with -o FILE, or lead the output into one.")
    query = [("what", what), ("format", kind), *types_query(types), *label_query(rows.label), *rows.window.query()]
    query += [("include_deleted", rows.include_deleted or None), *(("device_id", device) for device in rows.device)]
    with rows.client() as client, progress() as advance, rows.output.open() as file:
        for piece in client.stream("/api/v1/export", query):
            file.write(piece)
            advance(len(piece))


@contextmanager
def progress() -> Iterator[Callable[[int], None]]:
    """Shows on a terminal how many bytes have come; the function takes those of a piece."""
    if not sys.stderr.isatty():
        yield lambda _size: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda size: progress.advance(task, size)
