"""Figures of uptime and availability out of time, of one device or summed over several."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from fleetpulse.aggregate.uptime import percent
from fleetpulse.model.uptime import Measure
from fleetpulse.notation.exact_seconds import exact_seconds
from fleetpulse.query.uptime_answers import GapFigures, ObservedTime

Figures = dict[str, Any]
"""The fields of `UptimeFigures`, by name."""


class GroupTime(NamedTuple):
    """Time of devices together, in ns: down, and accountable (down or up). It may need more than 64 bits."""

    down_ns: int
    accountable_ns: int

    @property
    def up_ns(self) -> int:
        """The accountable time that is not down."""
        return self.accountable_ns - self.down_ns

    @property
    def uptime(self) -> float | None:
        """The share that is up, in per cent; None where nothing counts."""
        return percent(self.up_ns, self.accountable_ns)


def figures(time: Mapping[Measure, GroupTime], *, gaps: tuple[int, int, int] | None = None) -> Figures:
    """The fields of `UptimeFigures`; null of a measure that is not known.

    Args: gaps: how many, the longest and all of them in ns; None where they are not asked for.
    """
    settled, observed, available = (time.get(name) for name in ("settled", "observed", "availability"))
    found: Figures = {
        "uptime": None if settled is None else settled.uptime,
        "up_s": None if settled is None else exact_seconds(settled.up_ns),
        "accountable_s": None if settled is None else exact_seconds(settled.accountable_ns),
        "observed": ObservedTime(uptime=None, up_s=None, accountable_s=None)
        if observed is None
        else ObservedTime(
            uptime=observed.uptime,
            up_s=exact_seconds(observed.up_ns),
            accountable_s=exact_seconds(observed.accountable_ns),
        ),
        "availability": None if available is None else available.uptime,
        "down_s": None if available is None else exact_seconds(available.down_ns),
        "availability_accountable_s": None if available is None else exact_seconds(available.accountable_ns),
    }
    if gaps is not None:
        count, longest_ns, total_ns = gaps
        lengths: list[Decimal] = [exact_seconds(longest_ns), exact_seconds(total_ns)]
        found["gaps"] = None if settled is None else GapFigures(count=count, longest_s=lengths[0], seconds=lengths[1])
    return found
