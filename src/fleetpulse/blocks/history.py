"""The closed part of history, read from the blocks that a manifest names.

In come questions, and late data that must be merged with what a day holds already. Out come arrays. Files never change,
so footers and small columns stay in a bounded cache. Each file is checked against its checksum once, before it is used;
of large ones, of which single row groups are read, the size is checked, and the checksums of footer and pages.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Chunk, Rows
from fleetpulse.aggregate.rollup import ALL_PARTS, CellPart
from fleetpulse.blocks.columns import Column, Footer, cut_columns, read_footer, read_groups
from fleetpulse.blocks.file_checks import check_ends, check_file
from fleetpulse.blocks.memory_cache import MemoryCache
from fleetpulse.blocks.presence import PRESENCE_INDEXED, read_minutes, read_presence, read_row
from fleetpulse.blocks.samples import (
    INDEXED,
    SAMPLE_COLUMNS,
    RollupRows,
    RowRange,
    rollup_columns,
    rollup_rows,
    sample_rows,
)
from fleetpulse.blocks.set_aside import SetAsideBlocks
from fleetpulse.blocks.snapshot import read_snapshot
from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.model.manifest import RAW, BlockFile, Manifest, SampleBlock, closed_presence, files_to_start
from fleetpulse.model.metric import Kind
from fleetpulse.model.samples import SampleColumns
from fleetpulse.storage_causes import RESTORE, storage_text

log = structlog.get_logger("blocks")
MEMORY_CACHE_BYTES_MAX = 67_108_864  # of footers and small columns, unless configured otherwise
WHOLE_FILE_BYTES = 4_194_304
"""A file of up to this size is checked as a whole before it is used; of larger ones, only what is read of them."""
OnDamage = Callable[[int, DamagedData], None]
"""Called with a day whose block is missing or damaged, and with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class SampleRange:
    """Which rows of a sample block: of one metric, of one device or (None) of all, with `at` in [start_ns, end_ns)."""

    metric: int
    device: int | None
    start_ns: int
    end_ns: int


class History:
    """Reads the blocks of a manifest: the current one, unless another is named."""

    def __init__(
        self, store: BlockStore, manifest: Manifest, *, memory_cache_bytes_max: int = MEMORY_CACHE_BYTES_MAX
    ) -> None:
        self.store = store
        self.memory_cache = MemoryCache(memory_cache_bytes_max)
        self._pinned: Counter[str] = Counter()
        self._checked: set[str] = set()
        self.set_aside = SetAsideBlocks()
        self.manifest = manifest

    @property
    def manifest(self) -> Manifest:
        """The current one."""
        return self._manifest

    @manifest.setter
    def manifest(self, manifest: Manifest) -> None:
        self._manifest = manifest
        # Footers of files that were replaced would fill the cache: a file of millions of rows has a large one.
        names = {file.name for file in manifest.files()}
        self.memory_cache.keep_files(names)
        self.set_aside.keep_files(names)
        self.store.keep_copies({file.name for file in files_to_start(manifest)})

    @contextlib.contextmanager
    def pinned(self) -> Generator[Manifest, None, None]:
        """Keep the files of the current manifest from being removed, for an answer that reads them for a long time."""
        manifest = self.manifest
        names = [file.name for file in manifest.files()]
        self._pinned.update(names)
        try:
            yield manifest
        finally:
            self._pinned.subtract(names)
            self._pinned = +self._pinned

    def in_use(self) -> set[str]:
        """Names of files that must not be removed: those of the manifest, and the pinned ones."""
        return {file.name for file in self.manifest.files()} | {
            name for name, count in self._pinned.items() if count > 0
        }

    def missing_files(self) -> set[str]:
        """Names that the manifest has and the store has not. Raises: OSError: the store cannot list its files."""
        return {file.name for file in self.manifest.files()} - self.store.names()

    def read_snapshot(self, file: BlockFile) -> dict[str, NDArray[np.generic]]:
        """The columns of SNAPSHOT_COLUMNS, with its dtypes, by name, each of shape (devices,). Raises: DamagedData."""
        with self.opened_whole(file) as reader:
            return read_snapshot(reader)

    def open_chunks(self) -> Iterator[tuple[int, Chunk]]:
        """The presence of the days that were open at the last checkpoint, each chunk with its day.

        Raises: DamagedData.
        """
        for day, file in self.manifest.presence.items():
            if day >= self.manifest.open_from_day:
                with self.opened_whole(file) as reader:
                    for chunk in read_presence(reader):
                        yield day, chunk

    def has_closed(self, day: int) -> bool:
        """Whether a day has a closed block.

        An open day has a file, too, but it is part of the snapshot: the live fleet holds all of it.
        """
        return closed_presence(self.manifest, day) is not None

    def row(self, day: int, device: int, *, manifest: Manifest | None = None) -> Rows | None:
        """The row of one device in the closed block of a day, shape (23,), or None. Takes a millisecond.

        Raises: DamagedData.
        """
        file = closed_presence(manifest or self.manifest, day)
        if file is None:
            return None
        with self.opened_whole(file) as reader:
            return read_row(reader, file.name, self.footer_of(file, PRESENCE_INDEXED), device)

    def chunks(self, day: int, *, manifest: Manifest | None = None) -> Iterator[Chunk]:
        """The chunks of the closed block of a day in order; none where there is no block.

        Raises: DamagedData: the block is missing, or not as it was written.
        """
        file = closed_presence(manifest or self.manifest, day)
        if file is not None:
            with self.opened_whole(file) as reader:
                yield from read_presence(reader)

    def minutes(self, day: int, *, manifest: Manifest | None = None) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The devices present in a closed day, uint32, ascending, and their minutes, uint16; both shape (devices,).

        Raises: DamagedData.
        """
        file = closed_presence(manifest or self.manifest, day)
        if file is None:
            return np.zeros(0, np.uint32), np.zeros(0, np.uint16)

        def make() -> tuple[tuple[NDArray[np.uint32], NDArray[np.uint16]], int]:
            with self.opened_whole(file) as reader:
                devices, minutes = read_minutes(reader)
            return (devices, minutes), devices.nbytes + minutes.nbytes

        return self.memory_cache.get(("minutes", file.name), make)

    def samples(self, block: SampleBlock, wanted: SampleRange) -> Iterator[SampleColumns]:
        """The samples of a block in a range, a row group at a time, sorted by device and time. Raises: DamagedData."""
        file = block.files[RAW]
        for samples in self.sample_groups(file, self._groups(file, wanted)):
            chosen = _chosen(samples.devices, samples.at_ns, wanted)
            if chosen is None:
                yield samples
            elif len(chosen):
                yield samples.where(chosen)

    def rollups(
        self, block: SampleBlock, tier: str, wanted: SampleRange, *, parts: Sequence[CellPart]
    ) -> Iterator[RollupRows]:
        """The cells of a block in a range, a row group at a time, sorted by device and time. Raises: DamagedData."""
        file = block.files[tier]
        device = wanted if wanted.device is not None else None
        for rows in self.rollup_groups(file, self._groups(file, wanted), block.kind, parts, of_device=device):
            if len(rows):
                yield rows

    def metrics_of(self, file: BlockFile) -> list[int]:
        """The metrics that a file of samples or roll-ups holds, ascending. Raises: DamagedData."""
        return sorted(set(self.footer(file).least["metric"].tolist()))

    def footer(self, file: BlockFile) -> Footer:
        """The footer of a file of samples or roll-ups. Raises: DamagedData."""
        return self.footer_of(file, INDEXED)

    def sample_groups(self, file: BlockFile, groups: Sequence[int]) -> Iterator[SampleColumns]:
        """Row groups of a file of samples, in the order of `groups`. Raises: DamagedData."""
        metrics = self.footer(file).least["metric"]
        for group, columns in zip(groups, self.read(file, groups, SAMPLE_COLUMNS), strict=True):
            yield sample_rows(columns, int(metrics[group]))

    def rollup_groups(
        self,
        file: BlockFile,
        groups: Sequence[int],
        kind: Kind,
        parts: Sequence[CellPart] = ALL_PARTS,
        *,
        of_device: SampleRange | None = None,
    ) -> Iterator[RollupRows]:
        """Row groups of a file of roll-ups, in the order of `groups`. Raises: DamagedData.

        Args:
            parts: what to read of the cells; the columns of other parts are zeros, as is what older files lack.
            of_device: only the rows of its device and times, so that no cell of another device is made.
        """
        footer = self.footer(file)
        metrics = footer.least["metric"]
        wanted = [column for column in rollup_columns(kind, parts) if column in footer.columns]
        for group, read in zip(groups, self.read(file, groups, wanted), strict=True):
            columns = read
            if of_device is not None:
                chosen = _run(columns["device"], columns["at"], of_device)
                columns = cut_columns(columns, chosen.start, chosen.stop)
            yield rollup_rows(columns, int(metrics[group]), kind)

    def read(self, file: BlockFile, groups: Sequence[int], columns: Sequence[str]) -> Iterator[dict[str, Column]]:
        """Columns of row groups of a file of samples or roll-ups, each of shape (rows,). No groups: it is not opened.

        Raises: DamagedData.
        """
        if groups:
            with self.opened(file) as reader:
                yield from read_groups(reader, file.name, footer=self.footer(file), groups=groups, columns=columns)

    def _groups(self, file: BlockFile, wanted: SampleRange) -> list[int]:
        """The row groups that may hold rows of a range."""
        devices = () if wanted.device is None else (wanted.device, wanted.device + 1)
        return RowRange(wanted.start_ns, wanted.end_ns, *devices).groups(self.footer(file), wanted.metric)

    def footer_of(self, file: BlockFile, indexed: Sequence[str], *, is_kept: bool = True) -> Footer:
        """The footer of a file, with the statistics of the `indexed` columns.

        Args: is_kept: keep it in the cache; not for a scan of many files, which would evict what is wanted more often.
        Raises: DamagedData.
        """
        if file.size_bytes <= WHOLE_FILE_BYTES:
            self.check_once(file)

        def make() -> tuple[Footer, int]:
            with self._noting(file):
                check_ends(self.store, file)
            with self.opened(file) as reader:
                footer = read_footer(reader, file.name, indexed=indexed)
            return footer, footer.size_bytes

        return self.memory_cache.get(("footer", file.name), make, is_kept=is_kept)

    @contextlib.contextmanager
    def opened_whole(self, file: BlockFile) -> Generator[BinaryIO, None, None]:
        """A reader of a file whose checksum was checked once in this process.

        The check comes before the first use: a damaged file must neither be answered from, nor be merged into a new
        file whose checksum would hide the damage.
        """
        self.check_once(file)
        with self.opened(file) as reader:
            yield reader

    def check_once(self, file: BlockFile) -> None:
        """Compare the checksum of a file, unless it was done before in this process. Raises: DamagedData."""
        if file.name not in self._checked:
            self.check(file)
            self._checked.add(file.name)

    def check(self, file: BlockFile) -> None:
        """Read a whole file. Raises: DamagedData: it is not what was written, and is set aside from now on."""
        because = self.set_aside.why(file.name)
        if because is not None:
            raise DamagedData(because)
        with self._noting(file):
            check_file(self.store, file)

    def check_again(self) -> list[str]:
        """See `SetAsideBlocks.check_again`."""
        return self.set_aside.check_again(self.store, self.manifest)

    @contextlib.contextmanager
    def _noting(self, file: BlockFile) -> Generator[None, None, None]:
        """Set a file aside where it turns out to be damaged."""
        try:
            yield
        except DamagedData as error:
            # A question may read a file that was replaced and removed meanwhile: that is no damage.
            is_current = any(file.name == current.name for current in self.manifest.files())
            if is_current and self.set_aside.note(file, error, at_ns=time.time_ns()):
                self._checked.discard(file.name)
                log.error("a block is set aside", block=file.name, error=str(error), todo="copy it back under its name")
            if file.name in str(error):
                raise
            raise type(error)(f"block {file.name}: {error}") from error

    @contextlib.contextmanager
    def opened(self, file: BlockFile) -> Generator[BinaryIO, None, None]:
        """A reader of a file that was not checked. Raises: DamagedData: it is missing, or cannot be read."""
        try:
            reader = self.store.open(file.name)
        except FileNotFoundError as error:
            with self._noting(file):
                raise DamagedData(f"block {file.name} is missing. {RESTORE}") from error
        except OSError as error:
            raise Unreadable(storage_text(error, f"block {file.name} cannot be read")) from error
        with reader, self._noting(file):
            yield reader


def _chosen(devices: NDArray[np.uint32], at_ns: NDArray[np.int64], wanted: SampleRange) -> NDArray[np.int64] | None:
    """Places of the wanted rows of a row group, shape (rows,); None: all of them."""
    if wanted.device is not None:
        # Places and not a slice, so that the rows are copied and the whole row group does not stay in memory with them.
        run = _run(devices, at_ns, wanted)
        return np.arange(run.start, run.stop)
    if int(at_ns.min()) >= wanted.start_ns and int(at_ns.max()) < wanted.end_ns:
        return None
    return np.flatnonzero((at_ns >= wanted.start_ns) & (at_ns < wanted.end_ns))


def _run(devices: NDArray[np.uint32], at_ns: NDArray[np.int64], wanted: SampleRange) -> slice:
    """The rows of the wanted device and times: one run, since rows are sorted by device, then time."""
    assert wanted.device is not None
    # Of the column's own type, or all of it would be converted to search it.
    start, end = np.searchsorted(devices, np.array([wanted.device, wanted.device + 1], np.uint32)).tolist()
    first, last = np.searchsorted(at_ns[start:end], [wanted.start_ns, wanted.end_ns]).tolist()
    return slice(start + first, start + last)
