"""Alerts as rows of one array: how they are stored, and how they come back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.alert import ALERT_STATES, RESOLUTIONS, Alert
from fleetpulse.model.alert_rule import SEVERITIES

RECENT = 10
"""How many of its last firings an alert remembers, as many as `flap_times` may be."""
ALERT_ROW = np.dtype(
    [
        ("number", "<i8"),
        ("rule", "<i4"),  # a place among the names
        ("group", "<i4"),  # a place among the names; 0: it is about a device
        ("device", "<i8"),  # NO_DEVICE: it is about a group
        ("severity", "i1"),
        ("state", "i1"),
        ("resolution", "i1"),
        ("is_withheld", "?"),
        ("is_flapping", "?"),
        ("times", "<i4"),
        ("since_ns", "<i8"),
        ("pending_since_ns", "<i8"),
        ("first_fired_at_ns", "<i8"),
        ("fired_at_ns", "<i8"),
        ("false_since_ns", "<i8"),
        ("resolved_at_ns", "<i8"),
        ("withheld_since_ns", "<i8"),
        ("withheld_ns", "<i8"),
        ("value", "<f8"),
        ("incident", "<i8"),
        ("recent_ns", "<i8", (RECENT,)),
    ]
)
"""The layout of stored alerts. Never change it: what is stored was written with it; a change is a layout of its own."""
PENDING_ROW = np.dtype(
    [(name, "<i8") for name in ("subject", "since_ns", "pending_since_ns", "withheld_since_ns", "withheld_ns")]
)


def _no_rows() -> NDArray[np.void]:
    return np.zeros(0, ALERT_ROW)


@dataclass(frozen=True, slots=True, eq=False)
class AlertRows:
    """Alerts by number. `rows` has the dtype ALERT_ROW and shape (n,); `names` are those of rules and groups."""

    rows: NDArray[np.void] = field(default_factory=_no_rows)
    names: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return len(self.rows)

    def alerts(self) -> Iterator[Alert]:
        """One after the other, without what people decided of them."""
        for row in self.rows:
            yield Alert(
                number=int(row["number"]),
                rule=self.names[row["rule"]],
                severity=SEVERITIES[row["severity"]],
                device=int(row["device"]),
                group=self.names[row["group"]],
                state=ALERT_STATES[row["state"]],
                since_ns=int(row["since_ns"]),
                fired_at_ns=int(row["fired_at_ns"]),
                resolved_at_ns=int(row["resolved_at_ns"]),
                resolution=RESOLUTIONS[row["resolution"]],
                value=float(row["value"]),
                times=int(row["times"]),
                incident=int(row["incident"]),
                is_withheld=bool(row["is_withheld"]),
                first_fired_at_ns=int(row["first_fired_at_ns"]),
                is_flapping=bool(row["is_flapping"]),
            )


@dataclass(frozen=True, slots=True, eq=False)
class PendingRows:
    """The pending alerts of a rule: dtype PENDING_ROW, shape (n,), by subject; `groups` names these, where not None."""

    rows: NDArray[np.void]
    groups: tuple[str, ...] | None = None
