"""The figures of this service that rules can watch, as they are now."""

from dataclasses import dataclass, field

from fleetpulse.clock import Clock
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.counters import Counters


@dataclass(eq=False, kw_only=True)
class AlertTelemetry:
    """Reads the stages. On the event loop."""

    clock: Clock
    counters: Counters
    writer: Writer
    follower: Follower
    housekeeping: Housekeeping
    disk_watch: DiskWatch
    watch: Watch
    _covered: int = field(default=-1, init=False)
    """The position of the last checkpoint that was seen."""
    _covered_at_ns: int = field(default=0, init=False)

    def figures(self) -> dict[str, float]:
        """By the names of `TELEMETRY`, and the totals that ratios are made of; what is not known is left out."""
        answers, failed = self.counters.requests.totals()
        clock, space = self.watch.clock, self.disk_watch.space
        figures = {
            "answers": float(answers),
            "answers_failed": float(failed),
            "ingest_lag": max(self.writer.lag_s, self.follower.lag_s),
            "clock_behind": (clock.mark_ns - clock.machine.now_ns()) / NS_PER_S if clock.is_behind else 0.0,
            "checkpoint_age": self._checkpoint_age_s(),
        }
        return figures if space is None else {**figures, "disk_free": space.free_bytes / max(1, space.size_bytes)}

    def _checkpoint_age_s(self) -> float:
        """For how long something has waited for a checkpoint; where nothing does, none is taken however long."""
        now_ns, covered = self.clock.monotonic_ns(), self.housekeeping.history.manifest.position
        if covered != self._covered or not self.housekeeping.has_news:
            self._covered, self._covered_at_ns = covered, now_ns
        return (now_ns - self._covered_at_ns) / NS_PER_S
