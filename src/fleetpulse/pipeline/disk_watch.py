"""What follows where the disk of the data folder becomes full; the last space is for heartbeats.

    free space below       what is refused with 503 `disk_low`           what else happens
    disk_free_low_bytes    bulk bodies, and single reports that are old  a checkpoint, which frees the journal
    disk_free_least_bytes  everything                                    the reserve is given up, and a checkpoint

Each of the two is at most a share of the disk, so that the defaults also fit a small one. When there is space again,
events are accepted again, without a restart. Before anything is refused, superseded files of blocks are removed, which
stay only for older copies of the data folder; they are also removed for as long as space is scarce.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from fleetpulse.disk_space import Reserve, Space, space_of
from fleetpulse.errors import Busy, NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.limits import DiskLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.threads import disk_thread
from fleetpulse.pipeline.watch import Watch

log = structlog.get_logger("disk")
DISK_LOW = "disk_low"
"""The reason of refusals of events while the disk of this node is nearly full."""
MEASURE_S = 1.0
RETRY_S = 30
LOW_SHARE, LEAST_SHARE = 10, 50
"""The thresholds are at most this part of the disk's size."""
RELIEF_S = 10.0
"""So long nothing is refused while superseded files are being removed."""
EASED = 1.1
"""A threshold is left again only with so much more space, so that events are not accepted and refused in turns."""
ENOUGH, LOW, LEAST = range(3)


class DiskWatch:
    """Measures in a thread of its own, since a disk that hangs may hang there, too; acts on the loop."""

    def __init__(
        self,
        *,
        folder: Path,
        limits: DiskLimits,
        backlog_after_s: float,
        intake: Intake,
        watch: Watch,
        free_journal: Callable[[], None],
        give_up_files: Callable[[int], "asyncio.Task[None] | None"] = lambda _bytes: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`free_journal` has a checkpoint taken; `give_up_files` removes so many bytes of superseded files.

        It returns None where there are none, or they are not on this disk.
        """
        self._folder = folder
        self._limits = limits
        self._backlog_after_ns = int(backlog_after_s * NS_PER_S)
        self._intake = intake
        self._watch = watch
        self._free_journal = free_journal
        self._give_up_files = give_up_files
        self._monotonic_s = monotonic_s
        self._relief: asyncio.Task[None] | None = None
        self._relief_until_s = 0.0
        self._measured = self._measured_before = 0
        self._reserve = Reserve(folder, size_bytes=limits.disk_reserve_bytes)
        self._ended = threading.Event()
        self._refusal: NotAccepting | None = None
        self.space: Space | None = None
        """As it was measured last; None: the system does not tell."""
        self.level = ENOUGH

    def start(self) -> None:
        """Begin to measure."""
        disk_thread(self._run).start()

    def close(self) -> None:
        """Measure no more. A thread that hangs is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        self.measure()
        while not self._ended.wait(MEASURE_S):
            self.measure()

    def measure(self) -> None:
        """Look at the disk, and make or give up the reserve. In the thread."""
        self.space = space_of(self._folder)
        self._measured += 1
        if self.level == LEAST:
            self._reserve.release()
        elif self.space is not None and self.level == ENOUGH:
            self._reserve.keep(self.space)

    def thresholds(self, space: Space) -> tuple[int, int]:
        """(low, least): the free bytes below which less is accepted."""
        return (
            min(self._limits.disk_free_low_bytes, space.size_bytes // LOW_SHARE),
            min(self._limits.disk_free_least_bytes, space.size_bytes // LEAST_SHARE),
        )

    @property
    def note(self) -> str:
        """What people are to know of the disk, long before events are refused; empty where there is much space."""
        if self.space is None:
            return ""
        low, least = self.thresholds(self.space)
        if self.level == LEAST:
            return f"the disk has less than {least} bytes free (disk_free_least_bytes): nothing is accepted"
        if self.level == LOW:
            return f"the disk has less than {low} bytes free (disk_free_low_bytes): backlogs are refused"
        return f"the disk has less than {2 * low} bytes free: make room" if self.space.free_bytes < 2 * low else ""

    def tick(self) -> None:
        """Refuse or accept by what was measured last. On the loop, a few times a second."""
        space = self.space
        if space is None:
            return
        before, level = self.level, self._level_of(space)
        if level > ENOUGH and self._is_relieved(space) and level > before:
            return  # until it is known what that has brought
        self.level = level
        intake = self._intake
        intake.backlog_before_ns = self._watch.clock.now_ns() - self._backlog_after_ns if self.level else 0
        if self.level != before:
            self._enter()
        if self.level == LEAST and intake.closed_by is None and self._refusal is not None:
            self._watch.hold()
            intake.close(self._refusal)

    def _is_relieved(self, space: Space) -> bool:
        """Have superseded files removed; whether that is going on, or the space was not measured since."""
        low, _ = self.thresholds(space)
        is_over = self._monotonic_s() >= self._relief_until_s
        if self._relief is None and is_over:
            self._relief = self._give_up_files(int(low * EASED) - space.free_bytes)
            if self._relief is not None:
                self._relief_until_s, is_over = self._monotonic_s() + RELIEF_S, False
        if self._relief is None:
            return False
        if not self._relief.done():
            self._measured_before = self._measured + 1  # the one that is under way may be too early
            return not is_over
        if self._measured <= self._measured_before and not is_over:
            return True
        self._relief = None
        return False

    def _level_of(self, space: Space) -> int:
        for level, threshold in zip((LEAST, LOW), reversed(self.thresholds(space)), strict=True):
            if space.free_bytes < threshold * (EASED if self.level >= level else 1):
                return level
        return ENOUGH

    def _enter(self) -> None:
        space = self.space
        free_bytes = 0 if space is None else space.free_bytes
        if self.level:
            log.error("the disk becomes full", free_bytes=free_bytes, todo="make room on it", what=self.note)
        else:
            log.info("the disk has space again", free_bytes=free_bytes)
        text = f"{self.note}; send it again when there is space"
        self._intake.backlog_refusal = Busy(text, reason=DISK_LOW, retry_after_s=RETRY_S) if self.level else None
        if self.level == LEAST:
            self._refusal = NotAccepting(text, reason=DISK_LOW, retry_after_s=RETRY_S)
        elif self._refusal is not None:
            if self._intake.closed_by is self._refusal:
                self._watch.open()
            self._refusal = None
        # Also when there is space again: the last checkpoint may have failed for want of it.
        self._free_journal()
