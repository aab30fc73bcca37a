"""`fleetpulse verify`: does a data folder hold together."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.cli.tables import Cell, left, mark_cell, show, table_of
from fleetpulse.data_folder import CATALOG, JOURNAL, hold_folder, open_store
from fleetpulse.errors import OperatorError, SettingsError
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.verify import Finding
from fleetpulse.pipeline.verify import verify as check
from fleetpulse.settings import load_settings

app = App(
    name="verify",
    help_epilogue="Journal, snapshot, blocks and manifest are checked; the exit status is 1 where something is wrong.",
)


@app.default
@takes_settings(("blocks", "s3_endpoint", "s3_region", "database_wait_s"))
def verify(
    *,
    data: Annotated[Path, Parameter(metavar="FOLDER")] = Path("data"),
    all_: Annotated[bool, Parameter(name="--all")] = False,
    **flags: str | bool | None,
) -> int:
    """Check that a data folder is complete and undamaged.

    Args:
        data: Data folder of a service that is stopped.
        all_: Show every block, also those that are undamaged.
    """
    for name in (JOURNAL, CATALOG):
        if not (data / name).exists():
            text = f"{data} is no whole data folder: it has no {name}."
            raise SettingsError(f"{text} Name another with --data, or restore it from a copy.")
    with hold_folder(data):
        settings = load_settings({**given(flags), "data": str(data)}, os.environ, None)
        findings = _findings(data, open_store(settings), wait_s=settings.database_wait_s)
    _show(findings, is_all=all_)
    return 0 if all(finding.is_good for finding in findings) else 1


def _show(findings: Iterable[Finding], *, is_all: bool) -> None:
    """The good parts as a table, blocks by their kind unless `is_all`; then each wrong part in a line of its own."""
    rows: list[list[Cell]] = []
    blocks: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.is_good and finding.kind and not is_all:
            blocks.setdefault(finding.kind, []).append(finding)
        elif finding.is_good:
            rows.append([finding.part, finding.text, mark_cell("good", is_good=True)])
    for kind, files in blocks.items():
        size = f"{sum(file.size_bytes for file in files)} bytes"
        rows.append([count_text(len(files), f"{kind} block"), size, mark_cell("good", is_good=True)])
    show(table_of([left("part"), left("what was found"), left("")], rows))
    for finding in findings:
        if not finding.is_good:
            show(f"WRONG {finding.part}: {finding.text}")


def _findings(folder: Path, store: BlockStore, *, wait_s: float) -> list[Finding]:
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
        return check(journal, catalog, store)
    except OperatorError as error:
        return [Finding("manifest", str(error), is_good=False)]
    finally:
        catalog.close()
        journal.close()
