"""`fleetpulse export`: raw data as a file, CSV or Parquet, as it streams in."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fleetpulse.cli.client import Client
from fleetpulse.cli.client_flags import Pairs, add_action, add_group, add_labels, add_window, label_query, window_query
from fleetpulse.errors import SettingsError

DEFAULT = "24h"
FORMATS = ("csv", "parquet")
_WHAT = {
    "samples": ("samples", "values that devices reported", "--types cpu,memory --window 30d -o samples.parquet"),
    "presence": ("presence", "minutes in which a device sent a heartbeat", "--window 30d -o presence.parquet"),
    "heartbeats": (
        "presence",
        "another word for presence: of heartbeats, the minutes are what is kept",
        "--window 30d -o heartbeats.csv",
    ),
    "silences": ("silences", "silences that were longer than a missed beat", "--window 30d -o silences.csv"),
}


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(commands, "export", text="write raw data to a file, CSV or Parquet")
    for name, (what, text, flags) in _WHAT.items():
        parser = add_action(
            actions, name, _export, text=f"write {text}", example=f"fleetpulse export {name} {flags}", has_json=False
        )
        parser.set_defaults(what=what)
        if what == "samples":
            parser.add_argument(
                "--types", required=True, metavar="NAME,…", help="metrics by name; in Parquet all of one kind"
            )
        add_labels(parser, "only devices that have this label")
        parser.add_argument(
            "--device", action="append", default=[], metavar="ID", help="only this device; may be repeated"
        )
        add_window(parser, default=DEFAULT, has_step=False)
        parser.add_argument("--format", choices=FORMATS, help="default: parquet for a file so called, else csv")
        parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")


def _export(chosen: argparse.Namespace) -> None:
    kind = chosen.format or ("parquet" if (chosen.output or "").endswith(".parquet") else "csv")
    if kind == "parquet" and not chosen.output and sys.stdout.isatty():
        raise SettingsError("Parquet is not for terminals: name a file with -o FILE, or lead the output into one.")
    query: Pairs = [("what", chosen.what), ("format", kind), ("types", getattr(chosen, "types", None))]
    query += [
        *label_query(chosen),
        *(("device", device) for device in chosen.device),
        *window_query(chosen, default=DEFAULT),
    ]
    with Client(chosen.url) as client, _progress() as progress, _target(chosen.output) as file:
        task = progress.add_task(decimal(0), total=None)
        received = 0
        for piece in client.stream("/api/v1/export", query):
            file.write(piece)
            received += len(piece)
            progress.update(task, description=decimal(received))


def _progress() -> Progress:
    """What has come so far, for whoever looks."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def _target(path: str | None) -> Iterator[IO[bytes]]:
    """Where the bytes go. A file has its name only when it is whole: one that broke off is not kept."""
    if path is None:
        yield sys.stdout.buffer
        return
    target = Path(path)
    # What is no file, such as /dev/null or a pipe, must not be replaced by one.
    is_special = target.exists() and not target.is_file()
    part = target if is_special else target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        if not is_special:
            part.replace(target)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}. Name another file with -o.") from error
    finally:
        if not is_special:
            with suppress(OSError):
                part.unlink(missing_ok=True)
