"""The fleet in figures for /metrics: devices by status, and uptime by window, also by the values of a few labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.status import STATUSES
from fleetpulse.query.fleet_columns import FleetColumns, fleet_columns
from fleetpulse.query.groups import NOT_SELECTED, Groups
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView

Ratios = dict[tuple[str, ...], float]
"""From 0 to 1, by window, or by label, value and window; what nothing is known of is left out."""


@dataclass(slots=True)
class FleetGauges:
    """The figures at one moment.

    `registered`: bool, shape (devices,): which devices there are, for further questions.
    """

    registered: NDArray[np.bool_]
    devices: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Devices by status."""
    uptime: Ratios = field(default_factory=dict)
    availability: Ratios = field(default_factory=dict)
    label_devices: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Devices by label, value and status."""
    label_uptime: Ratios = field(default_factory=dict)
    left_out: dict[tuple[str, ...], float] = field(default_factory=dict)
    """By label, how many values are not shown, since others have more devices."""


def fleet_gauges(
    view: FleetView, *, windows_ns: Mapping[str, int], labels: Sequence[str], values_max: int
) -> FleetGauges:
    """The figures of all registered devices.

    Args:
        windows_ns: lengths by name; each window ends now.
        labels: names of labels, of each of which the `values_max` values are shown that most devices have.
    """
    registered = view.roster.registered()
    codes, _ = fleet_status(view)
    by_window = {
        name: fleet_columns(
            view, start_ns=view.now_ns - length_ns, end_ns=view.now_ns, measures=("settled", "availability")
        )
        for name, length_ns in windows_ns.items()
    }
    found = FleetGauges(registered)
    counts = np.bincount(codes[registered], minlength=len(STATUSES)).tolist()
    found.devices = {(status,): count for status, count in zip(STATUSES, counts, strict=True)}
    everybody = Groups.of(view.roster, "", registered)
    for window, columns in by_window.items():
        figures = columns.figures_by_group(everybody)[-1]
        for ratios, name in ((found.uptime, "uptime"), (found.availability, "availability")):
            if figures[name] is not None:
                ratios[window,] = figures[name] / 100
    for label in labels:
        view.budget.check()
        _add_label(found, view, label, codes=codes, by_window=by_window, values_max=values_max)
    return found


def _add_label(
    found: FleetGauges,
    view: FleetView,
    label: str,
    *,
    codes: NDArray[np.int8],
    by_window: Mapping[str, FleetColumns],
    values_max: int,
) -> None:
    groups = Groups.of(view.roster, label, found.registered)
    shown = _largest(groups, values_max)
    found.left_out[label,] = sum(value != "" for value in groups.names) - len(shown)
    inside = groups.codes != NOT_SELECTED
    counts = np.bincount(
        groups.codes[inside] * len(STATUSES) + codes[inside], minlength=len(groups) * len(STATUSES)
    ).reshape(len(groups), len(STATUSES))
    for place in shown:
        for status, count in zip(STATUSES, counts[place].tolist(), strict=True):
            found.label_devices[label, groups.names[place], status] = count
    for window, columns in by_window.items():
        figures = columns.figures_by_group(groups)
        for place in shown:
            if figures[place]["uptime"] is not None:
                found.label_uptime[label, groups.names[place], window] = figures[place]["uptime"] / 100


def _largest(groups: Groups, values_max: int) -> list[int]:
    """The groups with most devices, without that of the devices that have no such label."""
    return sorted(_named(groups), key=lambda place: (-groups.sizes[place], place))[:values_max]


def _named(groups: Groups) -> Iterator[int]:
    return (place for place, name in enumerate(groups.names) if name)
