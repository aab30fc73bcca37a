"""The heartbeat policies of a fleet, in codes: most devices share a history of policies, so each has only its code."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.live.reception_gaps import gaps_between
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.own_policy import OwnPolicy, history_of, unchanged
from fleetpulse.model.policy_history import PolicyHistory, always
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.units import NS_PER_S

HISTORIES_KEPT = 4_096
"""Histories that are not computed anew, since devices that are declared together have the same one."""
LOOK_FOR_UNUSED_AT = 4_096
"""So many histories are no matter, even if no device has most of them any more."""


class FleetPolicies:
    """Histories by code; 0 is the default. Views have a table of their own, in which no code changes its meaning."""

    def __init__(self, default: HeartbeatPolicy) -> None:
        self.histories: list[PolicyHistory] = []
        self.latest: list[HeartbeatPolicy] = []
        """The policy that each history declares last."""
        self.different: set[HeartbeatPolicy] = set()
        """The policies of `latest`, each once."""
        self._codes: dict[PolicyHistory, int] = {}
        self._known: dict[tuple[OwnPolicy, ...], PolicyHistory] = {}
        self._look_at = LOOK_FOR_UNUSED_AT
        self.set_default(always(default))

    @property
    def default(self) -> PolicyHistory:
        """The history of devices that declare nothing."""
        return self.histories[0]

    def history_of(self, own: tuple[OwnPolicy, ...], interval_s: int | None, grace_s: int | None) -> PolicyHistory:
        """The policies of a device.

        Args:
            own: what was declared of it, in order; empty where its interval and grace never changed.
            interval_s, grace_s: what it has now.
        """
        if not own:
            if interval_s is None and grace_s is None:
                return self.default
            own = (unchanged(interval_s, grace_s),)
        history = self._known.get(own)
        if history is None:
            if len(self._known) >= HISTORIES_KEPT:
                self._known.clear()
            history = self._known[own] = history_of(own, self.default)
        return history

    def code_of(self, history: PolicyHistory) -> int:
        """The code of a history, a new one where no device had it so far."""
        code = self._codes.get(history)
        if code is None:
            code = self._codes[history] = len(self.histories)
            self.histories.append(history)
            self.latest.append(history[-1].policy)
            self.different.add(history[-1].policy)
        return code

    def set_default(self, history: PolicyHistory) -> None:
        """Replace the history of devices that declare nothing; before any other history is known."""
        assert len(self.histories) <= 1, "later, devices have other codes already"
        self.histories, self._codes, self._known = [history], {history: 0}, {}
        self.latest, self.different = [history[-1].policy], {history[-1].policy}
        self._table = PolicyTable.of(self.histories)
        self._shortest_ns = self._table.shortest_ns

    def change_default(self, history: PolicyHistory) -> None:
        """Replace the history of devices that declare nothing, while others are known: set those of the others anew."""
        self.histories[0], self.latest[0] = history, history[-1].policy
        self._codes = {known: code for code, known in reversed(list(enumerate(self.histories)))}
        self._known, self.different = {}, set(self.latest)
        self._table = PolicyTable.of(self.histories)
        self._shortest_ns = self._table.shortest_ns

    def without_unused(self, policy_codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Forget histories that no device has any more, once there are many.

        Args: policy_codes: those of the devices, uint32, shape (devices,). Returns: what they are then, the same shape.
        So a device whose policy somebody changes again and again, for years, leaves nothing in memory.
        """
        if len(self.histories) < self._look_at:
            return policy_codes
        used = np.union1d([0], policy_codes)
        self._table = self.table.of_histories(used)
        self._shortest_ns = self._table.shortest_ns
        self.histories = [self.histories[code] for code in used.tolist()]
        self.latest = [history[-1].policy for history in self.histories]
        self.different = set(self.latest)
        self._codes = {history: code for code, history in enumerate(self.histories)}
        self._look_at = max(LOOK_FOR_UNUSED_AT, 2 * len(used))
        return np.searchsorted(used, policy_codes).astype(np.uint32)

    @property
    def shortest_ns(self) -> NDArray[np.int64]:
        """By code, how long a stretch may be that is never a gap, whenever it is: int64, shape (histories,)."""
        _ = self.table
        return self._shortest_ns

    @property
    def table(self) -> PolicyTable:
        """The policies in force of all codes; views may keep it, since it is replaced and never changed."""
        known = len(self._table.edges) - 1
        if known < len(self.histories):
            self._table = self._table.extended(self.histories[known:])
            self._shortest_ns = self._table.shortest_ns
        return self._table

    def ended_gaps(
        self,
        policy_codes: NDArray[np.uint32],
        devices: NDArray[np.uint32],
        at_ns: NDArray[np.int64],
        *,
        last_ns: NDArray[np.int64],
    ) -> ReceptionGapColumns | None:
        """The reception gaps that receptions ended, sorted by device and time; None: as usual, none.

        Args:
            policy_codes: of all devices, shape (capacity,).
            devices, at_ns: the receptions, uint32 and int64 ns, shape (n,), in any order.
            last_ns: the last reception of that device before all of these, int64 ns, shape (n,).
        """
        table, shortest_ns = self.table, self.shortest_ns
        newest_ns = int(at_ns.max())
        if newest_ns - int(last_ns.min()) <= int(shortest_ns.min()):
            return None
        # Sorting is dear, so only the receptions that can have ended a gap are sorted: as a rule few.
        chosen = np.flatnonzero(newest_ns - last_ns > shortest_ns[policy_codes[devices]])
        if not len(chosen):
            return None
        devices, start_ns, end_ns = gaps_between(devices[chosen], at_ns[chosen], before_ns=last_ns[chosen])
        codes = policy_codes[devices].astype(np.int64)
        kept = np.flatnonzero(table.is_kept(codes, start_ns, end_ns))
        if not len(kept):
            return None
        devices, start_ns, end_ns = devices[kept], start_ns[kept], end_ns[kept]
        pieces = table.in_force(codes[kept], end_ns)
        interval_ns = table.interval_ns[pieces]
        grace_ns = table.down_ns[pieces] - interval_ns
        seconds = ((part_ns // NS_PER_S).astype(np.uint32) for part_ns in (interval_ns, grace_ns))
        return ReceptionGapColumns(devices, start_ns, end_ns, *seconds)
