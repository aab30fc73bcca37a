"""Holding backlogs back while what waits for a checkpoint fills the memory: bulk bodies and old single reports.

Each device and day of late data is a row in memory until a checkpoint has written it, and so is each stretch that late
beats cover, and each gap.
Where rows come faster than checkpoints write them, or no checkpoint succeeds, senders of backlogs are told to come back
later. Current reports never are, so `/readyz` says that memory grows.

Checkpoints write late blocks, which compaction merges into their days. Each one that waits costs memory, and questions
read all of them: so backlogs wait also while there are too many. Those that wait for a damaged day to be restored do
not count, since nobody knows how long that takes.
"""

from collections.abc import Callable

import structlog

from fleetpulse.errors import Busy
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.watch import Watch

log = structlog.get_logger("late_hold")
HELD_AT = 2
"""So many times `checkpoint_late_rows` or `checkpoint_reception_gaps`: one part is being written, another gathers."""
RETRY_S = 10


class LateHold:
    """Used on the loop only."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        intake: Intake,
        watch: Watch,
        readiness: Readiness,
        late_rows_max: int,
        gaps_max: int,
        late_blocks: Callable[[], int],
        late_blocks_max: int,
        backlog_after_s: float,
    ) -> None:
        """`late_rows_max`, `gaps_max`: so many of them in memory hold backlogs back; and more than `late_blocks_max`.

        Of gaps also two for each device do not: all devices end one when they are first heard, and after a restart.
        `late_blocks`: how many late blocks can be merged and are not yet.
        """
        self._fleet = fleet
        self._intake = intake
        self._watch = watch
        self._readiness = readiness
        self._rows_max = late_rows_max
        self._gaps_max = gaps_max
        self._late_blocks, self._late_blocks_max = late_blocks, late_blocks_max
        self._backlog_after_ns = int(backlog_after_s * NS_PER_S)
        self._refusals = {
            "late_rows": _refusal(
                f"late data fills the memory, {late_rows_max} rows of devices and days (twice checkpoint_late_rows)",
                "late_rows",
            ),
            "reception_gaps": _refusal(
                "reception gaps fill the memory (twice checkpoint_reception_gaps, and two for each device)",
                "reception_gaps",
            ),
            "late_blocks": _refusal(
                f"more than {late_blocks_max} blocks of late data wait to be merged into their days (late_blocks_max)",
                "late_blocks",
                until="until there are fewer",
            ),
        }
        self.is_holding = False

    def tick(self) -> None:
        """Hold backlogs back, or take them again; a few times a second, after the disk has been looked at."""
        # Those that a checkpoint is writing now are in memory, too.
        rows = self._fleet.late_rows() + len(self._fleet.closing.sparse) + backfill_in_memory(self._fleet)
        gaps = max(reception_gaps_in_memory(self._fleet), beat_gaps_in_memory(self._fleet))
        gaps_max = max(self._gaps_max, HELD_AT * self._fleet.count)
        self._say(gaps, gaps_max)
        blocks = self._late_blocks()
        reasons = {
            "late_rows": rows >= self._rows_max,
            "reception_gaps": gaps >= gaps_max,
            "late_blocks": blocks > self._late_blocks_max,
        }
        reason = next((reason for reason, holds in reasons.items() if holds), "")
        was_holding, self.is_holding = self.is_holding, bool(reason)
        intake = self._intake
        if intake.backlog_refusal is None or intake.backlog_refusal in self._refusals.values():
            if was_holding and not reason:
                intake.backlog_before_ns = 0
            intake.backlog_refusal = self._refusals.get(reason)
        if self.is_holding:
            intake.backlog_before_ns = self._watch.clock.now_ns() - self._backlog_after_ns
        if self.is_holding is not was_holding:
            text = "backlogs are held back" if self.is_holding else "backlogs are taken again"
            log.warning(text, late_rows=rows, reception_gaps=gaps, late_blocks=blocks)

    def _say(self, gaps: int, gaps_max: int) -> None:
        """Current reports end further gaps, and are never refused for it: so people are to know."""
        degraded = self._readiness.degraded
        if gaps >= gaps_max:
            degraded["memory"] = (
                f"{gaps} reception gaps wait in memory for a checkpoint (at most {gaps_max} should, twice "
                "checkpoint_reception_gaps or two for each device), and memory grows with each further one: see why "
                "checkpoints fail or are slow; backlogs are refused meanwhile"
            )
        else:
            degraded.pop("memory", None)


def reception_gaps_in_memory(fleet: Fleet) -> int:
    """How many reception gaps no block holds yet, those included that a checkpoint is writing."""
    return sum(map(len, fleet.gaps)) + sum(map(len, fleet.closing.gaps))


def beat_gaps_in_memory(fleet: Fleet) -> int:
    """The same of gaps between beats."""
    return fleet.beats.gap_rows + fleet.closing.beats.gap_rows


def backfill_in_memory(fleet: Fleet) -> int:
    """The same of stretches that late beats cover, without one for each device."""
    return fleet.beats.backfill_rows + fleet.closing.beats.backfill_rows


def _refusal(what: str, reason: str, *, until: str = "for the next checkpoint") -> Busy:
    text = f"{what}: backlogs wait {until}; send it again after the seconds of Retry-After"
    return Busy(text, reason=reason, retry_after_s=RETRY_S)
