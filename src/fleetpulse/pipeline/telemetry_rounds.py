"""What telemetry does by itself, from time to time: it settles counts, works out figures, and pings."""

from dataclasses import dataclass

from fleetpulse.pipeline.dead_man import DeadMan
from fleetpulse.pipeline.fleet_figures import FleetFigures
from fleetpulse.pipeline.otel_rounds import OtelRounds
from fleetpulse.telemetry.counters import Counters


@dataclass(eq=False, kw_only=True)
class TelemetryRounds:
    """Gives the parts of telemetry their turns. Used on the loop."""

    counters: Counters
    fleet_figures: FleetFigures
    dead_man: DeadMan
    otel: OtelRounds

    def settle(self) -> None:
        """Count what was noted since the last time; also while the service starts."""
        self.counters.requests.settle()

    def tick(self) -> None:
        """Begin what is due; the service is ready."""
        self.fleet_figures.tick()
        self.dead_man.tick()
        self.otel.tick()

    async def end(self) -> None:
        """End what is running."""
        await self.fleet_figures.end()
