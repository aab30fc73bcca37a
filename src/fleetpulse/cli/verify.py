"""`fleetpulse verify`: does a data folder hold together."""

import argparse
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fleetpulse.app import open_store
from fleetpulse.blocks.store import SUFFIX, BlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.data_folder import CATALOG, JOURNAL, hold_folder
from fleetpulse.errors import OperatorError, SettingsError
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.pipeline.verify import Finding, verify
from fleetpulse.settings import load_settings


def add_command(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "verify", help="check that a data folder holds together (journal, snapshot, blocks, manifest)"
    )
    parser.add_argument("--data", default="./data", metavar="FOLDER", help="data folder (default: ./data)")
    parser.add_argument("--all", action="store_true", help="show every block, the good ones too")
    for name in ("blocks", "s3_endpoint", "s3_region"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, metavar="STR", help="as for serve"
        )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    folder = Path(chosen.data)
    for name in (JOURNAL, CATALOG):
        if not (folder / name).exists():
            raise SettingsError(
                f"{folder} is no whole data folder: it has no {name}. Name another with --data, or restore it from a copy."
            )
    with hold_folder(folder):
        flags = {name: value for name, value in vars(chosen).items() if name not in ("run", "all")}
        findings = _findings(folder, open_store(load_settings(flags, os.environ, None)))
    _show(findings, is_all=chosen.all)
    return 0 if all(finding.is_good for finding in findings) else 1


def _show(findings: list[Finding], *, is_all: bool) -> None:
    """What is wrong, whole, a line each; what is good as a table, blocks by their kind unless all are asked for."""
    console = Console()
    good = [finding for finding in findings if finding.is_good]
    table = Table("part", "what was found", "")
    blocks: dict[str, list[Finding]] = {}
    for finding in good:
        if finding.part.endswith(SUFFIX) and not is_all:
            blocks.setdefault(finding.part.partition("-")[0], []).append(finding)
        else:
            table.add_row(finding.part, finding.text, "[green]good[/]")
    for kind, some in blocks.items():
        table.add_row(
            f"{len(some)} {kind} blocks",
            f"{sum(int(finding.text.split()[0]) for finding in some)} bytes",
            "[green]good[/]",
        )
    console.print(table)
    for finding in findings:
        if not finding.is_good:
            console.print(f"[red]WRONG[/] {finding.part}: {finding.text}", soft_wrap=True, highlight=False)


def _findings(folder: Path, store: BlockStore) -> list[Finding]:
    try:
        journal = SqliteJournal(folder / JOURNAL)
    except OperatorError as error:
        return [Finding("journal", str(error), is_good=False)]
    try:
        catalog = SqliteCatalog(folder / CATALOG)
    except OperatorError as error:
        journal.close()
        return [Finding("catalog", str(error), is_good=False)]
    try:
        return verify(journal, catalog, store)
    except OperatorError as error:
        return [Finding("manifest", str(error), is_good=False)]
    finally:
        catalog.close()
        journal.close()
