"""What questions see: all parts of the service at one moment, so that live and closed data make one answer.

A view is taken on the event loop, where nothing changes meanwhile; this is quick. What takes longer is left to a call
that completes the view in the thread of the question.
"""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Pause, Span
from fleetpulse.clock import Clock
from fleetpulse.live.figures import DeviceFigures
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.budget import Budget
from fleetpulse.query.downtime import look_back_ns
from fleetpulse.query.exclusions import NOTHING_EXCLUDED, Declarations, exclude_device
from fleetpulse.query.fleet_exclusions import FleetExclusions
from fleetpulse.query.former_policies import with_former_policies
from fleetpulse.query.minute_gaps import first_day_of
from fleetpulse.query.reads import Samples
from fleetpulse.query.view import FleetView

PLAIN_MAX = 50
"""Devices that are paused or were deleted: each makes a class of devices, which costs a pass."""
NO_DEFINITIONS: Mapping[int, MetricDefinition] = {}


@dataclass(eq=False, frozen=True, kw_only=True)
class Views:
    """Takes views of the parts of a service."""

    clock: Clock
    fleet: Fleet
    history: History
    registry: Registry
    planned_downtime: PlannedDowntime
    _exclusions: FleetExclusions = field(default_factory=FleetExclusions, init=False)

    @property
    def is_plain(self) -> bool:
        """Whether so little is excluded of devices that a view is completed in no time."""
        planned, deletions = self.planned_downtime, self.registry.deletions
        return not planned.windows and len(planned.pauses) + len(deletions) <= PLAIN_MAX

    def samples(
        self, kept: Mapping[int, MetricDefinition] = NO_DEFINITIONS, *, budget: Budget | None = None
    ) -> Callable[[], Samples]:
        """All samples. Args: kept: see `Samples`."""
        live = self.fleet.view(range(0), from_day=0)
        today = self.clock.now_ns() // NS_PER_DAY
        samples = Samples(
            live.samples, self.history.manifest, self.history, live.doubtful, today, kept, budget or Budget()
        )
        return lambda: samples

    def lifetime(self, device: int, *, budget: Budget | None = None) -> Callable[[], tuple[FleetView, DeviceFigures]]:
        """A fleet of one device, for `lifetime_figures`, and what its figures are without blocks."""
        seen = self._view(range(device, device + 1), 0, budget), self.fleet.figures(device, known={})
        return lambda: seen

    def device(
        self, device_id: str, device: int, *, start_ns: int, budget: Budget | None = None
    ) -> Callable[[], FleetView]:
        """A fleet of one device, from `start_ns` on."""
        view = self._view(range(device, device + 1), start_ns, budget)
        declared = self._declarations(
            pauses={device: list(self.planned_downtime.pauses.get(device, ()))},
            deletions={device: self.registry.deletions.get(device, ())},
        )

        def complete() -> FleetView:
            since_ns, now_ns = look_back_ns(view, start_ns=start_ns), view.now_ns
            excluded = exclude_device(declared, view.live.blind_ns, device_id, device, start_ns=since_ns, now_ns=now_ns)
            return with_former_policies(replace(view, excluded=excluded), start_ns=start_ns)

        return complete

    def fleet_from(self, start_ns: int, *, budget: Budget | None = None) -> Callable[[], FleetView]:
        """All devices, from `start_ns` on."""
        view = self._view(range(self.registry.roster.count), start_ns, budget)
        declared = self._declarations(
            pauses=dict(self.planned_downtime.pauses), deletions=dict(self.registry.deletions)
        )

        def complete() -> FleetView:
            excluded = self._exclusions.find(
                declared, view.live.blind_ns, start_ns=start_ns, now_ns=view.now_ns, check=view.budget.check
            )
            return with_former_policies(replace(view, excluded=excluded), start_ns=start_ns)

        return complete

    @property
    def declared(self) -> DeclaredVersion:
        """Which declarations are in effect. Versions are compared first: the one with the newer change is."""
        return max(self.registry.declared, self.planned_downtime.declared)

    def _view(self, devices: range, start_ns: int, budget: Budget | None) -> FleetView:
        """A view of devices, without what is excluded."""
        return FleetView(
            now_ns=self.clock.now_ns(),
            live=self.fleet.view(
                devices, from_day=first_day_of(self.history.manifest, self.fleet.policies.table, start_ns)
            ),
            # Here every question is narrowed to the scope of whoever asks.
            roster=self.registry.seen_roster.frozen(),
            excluded=NOTHING_EXCLUDED,
            declared=self.declared,
            manifest=self.history.manifest,
            history=self.history,
            budget=budget or Budget(),
        )

    def _declarations(
        self, *, pauses: Mapping[int, Sequence[Pause]], deletions: Mapping[int, Sequence[Span]]
    ) -> Declarations:
        return Declarations(
            roster=self.registry.roster.frozen(),
            numbers=ChainMap(self.registry.numbers, self.registry.deleted),
            windows=list(self.planned_downtime.windows.values()),
            pauses=pauses,
            deletions=deletions,
            version=self.planned_downtime.version,
        )
