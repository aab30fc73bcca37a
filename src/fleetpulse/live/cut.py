"""What a node remembers of a cut until it takes over the checkpoint that begins there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.metric import UPLOAD_TIME

if TYPE_CHECKING:
    from fleetpulse.live.fleet import Fleet

SETTLED_COLUMNS = ("uploads", "upload_high", "upload_low", "other_samples")
"""What a checkpoint changes of a snapshot's columns: it counts the doubtful upload times that turned out to be new."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The fleet at a cut, as far as it must be compared with the snapshot that the holder writes of it.

    Attributes:
        devices: those with doubtful upload times, uint32, shape (n,).
        columns: SETTLED_COLUMNS of these, each int64, shape (n,).
        forgotten: how much of `Fleet.forgotten` the checkpoint takes out of the blocks.
    """

    devices: NDArray[np.uint32]
    columns: Mapping[str, NDArray[np.int64]]
    forgotten: int

    @classmethod
    def of(cls, fleet: Fleet) -> Cut:
        """What is to be remembered, right after the cut."""
        doubtful = [piece.devices[piece.metrics == UPLOAD_TIME] for piece in fleet.closing.doubtful]
        devices = np.unique(np.concatenate(doubtful)) if doubtful else np.zeros(0, np.uint32)
        columns = {name: getattr(fleet, name)[devices].copy() for name in SETTLED_COLUMNS}
        return cls(devices, columns, len(fleet.forgotten))

    def add_settled(self, fleet: Fleet, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Add what the checkpoint has counted. Args: snapshot: its columns, each int64, shape (devices,)."""
        for name in SETTLED_COLUMNS:
            getattr(fleet, name)[self.devices] += snapshot[name][self.devices] - self.columns[name]


def clear(fleet: Fleet) -> None:
    """Forget all that came in, as if the journal began anew; which devices there are, and their policies, stay."""
    fresh = type(fleet)(policy=fleet.policies.latest[0], reserve=fleet.reserve)
    fresh.resize(fleet.count)
    fresh.policies, fresh.policy_codes = fleet.policies, fleet.policy_codes
    vars(fleet).update(vars(fresh))
