"""`fleetpulse verify`: does a data folder hold together."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.blocks.store import BlockStore, FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.cli.tables import Cell, left, mark_cell, show, table_of
from fleetpulse.data_folder import CACHE, CATALOG, JOURNAL, hold_folder, open_store
from fleetpulse.errors import OperatorError, SettingsError
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.verify import Advanced, Finding
from fleetpulse.pipeline.verify import verify as check
from fleetpulse.reached import ReachedMark
from fleetpulse.settings import Settings, load_settings

TEXT_MAX = 100
"""Longer texts, such as lists of files, stand below the table, which would be too wide for any screen."""
app = App(
    name="verify",
    help_epilogue="Journal, snapshot, blocks and manifest are checked; the exit status is 1 where something is wrong.",
)


@app.default
@takes_settings(("blocks", "s3_endpoint", "s3_region", "s3_timeout_s", "database_wait_s"))
def verify(
    *,
    data: Annotated[Path, Parameter(metavar="FOLDER")] = Path("data"),
    all_: Annotated[bool, Parameter(name="--all")] = False,
    cache: Annotated[bool, Parameter(negative="")] = False,
    **flags: str | bool | None,
) -> int:
    """Check that a data folder is complete and undamaged.

    Blocks that are in a bucket are read from there, each whole: name it with --blocks, as for `fleetpulse serve`.

    Args:
        data: Data folder of a service that is stopped.
        all_: Show every block, also those that are undamaged.
        cache: Check the copies of blocks in the cache folder instead of the bucket.
    """
    for name in (JOURNAL, CATALOG):
        if not (data / name).exists():
            reached = ReachedMark(data, slot=0 if name == JOURNAL else 1).found
            had = "" if reached is None else f", which had reached number {reached.number}"
            text = f"{data} is no whole data folder: it has no {name}{had}."
            raise SettingsError(f"{text} Name another with --data, or restore it from a copy.")
    with hold_folder(data):
        settings = load_settings({**given(flags), "data": str(data)}, os.environ, None)
        with _store(settings, is_cache=cache) as store, _progress() as advanced:
            check_parts = partial(check, is_cache=cache, advanced=advanced)
            findings = _findings(data, store, check_parts, wait_s=settings.database_wait_s)
    _show(findings, is_all=all_)
    return 0 if all(finding.is_good for finding in findings) else 1


@contextmanager
def _store(settings: Settings, *, is_cache: bool) -> Iterator[BlockStore]:
    """The blocks to check: of a bucket the objects themselves, or the copies in the cache."""
    if is_cache:
        if not settings.blocks:
            raise SettingsError("--cache is for blocks in a bucket: name it with --blocks s3://bucket/prefix.")
        yield FolderBlockStore(Path(settings.data) / CACHE)
    elif settings.blocks:
        with TemporaryDirectory(dir=settings.data, prefix="verify-") as folder:
            yield open_store(settings, uncached_folder=Path(folder))
    else:
        yield open_store(settings)


@contextmanager
def _progress() -> Iterator[Advanced]:
    """Shows on a terminal how many blocks were read."""
    if not sys.stderr.isatty():
        yield lambda _done, _count, _size_bytes: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    read_bytes = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("blocks", total=None)

        def advanced(done: int, count: int, size_bytes: int) -> None:
            nonlocal read_bytes
            read_bytes += size_bytes
            progress.update(task, completed=done, total=count, description=f"blocks, {read_bytes / 1e6:.0f} MB")

        yield advanced


def _show(findings: Sequence[Finding], *, is_all: bool) -> None:
    """The good parts as a table, blocks by their kind unless `is_all`.

    Long texts, what was not read, and each wrong part follow in lines of their own.
    """
    rows: list[list[Cell]] = []
    lines: list[str] = []
    blocks: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.is_good and finding.kind and not is_all:
            blocks.setdefault(finding.kind, []).append(finding)
        elif finding.is_good and len(finding.text) > TEXT_MAX:
            lines.append(f"{finding.part}: {finding.text}")
        elif finding.is_good:
            rows.append(
                [finding.part, finding.text, mark_cell("good", is_good=True) if finding.is_read else "not read"]
            )
    for kind, files in blocks.items():
        size = f"{sum(file.size_bytes for file in files)} bytes"
        rows.append([count_text(len(files), f"{kind} block"), size, mark_cell("good", is_good=True)])
    unread = [finding.part for finding in findings if not finding.is_read]
    if unread:
        lines.append(f"Not read: {', '.join(unread)}. Their checksums are recorded nowhere, and no answer needs them.")
    show(table_of([left("part"), left("what was found"), left("")], rows), *lines)
    for finding in findings:
        if not finding.is_good:
            show(f"WRONG {finding.part}: {finding.text}")


def _findings(
    folder: Path, store: BlockStore, check_parts: Callable[..., list[Finding]], *, wait_s: float
) -> list[Finding]:
    try:
        journal = SqliteJournal(folder / JOURNAL, wait_s=wait_s)
    except OperatorError as error:
        return [Finding("journal", str(error), is_good=False)]
    try:
        catalog = SqliteCatalog(folder / CATALOG, wait_s=wait_s)
    except OperatorError as error:
        journal.close()
        return [Finding("catalog", str(error), is_good=False)]
    try:
        return check_parts(journal, catalog, store)
    except OperatorError as error:
        return [Finding("manifest", str(error), is_good=False)]
    finally:
        catalog.close()
        journal.close()
