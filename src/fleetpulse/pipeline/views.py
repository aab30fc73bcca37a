"""What questions see: everything as it was at one moment, so that live and closed parts make one answer.

Looking is done on the loop, and is cheap; it gives a call that completes the view in the thread of the question.
"""

from collections.abc import Callable
from dataclasses import replace

from fleetpulse.aggregate.status import NEVER_NS, Exclusions
from fleetpulse.blocks.history import History
from fleetpulse.clock import Clock
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.exclusions import Excluded, exclude, exclude_one
from fleetpulse.query.fleet import FleetView
from fleetpulse.query.metrics import Samples
from fleetpulse.query.uptime import DeviceView, read_gaps

LOOK_BACK_NS = 400 * NS_PER_DAY
"""How far back before a question's start maintenance is looked up for a device that is silent since then."""
EXCLUDED_KEPT = 8
ROUNDED_NS = NS_PER_DAY


class Views:
    """Makes views of a node's parts."""

    def __init__(
        self, *, clock: Clock, fleet: Fleet, history: History, registry: Registry, planned_downtime: PlannedDowntime
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._history = history
        self._registry = registry
        self._planned_downtime = planned_downtime
        self._excluded: dict[tuple[object, ...], Excluded] = {}

    def samples(self) -> Callable[[], Samples]:
        """All samples."""
        live = [*self._fleet.closing.samples, *self._fleet.samples.pieces()]
        samples = Samples(live, self._history.manifest, self._history)
        return lambda: samples

    def device(self, device_id: str, device: int, *, start_ns: int) -> Callable[[], DeviceView]:
        """One device, from `start_ns` on."""
        fleet, manifest, now_ns = self._fleet, self._history.manifest, self._clock.now_ns()
        first_minute, last_received_ns = int(fleet.first_minute[device]), int(fleet.last_received_ns[device])
        up_since_ns = int(fleet.up_since_ns[device])
        rows = {day: row for day in fleet.touched_days(device) if (row := fleet.row(day, device)) is not None}
        policy, gaps, blind_ns = (
            fleet.policy_of(device),
            [*fleet.closing.gaps, *fleet.gaps],
            list(fleet.blind_ns),
        )
        labels, windows = self._registry.roster.labels_of(device), list(self._planned_downtime.windows.values())
        pauses = list(self._planned_downtime.pauses.get(device, ()))

        def complete() -> DeviceView:
            view = DeviceView(
                number=device,
                now_ns=now_ns,
                first_minute=first_minute,
                last_received_ns=last_received_ns,
                up_since_ns=up_since_ns,
                policy=policy,
                excluded=Exclusions(),
                rows=rows,
                gaps=gaps,
                manifest=manifest,
                history=self._history,
            )
            excluded = exclude_one(
                device_id=device_id,
                labels=labels,
                blind_ns=blind_ns,
                windows=windows,
                pauses=pauses,
                start_ns=_look_back(view, start_ns),
                end_ns=now_ns + NS_PER_DAY,
            )
            return replace(view, excluded=excluded)

        return complete

    def fleet_from(self, start_ns: int) -> Callable[[], FleetView]:
        """All devices, from `start_ns` on."""
        fleet, manifest, now_ns = self._fleet, self._history.manifest, self._clock.now_ns()
        count = min(fleet.count, self._registry.roster.count)
        # What may change while the question is answered is copied; dense presence only ever gains minutes, so it is not.
        first_minute, last_received_ns = fleet.first_minute[:count].copy(), fleet.last_received_ns[:count].copy()
        up_since_ns, policy_codes, policies = (
            fleet.up_since_ns[:count].copy(),
            fleet.policy_codes[:count].copy(),
            list(fleet.policies),
        )
        first_day = start_ns // NS_PER_DAY
        sparse = [
            late.copy_of(day for day in late.days if day >= first_day)
            for late in (fleet.sparse, fleet.closing.sparse)
            if len(late)
        ]
        dense, gaps = [dict(fleet.dense), dict(fleet.closing.dense)], [*fleet.closing.gaps, *fleet.gaps]
        blind_ns, roster = list(fleet.blind_ns), self._registry.roster.frozen()
        windows, pauses = list(self._planned_downtime.windows.values()), dict(self._planned_downtime.pauses)
        version = self._planned_downtime.version

        def complete() -> FleetView:
            # Of so many, somebody's silence began long ago. To the day, so that questions in a row share what was looked up.
            span = (start_ns - LOOK_BACK_NS) // ROUNDED_NS * ROUNDED_NS, (now_ns // ROUNDED_NS + 2) * ROUNDED_NS
            key = (version, roster.version, len(blind_ns), tuple(blind_ns[-1:]), span)
            excluded = self._excluded.get(key)
            if excluded is None:
                excluded = exclude(
                    blind_ns=blind_ns,
                    windows=windows,
                    pauses=pauses,
                    roster=roster,
                    numbers=self._registry.numbers,
                    start_ns=span[0],
                    end_ns=span[1],
                )
                while len(self._excluded) >= EXCLUDED_KEPT:
                    self._excluded.pop(next(iter(self._excluded)), None)
                self._excluded[key] = excluded
            return FleetView(
                count=count,
                now_ns=now_ns,
                first_minute=first_minute,
                last_received_ns=last_received_ns,
                up_since_ns=up_since_ns,
                policy_codes=policy_codes,
                policies=policies,
                excluded=Excluded(excluded.classes[:count], excluded.of_class),
                dense=dense,
                sparse=sparse,
                gaps=gaps,
                manifest=manifest,
                history=self._history,
            )

        return complete


def _look_back(view: DeviceView, start_ns: int) -> int:
    """From when on exclusions matter: from the start, or from when the silence began that goes on there."""
    silent_since_ns = [view.last_received_ns]
    if view.last_received_ns > start_ns:  # so others may have ended since
        # What cannot be read matters to few questions, and those find and say it themselves.
        gaps = read_gaps(view, start_ns=start_ns, on_damage=lambda day, error: None)
        silent_since_ns += [gap.start_ns for gap in gaps]
    return min(
        [start_ns, *(max(since_ns, start_ns - LOOK_BACK_NS) for since_ns in silent_since_ns if since_ns != NEVER_NS)]
    )
