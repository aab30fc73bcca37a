"""The fleet in a few words: how many devices have which status, and which are down."""

from dataclasses import dataclass

import numpy as np

from fleetpulse.model.status import STATUSES, Status
from fleetpulse.query.devices import Listing
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView


@dataclass(frozen=True, slots=True)
class Overview:
    """At `now_ns`: devices by status, and those that are down: (id, since when in ns), the latest first."""

    now_ns: int
    by_status: dict[Status, int]
    down: list[tuple[str, int]]
    """The first of them; `by_status` tells how many there are."""


def overview(view: FleetView, names: Listing, *, limit: int) -> Overview:
    """The fleet in a few words, with at most `limit` devices that are down."""
    codes, since_ns = fleet_status(view)
    is_registered = view.roster.registered()
    counts = np.bincount(codes[is_registered], minlength=len(STATUSES)).tolist()
    down = np.flatnonzero(is_registered & (codes == STATUSES.index("down")))
    latest = down[np.lexsort((names.ranks[down], -since_ns[down]))[:limit]].tolist()
    return Overview(
        now_ns=view.now_ns,
        by_status=dict(zip(STATUSES, counts, strict=True)),
        down=[(names.ids[number], int(since_ns[number])) for number in latest],
    )
