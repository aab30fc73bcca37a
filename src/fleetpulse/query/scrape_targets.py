"""The devices as targets of Prometheus, in the form of its HTTP service discovery."""

import re

import msgspec
import numpy as np

from fleetpulse.errors import OutOfRange
from fleetpulse.query.devices import Listing
from fleetpulse.query.fleet import Labels
from fleetpulse.query.view import FleetView

META = "__meta_fleetpulse_"
"""How labels begin that Prometheus drops after it has relabelled a target."""
TARGET_BYTES = 1_024
"""About what a target takes in memory with its labels, until it is encoded."""
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")


class ScrapeTarget(msgspec.Struct):
    """One device: a list of one address, and the labels of before relabelling."""

    targets: list[str]
    labels: dict[str, str]


def scrape_targets(
    seen: tuple[FleetView, Listing], *, labels: Labels, address_label: str, targets_max: int
) -> list[ScrapeTarget]:
    """The devices with all of `labels`, by id.

    Args:
        address_label: the label that has a device's address; devices without it are left out. "": the id is told.
    Raises: OutOfRange: there are more than `targets_max`. QuestionStopped; TooDear; Busy: see `Budget`.
    """
    view, listing = seen
    roster = view.roster
    chosen = roster.with_labels(labels)
    if address_label:
        codes, _ = roster.groups(address_label)
        chosen &= codes != 0
    numbers = np.flatnonzero(chosen)
    if len(numbers) > targets_max:
        raise OutOfRange(
            f"{len(numbers)} devices match, more than {targets_max} targets (sd_targets_max): filter by `label`",
            reason="sd_targets",
        )
    view.budget.take(TARGET_BYTES * len(numbers), "the targets")
    found = []
    for number in numbers[np.argsort(listing.ranks[numbers], kind="stable")].tolist():
        own = roster.labels_of(number)
        meta = {f"{META}label_{_NOT_IN_NAMES.sub('_', name)}": value for name, value in sorted(own.items())}
        device_id = listing.ids[number]
        address = own[address_label] if address_label else device_id
        found.append(ScrapeTarget([address], {f"{META}device_id": device_id, **meta}))
    return found
