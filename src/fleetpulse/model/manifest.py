"""The manifest: the list of the files that hold the history, and the journal position up to which they hold it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fleetpulse.model.days import Days
from fleetpulse.model.events import Position
from fleetpulse.model.metric import Kind
from fleetpulse.model.server_clock import NO_LEAPS, KnownLeaps
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

RAW, MINUTE, HOUR, DAY = "raw", "minute", "hour", "day"
TIERS = (RAW, MINUTE, HOUR, DAY)
"""What a file of a sample block holds: the samples themselves, or their roll-ups, from finest to coarsest."""


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One file of the block store, with the size and checksum that tell whether it is still what was written."""

    name: str
    size_bytes: int
    sha256: str


DEVICES_END = 2**32 - 1
"""Greater than the number of any device."""


@dataclass(frozen=True, slots=True)
class GapFile(BlockFile):
    """A file of gaps, or of what late beats cover, of which only those of the devices [first_device, end_device) count.

    The others have been merged into another file. Files of one `sequence` other than 0 are to become one sequence: each
    is of a range of devices, and no two of the same device. While they do, the files that are being merged are of the
    same sequence as the ones that they have been merged into. A file of sequence 0 stands by itself.
    """

    first_device: int = 0
    end_device: int = DEVICES_END
    sequence: int = 0

    @property
    def file(self) -> BlockFile:
        """The file, whatever counts of it."""
        return BlockFile(self.name, self.size_bytes, self.sha256)

    @classmethod
    def of(
        cls, file: BlockFile, *, first_device: int = 0, end_device: int = DEVICES_END, sequence: int = 0
    ) -> "GapFile":
        """A file, with what counts of it."""
        return cls(file.name, file.size_bytes, file.sha256, first_device, end_device, sequence)


@dataclass(frozen=True, slots=True)
class BackfillFile(GapFile):
    """A file of what late beats cover. It may touch the beat gaps in the files of the days [start_day, end_day)."""

    start_day: int = 0
    end_day: int = 0


class Superseded(NamedTuple):
    """A file of ours that the manifest does not name any more, or never did."""

    name: str
    size_bytes: int
    """0 where it is not known."""
    since_ns: int
    was_at_rest: bool
    """It was named by the manifest with which a service started: copies of a stopped service need it."""


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Samples of metrics of one kind, and after compaction the roll-ups of exactly these samples.

    A fresh block, as a checkpoint writes it, has `day` None: it has samples of any days, and no roll-ups. A compacted
    block is a part of one UTC day (days since 1970-01-01), and each sample of that day is in exactly one of its parts.
    """

    kind: Kind
    day: int | None
    start_ns: int
    end_ns: int
    """The sent_at of all its samples is in [start_ns, end_ns)."""
    samples: int
    files: dict[str, BlockFile]
    """The file of each tier that the block has."""
    is_distinct: bool = False
    """Whether no sample of it occurs in it twice, or in another block as well.

    It is False for blocks of versions that counted repeated samples, and where another block could not be read when it
    was written. Compaction makes such parts anew, as far as their samples are kept.
    """


@dataclass(frozen=True, slots=True)
class LateBlock:
    """Presence of days that were closed before it came in, of any number of days, until compaction has merged them.

    Two files of the same rows: see `blocks/late.py`.
    """

    by_day: BlockFile
    by_device: BlockFile
    days: Days
    """The days (since 1970-01-01) whose rows count: those that compaction has not merged into their blocks yet."""
    written_day: int
    """The day on which the checkpoint was taken that wrote it."""

    @property
    def files(self) -> tuple[BlockFile, BlockFile]:
        """Both files."""
        return self.by_day, self.by_device


GAPS, BEAT_GAPS = -1, -2
"""Stand for reception gaps and beat gaps where the numbers of metrics stand."""
Expired = Mapping[int, Mapping[int, int]]
"""How many samples, by metric and UTC day (days since 1970-01-01); of GAPS and BEAT_GAPS, how many gaps by the day they
ended in."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint: the history up to journal position `position` is in these files and nowhere else.

    `presence` maps a day (days since 1970-01-01) to its block. A day below `open_from_day` is closed: the
    snapshot's `closed_minutes`, together with the file `counted`, counts the minutes of its block. Any other day is
    open: its block belongs to the snapshot, and the next checkpoint replaces it. `late` holds further minutes of
    closed days, which nothing counts until they are merged into the blocks of their days. `gaps` maps a day to the
    files of the reception gaps that ended in it, `beat_gaps` to those of gaps between beats by the clocks of devices.
    Each gap counts in one of them. `covers` maps a day to files of what late beats cover of its beat gaps; `backfill`
    are such files that compaction has not given to days yet. What they cover of a beat gap is no part of it.
    """

    position: Position = 0
    open_from_day: int = 0
    taken_at_ns: int = 0
    alive_at_ns: int = 0
    blind_ns: tuple[tuple[int, int], ...] = ()
    leaps: KnownLeaps = NO_LEAPS
    snapshot: BlockFile | None = None
    presence: dict[int, BlockFile] = field(default_factory=dict)
    gaps: dict[int, tuple[GapFile, ...]] = field(default_factory=dict)
    samples: tuple[SampleBlock, ...] = ()
    late: tuple[LateBlock, ...] = ()
    counted: BlockFile | None = None
    """By how much the minutes in the blocks of closed days have grown since the snapshot, by device."""
    names: dict[str, BlockFile] = field(default_factory=dict)
    """`devices` and `metrics`: the ids and names behind the numbers in the other blocks."""
    expired: Expired = field(default_factory=dict)
    """Samples and gaps that retention has deleted; never forgotten, whatever definitions say later."""
    beat_gaps: dict[int, tuple[GapFile, ...]] = field(default_factory=dict)
    covers: dict[int, tuple[GapFile, ...]] = field(default_factory=dict)
    backfill: tuple[BackfillFile, ...] = ()
    beats_exact_from_ns: int = 0
    """Of beats with sent_at before this time gaps may be lacking: a version that did not know them received them."""
    catalog_version: int = 0
    """The heartbeat policies at `position` were those of this version of the catalog; only in a shared journal."""

    def files(self) -> list[BlockFile]:
        """All files that this manifest lists."""
        return [
            *([self.snapshot] if self.snapshot else []),
            *self.presence.values(),
            *(file for days in (self.gaps, self.beat_gaps, self.covers) for files in days.values() for file in files),
            *self.backfill,
            *(file for block in self.late for file in block.files),
            *([self.counted] if self.counted else []),
            *(file for block in self.samples for file in block.files.values()),
            *self.names.values(),
        ]


OPEN_AFTER_MIDNIGHT_NS = NS_PER_HOUR
"""So long after its end a day stays open: by then what was on its way at midnight has come in."""


def first_open_day(now_ns: int) -> int:
    """The day from which on days are open: today, and in its first hour yesterday."""
    return (now_ns - OPEN_AFTER_MIDNIGHT_NS) // NS_PER_DAY


def files_to_start(manifest: Manifest) -> list[BlockFile]:
    """The files that a start needs: the snapshot, what was counted since, and the presence of days that were open."""
    open_days = [file for day, file in manifest.presence.items() if day >= manifest.open_from_day]
    return [*filter(None, (manifest.snapshot, manifest.counted)), *open_days]


def closed_presence(manifest: Manifest, day: int) -> BlockFile | None:
    """The file of a closed day, None where there is none."""
    return manifest.presence.get(day) if day < manifest.open_from_day else None


def closed_days(manifest: Manifest) -> dict[int, BlockFile]:
    """The files of all closed days, by day. Those of open days are part of the snapshot."""
    return {day: file for day, file in manifest.presence.items() if day < manifest.open_from_day}
