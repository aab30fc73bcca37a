"""The files in which people declare devices, metrics and alerts: read at the start, and again at SIGHUP.

Both ways are one: a file is read whole, merged with the catalog by the rule of `model/declaration_merge.py` in one
transaction, and what changed is logged. A file that cannot be used changes nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from fleetpulse.catalog.acting import Act, acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.file_readings import FileKind
from fleetpulse.clock import Clock
from fleetpulse.errors import FleetpulseError, OperatorError, OutOfRange
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.file_sources import FileSource
from fleetpulse.pipeline.merges import file_rule
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query import declaration_answers
from fleetpulse.query.describe import describe_file

log = structlog.get_logger("declared files")
LOGGED_MAX = 20
"""Ids that a line of the log lists; the counts are of all."""


@dataclass(eq=False, frozen=True, kw_only=True)
class DeclaredFiles:
    """The files that the service reads, in the order in which it reads them."""

    sources: Sequence[FileSource[Any]]
    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    readiness: Readiness
    changes_listed_max: int
    rule_of: Callable[[Catalog, FileKind], Rule] = file_rule

    def load_now(self) -> None:
        """Read all files. Blocks; for the start.

        Raises: OperatorError: a file cannot be used. OSError: the catalog could not be written.
        """
        for source in self.sources:
            written, report = self._merge(source, listed_max=LOGGED_MAX)
            source.adopt_now(written)
            _log(source.name, report)

    async def reload(self) -> None:
        """Read all files again while events come in. An error is logged, and the faulty file changes nothing."""
        if not self.readiness.answers:
            log.warning("SIGHUP has nothing to do: not ready yet")
            return
        if not self.sources:
            log.warning("SIGHUP has nothing to do: no --devices, --metrics or --alerts file")
        for source in self.sources:
            with _logging_errors():
                async with _holding(source.changing):
                    written, report = await self.catalog_thread.run(partial(self._merge, source, listed_max=LOGGED_MAX))
                    await source.adopt(written)
                _log(source.name, report)

    async def preview(self) -> declaration_answers.DeclaredFiles:
        """What reading the files now would change; nothing is changed. Raises: NotAccepting."""
        files: list[declaration_answers.DeclaredFile] = []
        for source in self.sources:
            async with _holding(source.changing):
                files.append(await self._previewed(source))
        return declaration_answers.DeclaredFiles(files)

    async def _previewed(self, source: FileSource[Any]) -> declaration_answers.DeclaredFile:
        read_at_ns = await self.catalog_thread.run(lambda: self.catalog.file_read_at(source.kind))
        outcome: MergeReport | str
        try:
            _, outcome = await self.catalog_thread.run(
                partial(self._merge, source, listed_max=self.changes_listed_max, is_dry=True)
            )
        except OperatorError as error:
            outcome = str(error)
        return describe_file(source.kind, str(source.path), read_at_ns=read_at_ns, outcome=outcome)

    def _merge(self, source: FileSource[Any], *, listed_max: int, is_dry: bool = False) -> tuple[Any, MergeReport]:
        report = MergeReport(listed_max)
        with _naming(source):
            merge = source.read()
            with self._reading(source.kind, is_dry=is_dry):
                written = merge(self.rule_of(self.catalog, source.kind), report)
        return written, report

    @contextlib.contextmanager
    def _reading(self, kind: FileKind, *, is_dry: bool) -> Generator[None, None, None]:
        act = Act(who="fleetpulse", role="", action=f"read {kind} file", needs_changes=True)
        with acting(act), self.catalog.transaction(is_dry=is_dry):
            yield
            self.catalog.note_file_read(kind, at_ns=self.clock.now_ns())


@contextlib.asynccontextmanager
async def _holding(locks: Sequence[asyncio.Lock]) -> AsyncGenerator[None, None]:
    async with contextlib.AsyncExitStack() as stack:
        for lock in locks:
            await stack.enter_async_context(lock)
        yield


def _log(name: str, report: MergeReport) -> None:
    """Log counts, and which; a conflict is a warning, since the file says what is not in effect."""
    which: dict[str, object] = {
        "added_ids": [change.id for change in report.changes if change.is_new],
        "changed_ids": [change.id for change in report.changes if not change.is_new],
        "conflicts": [f"{conflict.id}: {conflict.text}" for conflict in report.conflicts],
    }
    write = log.warning if report.in_conflict else log.info
    write(
        f"{name} read",
        added=report.added,
        changed=report.changed,
        unchanged=report.unchanged,
        in_conflict=report.in_conflict,
        **{key: value for key, value in which.items() if value},
    )


@contextlib.contextmanager
def _logging_errors() -> Generator[None, None, None]:
    try:
        yield
    except (FleetpulseError, OSError) as error:
        log.error("a file was not taken; what it says stays as it was", error=str(error))


@contextlib.contextmanager
def _naming(source: FileSource[Any]) -> Generator[None, None, None]:
    """Turn a limit that the content of a file exceeds into an error that names the file and the setting."""
    try:
        yield
    except OutOfRange as error:
        hint = f" Shorten it, or raise --{error.setting.replace('_', '-')}." if error.setting else ""
        raise source.error(f"{source.path}: {error.msg}.{hint}") from error
