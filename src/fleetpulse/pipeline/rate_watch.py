"""Tells the rate limits of devices which reports are backlogs now, and when devices may have other labels."""

from dataclasses import dataclass, field

from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.service_clock import ServiceClock


@dataclass(eq=False, kw_only=True)
class RateWatch:
    """Used on the event loop only, a few times a second."""

    clock: ServiceClock
    registry: Registry
    rate_limits: RateLimits
    backlog_after_s: float
    _version: int = field(default=0, init=False)

    def tick(self) -> None:
        """Move on with the clock and with what is declared of devices."""
        devices = self.rate_limits.devices
        devices.backlog_before_ns = self.clock.now_ns() - int(self.backlog_after_s * NS_PER_S)
        version = self.registry.roster.version
        if version != self._version:
            self._version = version
            if self.rate_limits.concern_labels:
                devices.forget_classes()
