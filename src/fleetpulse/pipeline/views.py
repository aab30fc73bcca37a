"""What questions see: all parts of the service at one moment, so that live and closed data make one answer.

A view is taken on the event loop, where nothing changes meanwhile; this is quick. What takes longer is left to a call
that completes the view in the thread of the question.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Pause
from fleetpulse.clock import Clock
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.downtime import look_back_ns
from fleetpulse.query.exclusions import NOTHING_EXCLUDED, Declarations, FleetExclusions, exclude_device
from fleetpulse.query.metrics import Samples
from fleetpulse.query.view import FleetView


class Views:
    """Takes views of the parts of a service."""

    def __init__(
        self, *, clock: Clock, fleet: Fleet, history: History, registry: Registry, planned_downtime: PlannedDowntime
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._history = history
        self._registry = registry
        self._planned_downtime = planned_downtime
        self._exclusions = FleetExclusions()

    def samples(self) -> Callable[[], Samples]:
        """All samples."""
        live = self._fleet.view(range(0), from_day=0)
        samples = Samples(live.samples, self._history.manifest, self._history)
        return lambda: samples

    def device(self, device_id: str, device: int, *, start_ns: int) -> Callable[[], FleetView]:
        """A fleet of one device, from `start_ns` on."""
        view = self._view(range(device, device + 1), start_ns)
        declared = self._declarations(pauses={device: list(self._planned_downtime.pauses.get(device, ()))})

        def complete() -> FleetView:
            since_ns, now_ns = look_back_ns(view, start_ns=start_ns), view.now_ns
            excluded = exclude_device(declared, view.live.blind_ns, device_id, device, start_ns=since_ns, now_ns=now_ns)
            return replace(view, excluded=excluded)

        return complete

    def fleet_from(self, start_ns: int) -> Callable[[], FleetView]:
        """All devices, from `start_ns` on."""
        view = self._view(range(self._registry.roster.count), start_ns)
        declared = self._declarations(pauses=dict(self._planned_downtime.pauses))

        def complete() -> FleetView:
            excluded = self._exclusions.find(declared, view.live.blind_ns, start_ns=start_ns, now_ns=view.now_ns)
            return replace(view, excluded=excluded)

        return complete

    def _view(self, devices: range, start_ns: int) -> FleetView:
        """A view of devices, without what is excluded."""
        return FleetView(
            now_ns=self._clock.now_ns(),
            live=self._fleet.view(devices, from_day=start_ns // NS_PER_DAY),
            roster=self._registry.roster.frozen(),
            excluded=NOTHING_EXCLUDED,
            manifest=self._history.manifest,
            history=self._history,
        )

    def _declarations(self, *, pauses: Mapping[int, Sequence[Pause]]) -> Declarations:
        return Declarations(
            roster=self._registry.roster.frozen(),
            numbers=self._registry.numbers,
            windows=list(self._planned_downtime.windows.values()),
            pauses=pauses,
            version=self._planned_downtime.version,
        )
