"""`fleetpulse move`: a service goes on elsewhere, with everything that it has."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.catalog_settings import CatalogSettings
from fleetpulse.cli.move_place import open_place, place_of
from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.cli.tables import left, show, table_of
from fleetpulse.errors import SettingsError
from fleetpulse.journal_settings import JournalSettings
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.move import Moved
from fleetpulse.pipeline.move import move as run
from fleetpulse.pipeline.move_back import take_back as run_back

Words = Annotated[tuple[str, ...], Parameter(consume_multiple=True, allow_repeating=False, metavar="PLACE...")]
ENGINES = {
    *("s3_endpoint", "s3_region", "s3_timeout_s", "database_wait_s"),
    *({field.name for group in (CatalogSettings, JournalSettings) for field in fields(group)} - {"journal", "catalog"}),
}
"""The settings of what URLs lead to."""
app = App(
    name="move",
    help_epilogue="The service must be stopped. A run that was broken off goes on where it was when the same command "
    "is given again; until the end the source has everything, and from then on it does not start any more."
    "\n\nExample:\n  fleetpulse move --from fleet --to nats://10.0.0.1,10.0.0.2,10.0.0.3 "
    "postgresql://fleetpulse@10.0.0.4/fleetpulse s3://fleet-blocks/a",
)


@app.default
@takes_settings(ENGINES)
def move(
    *,
    from_: Annotated[Words, Parameter(name="--from")],
    to: Words = (),
    take_back: bool = False,
    gone: bool = False,
    **flags: str | bool | None,
) -> None:
    """Move a service to other engines or to another place, or back, and compare both sides.

    A place is a data folder, and URLs of what is elsewhere: nats://… for the journal, postgresql://… for the catalog,
    s3://… for the blocks. Blocks that both sides have in one bucket stay where they are.

    Args:
        from_: Where the service is.
        to: Where it goes; empty, or what an earlier run of the same move has left there.
        take_back: Let the service start again at --from, and not at --to, where it must not have gone on meanwhile.
        gone: With --take-back: what is at --to is lost for good.
    """
    source_place, at_ns = place_of(from_, "--from"), time.time_ns()
    if not (to or take_back):
        raise SettingsError("--to is required: name where the service goes.")
    with ExitStack() as closing:
        source = open_place(source_place, given(flags), closing, flag="--from", may_make=False)
        target = None
        if to:
            target = open_place(place_of(to, "--to"), given(flags), closing, flag="--to", may_make=not take_back)
        if take_back:
            run_back(source, target, at_ns=at_ns, is_gone=gone)
            show(f"The service is at {source.place} again. Start it there, and nowhere else.")
            return
        assert target is not None
        with _progress() as advanced:
            moved = run(source, target, at_ns=at_ns, advanced=advanced)
        _show(moved, target.place)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows on a terminal what is being moved, and how much of it is done."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def advanced(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=total)

        yield advanced


def _show(moved: Moved, place: str) -> None:
    found = moved.compared
    if found is None:
        show(
            f"{moved.identity} is at {place} already, and whole: an earlier run has finished. Start the service there."
        )
        return
    megabytes = f"{found.files_bytes / 1e6:.1f} MB"
    rows = [
        ["catalog", count_text(found.rows, "row"), found.rows_hash[:16]],
        [
            "blocks",
            f"{count_text(found.files, 'file')}, {megabytes}; {moved.copied_files} copied now",
            "each its SHA-256",
        ],
        ["journal", f"{count_text(found.entries, 'entry', 'entries')}, to position {found.position}", ""],
        ["live fleet", "replayed on both sides", found.fleet_hash[:16]],
    ]
    show(
        table_of([left("what"), left("both sides have"), left("hash")], rows),
        f"Service {moved.identity} is at {place} now. Start it there: at the other place it does not start any more.",
    )
