"""Retention, and the retention grace, in which a shorter one deletes nothing yet.

`retention_days` says how long roll-ups and samples of a metric are kept, `raw_days` how long its samples. When one of
them becomes shorter, whoever made it shorter may have erred, or it may have come out of a file that nobody looked at.
So for a while what was kept before is kept on, and raising the number again within that time loses nothing.

    day 0, 10:00   retention_days 365 -> 30    a grace keeps 365 days until day 1, 10:00
    day 0, 18:00   retention_days 30 -> 7      a further grace keeps 30 days until day 1, 18:00
    day 1, 10:00   what is older than 30 days is deleted
    day 1, 18:00   what is older than 7 days is deleted

At every moment, the longest of the definition's number and of the graces that have not ended is in force.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY

Kept = Literal["retention_days", "raw_days"]
KEPT: tuple[Kept, ...] = ("retention_days", "raw_days")
FOREVER_DAYS = 2**31
"""More days than there are."""
NEVER_ENDS_NS = 2**63 - 1


class Grace(NamedTuple):
    """What a definition of before still keeps: `days` instead of the definition's, until `until_ns`."""

    kept: Kept
    days: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class ComingDeletion:
    """What will be deleted at `at_ns`, because retention became shorter: all from before `before_ns`.

    `what` is `samples`, or `samples and roll-ups`; until then they are kept for `days_before` days, then `days_after`.
    """

    what: str
    at_ns: int
    before_ns: int
    days_before: int
    days_after: int


def graces_after(
    graces: Iterable[Grace], before: MetricDefinition, after: MetricDefinition, *, until_ns: int
) -> list[Grace]:
    """The graces once a definition has replaced another: a shorter number is kept on until `until_ns`."""
    remaining = list(graces)
    for kept in KEPT:
        days_before, days_after = days_of(before, kept), days_of(after, kept)
        if days_after < days_before:
            # A grace of the same number of days or less would end earlier, or says an end by a clock that was wrong.
            remaining = [grace for grace in remaining if grace.kept != kept or grace.days > days_before]
            remaining.append(Grace(kept, days_before, until_ns))
        # What the definition keeps by itself needs no grace.
        remaining = [grace for grace in remaining if grace.kept != kept or grace.days > days_after]
    return sorted(remaining)


def gap_graces_after(graces: Iterable[Grace], days: int, *, until_ns: int) -> list[Grace]:
    """What keeps reception gaps once they are declared to be kept for `days`, by the rules of metrics.

    The declaration is a grace that never ends. Before the first one, gaps were kept for ever.
    """
    before = list(graces)
    declared = max((grace.days for grace in before if grace.until_ns == NEVER_ENDS_NS), default=FOREVER_DAYS)
    remaining = [grace for grace in before if grace.until_ns != NEVER_ENDS_NS]
    if days < declared:
        remaining = [grace for grace in remaining if grace.days > declared]
        remaining.append(Grace("retention_days", declared, until_ns))
    remaining = [grace for grace in remaining if grace.days > days]
    return sorted([*remaining, Grace("retention_days", days, NEVER_ENDS_NS)])


def gap_days_in_force(graces: Iterable[Grace], *, now_ns: int) -> int:
    """How many days reception gaps are kept now."""
    return max((grace.days for grace in graces if grace.until_ns > now_ns), default=FOREVER_DAYS)


def in_force(metric: MetricDefinition, graces: Sequence[Grace], *, now_ns: int) -> MetricDefinition:
    """The definition with the retention that is in force now; itself where no grace keeps more."""
    if not any(grace.until_ns > now_ns for grace in graces):
        return metric
    retention_days = _days_in_force(metric, graces, "retention_days", now_ns)
    raw_days = _days_in_force(metric, graces, "raw_days", now_ns)
    return replace(metric, retention_days=retention_days, raw_days=None if raw_days >= retention_days else raw_days)


def coming_deletions(metric: MetricDefinition, graces: Sequence[Grace], *, now_ns: int) -> list[ComingDeletion]:
    """What the ends of the graces will delete, in the order of time."""
    deletions: list[ComingDeletion] = []
    for at_ns in sorted({grace.until_ns for grace in graces if grace.until_ns > now_ns}):
        ended = {
            kept: (_days_in_force(metric, graces, kept, at_ns - 1), _days_in_force(metric, graces, kept, at_ns))
            for kept in KEPT
        }
        retention, raw = ended["retention_days"], ended["raw_days"]
        if retention[1] < retention[0]:
            deletions.append(_deletion("samples and roll-ups", at_ns, *retention))
        # Samples go with the roll-ups, so they need a word of their own only where more of them goes.
        if raw[1] < raw[0] and raw[1] < retention[1]:
            deletions.append(_deletion("samples", at_ns, *raw))
    return deletions


def days_of(metric: MetricDefinition, kept: Kept) -> int:
    """How many days a definition keeps roll-ups or samples."""
    return metric.retention_days if kept == "retention_days" or metric.raw_days is None else metric.raw_days


def _days_in_force(metric: MetricDefinition, graces: Sequence[Grace], kept: Kept, now_ns: int) -> int:
    kept_on = (grace.days for grace in graces if grace.kept == kept and grace.until_ns > now_ns)
    return max([days_of(metric, kept), *kept_on])


def _deletion(what: str, at_ns: int, days_before: int, days_after: int) -> ComingDeletion:
    return ComingDeletion(what, at_ns, (at_ns // NS_PER_DAY - days_after) * NS_PER_DAY, days_before, days_after)
