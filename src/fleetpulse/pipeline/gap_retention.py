"""How long reception gaps are kept: the setting, and what a longer one of before still keeps."""

from dataclasses import dataclass, field

import structlog

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.limits import RetentionLimits
from fleetpulse.model.manifest import GAPS
from fleetpulse.model.retention import FOREVER_DAYS, Grace, gap_days_in_force
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339

log = structlog.get_logger("retention")


@dataclass(eq=False, kw_only=True)
class GapRetention:
    """Blocks; for the catalog's thread. A setting that became shorter counts from the first call of a process."""

    catalog: Catalog
    clock: Clock
    limits: RetentionLimits
    _graces: list[Grace] = field(default_factory=list, init=False)

    def days_in_force(self) -> int:
        """How many days reception gaps are kept now. Raises: OSError; OperatorError; DatabaseBusy."""
        now_ns = self.clock.now_ns()
        if not self._graces:
            days = self.limits.reception_gap_days or FOREVER_DAYS
            self.catalog.retention.keep_gaps(days, until_ns=now_ns + self.limits.retention_grace_s * NS_PER_S)
            self._graces = self.catalog.retention.graces()[GAPS]
            longer = [grace for grace in self._graces if grace.days > days and grace.until_ns > now_ns]
            if longer:
                log.warning(
                    "reception gaps will be deleted",
                    older_than_days=days,
                    at=format_rfc3339(max(grace.until_ns for grace in longer)),
                    todo="raise reception_gap_days before then if they are to be kept",
                )
        return gap_days_in_force(self._graces, now_ns=now_ns)
