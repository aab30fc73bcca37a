"""Holding backlogs back while late data fills the memory: bulk bodies and old single reports, never current ones.

Each device and day of late data is a row in memory until a checkpoint has written it. Where rows come faster than
checkpoints write them, or no checkpoint succeeds, senders of backlogs are told to come back later.
"""

import structlog

from fleetpulse.errors import Busy
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.watch import Watch

log = structlog.get_logger("late_hold")
HELD_AT = 2
"""So many times `checkpoint_late_rows`: one part is being written, while another gathers."""
RETRY_S = 10


class LateHold:
    """Used on the loop only."""

    def __init__(
        self, *, fleet: Fleet, intake: Intake, watch: Watch, late_rows_max: int, backlog_after_s: float
    ) -> None:
        """`late_rows_max`: rows in memory at which backlogs are held back."""
        self._fleet = fleet
        self._intake = intake
        self._watch = watch
        self._rows_max = late_rows_max
        self._backlog_after_ns = int(backlog_after_s * NS_PER_S)
        self._refusal = Busy(
            f"late data fills the memory, {late_rows_max} rows of devices and days (twice checkpoint_late_rows): "
            "backlogs wait for the next checkpoint; send it again after the seconds of Retry-After",
            reason="late_rows",
            retry_after_s=RETRY_S,
        )
        self.is_holding = False

    def tick(self) -> None:
        """Hold backlogs back, or take them again; a few times a second, after the disk has been looked at."""
        # Those that a checkpoint is writing now are in memory, too.
        rows = self._fleet.late_rows() + len(self._fleet.closing.sparse)
        was_holding, self.is_holding = self.is_holding, rows >= self._rows_max
        intake = self._intake
        if self.is_holding and intake.backlog_refusal is None:
            intake.backlog_refusal = self._refusal
        elif not self.is_holding and intake.backlog_refusal is self._refusal:
            intake.backlog_refusal = None
            intake.backlog_before_ns = 0
        if self.is_holding:
            intake.backlog_before_ns = self._watch.clock.now_ns() - self._backlog_after_ns
        if self.is_holding is not was_holding:
            log.warning("backlogs are held back" if self.is_holding else "backlogs are taken again", late_rows=rows)
