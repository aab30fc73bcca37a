"""The heartbeat policies of the devices of a fleet: which stretches between two beats may count as gaps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import PolicyTable


@dataclass(frozen=True, slots=True)
class DevicePolicies:
    """Which policies each device had over time.

    Attributes:
        codes: uint32, shape (devices or more,): the history of each device, by its place in `table`.
        shortest_by_code_ns: by code, how long a stretch may be that is never a gap: int64, shape (histories,).
    """

    codes: NDArray[np.uint32]
    table: PolicyTable
    shortest_by_code_ns: NDArray[np.int64]

    @property
    def shortest_ns(self) -> int:
        """No stretch of any device that is as long or shorter may count as a gap."""
        return int(self.shortest_by_code_ns.min())

    def shortest_of(self, devices: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The same for each of some devices, uint32, shape (n,): int64 ns, shape (n,)."""
        return self.shortest_by_code_ns[self.codes[devices]]

    def is_kept(
        self, devices: NDArray[np.uint32], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which stretches between two beats may count as gaps: bool, shape (n,).

        Args: devices: uint32; start_ns, end_ns: int64, of the two beats; all shape (n,).
        """
        kept = end_ns - start_ns > self.shortest_of(devices)
        long = np.flatnonzero(kept)
        if len(long):
            codes = self.codes[devices[long]].astype(np.int64)
            kept[long] = self.table.is_kept(codes, start_ns[long], end_ns[long])
        return kept

    def copied(self, count: int) -> "DevicePolicies":
        """The same of the first `count` devices, as they are now: for another thread."""
        return DevicePolicies(self.codes[:count].copy(), self.table, self.shortest_by_code_ns)
