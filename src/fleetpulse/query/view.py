"""What a question about uptime and status sees: devices at one moment, live and closed data together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.clock_correction import correct_gaps
from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.history import History, OnDamage
from fleetpulse.blocks.presence_merge import merge_presence
from fleetpulse.blocks.stored_gaps import read_gaps
from fleetpulse.blocks.stored_late import late_days, late_of_day, late_row
from fleetpulse.catalog.roster import Roster
from fleetpulse.live.view import LiveView
from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest, closed_days
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.query.budget import Budget
from fleetpulse.query.exclusions import Excluded


@dataclass(frozen=True, slots=True)
class FleetView:
    """Devices with neighbouring numbers, as they were at `now_ns`: the whole fleet, or a fleet of one.

    In columns of shape (n,) a device stands at its place: its number less the number of the first device.
    """

    now_ns: int
    live: LiveView
    roster: Roster
    excluded: Excluded
    manifest: Manifest
    history: History
    declared: DeclaredVersion
    budget: Budget = field(default_factory=Budget, compare=False)
    """What the question may cost."""
    known_gaps: dict[tuple[str, int, int], Any] = field(default_factory=dict, compare=False)
    """Gaps of a single device that the question has read already, since it needs them several times."""

    @property
    def count(self) -> int:
        """How many devices there are."""
        return len(self.live.devices)

    @property
    def is_of_one(self) -> bool:
        """Whether it shows one device, of which single rows are read, where of many whole blocks are."""
        return self.count == 1

    def of_policies(self, value: Callable[[HeartbeatPolicy], int]) -> NDArray[np.int64]:
        """What `value` gives for the policy of each device: int64, shape (n,)."""
        return np.array([value(policy) for policy in self.live.policies], np.int64)[self.live.policy_codes]

    def is_kept(
        self, devices: NDArray[np.uint32], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which stretches between beats may count as gaps: bool, shape (n,); see `PolicyTable.is_kept`."""
        codes = self.live.policy_codes[devices.astype(np.int64) - self.live.devices.start]
        return self.live.policy_table.is_kept(codes.astype(np.int64), start_ns, end_ns)

    def closed_gaps(
        self, *, start_day: int, end_day: int, is_ordered: bool = False, on_damage: OnDamage | None = None
    ) -> Iterator[ReceptionGapColumns]:
        """The reception gaps of these devices in blocks, as `read_gaps` gives them, and perhaps more, that ended later.

        Raises: DamagedData: a day cannot be read, and there is no `on_damage`.
        """
        corrections = self.live.corrections
        end_day = 2**31 if corrections else end_day  # a correction lets gaps end earlier
        for gaps in read_gaps(
            self.history,
            self.manifest,
            start_day=start_day,
            end_day=end_day,
            devices=self.live.devices,
            is_ordered=is_ordered,
            on_damage=on_damage,
        ):
            self.budget.check()
            yield correct_gaps(gaps, corrections)

    def days_with_presence(self, days: range) -> list[int]:
        """Those of the days of which any presence is stored or in memory, ascending; perhaps also of other devices."""
        stored = {*closed_days(self.manifest), *late_days(self.manifest), *self.live.dense, *self.live.sparse}
        return sorted(day for day in stored if day in days)

    def presence(self, day: int, *, is_closed_read: bool = True) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        """The presence of a day by chunks: places of devices, int64, ascending, and rows, uint64, shape (places, 23).

        Of several devices those without any presence are left out.

        Args: is_closed_read: whether what blocks hold of the day is read too. Raises: DamagedData.
        """
        live, first = self.live, self.live.devices.start
        if self.is_of_one:
            rows: Rows = np.zeros((1, WORDS_PER_DAY), np.uint64)
            if is_closed_read:
                for row in (
                    self.history.row(day, first, manifest=self.manifest),
                    late_row(self.history, self.manifest, day, first),
                ):
                    if row is not None:
                        rows |= row
            for open_rows in live.dense.get(day, ()):
                rows |= open_rows[:]
            yield np.zeros(1, np.int64), rows
            return
        assert first == 0
        stored = self.history.chunks(day, manifest=self.manifest) if is_closed_read else ()
        late = late_of_day(self.history, self.manifest, day) if is_closed_read else []
        sparse = [[chunk] for chunk in late] + [rows.chunks() for rows in live.sparse.get(day, ())]
        merged = merge_presence(self.count, stored=stored, dense=live.dense.get(day, ()), sparse=sparse)
        for devices, chunk in merged:
            yield devices.astype(np.int64), chunk
