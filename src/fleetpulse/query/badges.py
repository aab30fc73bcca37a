"""What badges show: the status of a device, or how many of some devices are down."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fleetpulse.model.access import Scope
from fleetpulse.model.status import STATUSES, Status
from fleetpulse.query.devices import Listing
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView

Colour = Literal["brightgreen", "yellow", "orange", "red", "blue", "lightgrey"]
"""As shields.io calls them."""
_OF_STATUS: dict[Status, Colour] = {
    "new": "lightgrey",
    "up": "brightgreen",
    "late": "yellow",
    "down": "red",
    "maintenance": "blue",
    "paused": "blue",
    "unknown": "lightgrey",
}
FEW, MANY = 0.1, 0.5
"""Shares of devices that are down from which on a badge is orange, and red."""


@dataclass(frozen=True, slots=True)
class Badge:
    """The two halves of a badge, and the colour of the second."""

    label: str
    message: str
    colour: Colour


def device_badge(device_id: str, status: Status) -> Badge:
    """The status of a device."""
    return Badge(device_id, status, _OF_STATUS[status])


def fleet_badge(seen: tuple[FleetView, Listing], *, labels: Scope) -> Badge:
    """How many of the devices with all of `labels` are down. Raises: QuestionStopped; TooDear; Busy: see `Budget`."""
    view, _ = seen
    codes, _ = fleet_status(view)
    chosen = view.roster.with_labels(labels)
    counts = dict(zip(STATUSES, np.bincount(codes[chosen], minlength=len(STATUSES)).tolist(), strict=True))
    return badge_of_counts(", ".join(f"{name}:{value}" for name, value in labels) or "fleet", counts)


def badge_of_counts(label: str, counts: dict[Status, int]) -> Badge:
    """A badge of devices by status."""
    total, down = sum(counts.values()), counts["down"]
    if not total:
        return Badge(label, "no devices", "lightgrey")
    if down:
        share = down / total
        return Badge(label, f"{down} of {total} down", "yellow" if share < FEW else "orange" if share < MANY else "red")
    if counts["up"] + counts["late"] == 0:
        return Badge(label, f"none of {total} heard", "lightgrey")
    return Badge(label, f"{counts['up'] + counts['late']} of {total} up", "brightgreen")
