"""Which interval the beats of devices suggest, and whether the declared one fits: of one device, and of the fleet."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from fleetpulse.aggregate.distances import Distances, join_distances
from fleetpulse.aggregate.interval_fit import IntervalFit, fit_intervals
from fleetpulse.aggregate.runs import last_of_runs
from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.interval_fit import TOO_LONG, TOO_SHORT, VERDICTS, Resolution, Verdict
from fleetpulse.model.units import NS_PER_MS, S_PER_DAY
from fleetpulse.notation.duration import format_seconds
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_distances import (
    DEVICE_BYTES,
    GapDistances,
    gap_distances,
    longest_ungapped_ms,
    minute_distances,
)
from fleetpulse.query.budget import hold_answer
from fleetpulse.query.devices import Listing
from fleetpulse.query.fit_answers import DayFit, DeviceFit, DeviceFitByDay, FleetFit, GroupFit
from fleetpulse.query.fit_uptime import Uptimes, uptimes_of
from fleetpulse.query.groups import Groups
from fleetpulse.query.missing import distinct
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

LIMITS = QuestionLimits()
JOINED_ROWS = 1_000_000
"""Distances that are gathered before they are joined with those before them: some 30 MB."""
DISTANCE_BYTES = 64
"""About what a distance takes in memory, while it is joined with others."""
FIGURES_A_DEVICE = 2
"""A line about a device takes as much memory in an answer as so many figures."""


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """Which devices: those with all of `labels`, by the values of the label `by`; and which of them are listed.

    `is_unfit_only`: only those whose interval is too short or too long. `cursor`: only after this id.
    """

    labels: tuple[tuple[str, str], ...] = ()
    by: str = ""
    is_unfit_only: bool = False
    limit: int = 100
    cursor: str | None = None


class _Figures(TypedDict):
    """The fields of `fit_answers.Distances`."""

    distances: int
    median_s: float | None
    p90_s: float | None
    p99_s: float | None
    resolution: Resolution | None


def fleet_fit(
    view: FleetView, names: Listing, *, window: Window, question: FitQuestion, limits: QuestionLimits = LIMITS
) -> FleetFit:
    """Whether the declared intervals of devices fit. Raises: OutOfRange: too many groups; as of `beat_distances`."""
    selection = view.roster.with_labels(question.labels)
    groups = Groups.of(view.roster, question.by, selection)
    if len(groups) > limits.groups_max:
        text = f"label {question.by[:100]} has {len(groups)} values here, more than {limits.groups_max} (groups_max)"
        raise OutOfRange(f"{text}: group by another, or filter by `label`", reason="groups")
    missing: list[Missing] = []
    with view.budget.holding(DEVICE_BYTES * view.count, "the distances between the beats of all devices"):
        distances = _distances(view, window, selection, missing)
        fit = _fit(view, distances)
        uptimes = uptimes_of(view, window, fit, distances, missing)
        matching = np.flatnonzero(selection & (~question.is_unfit_only | np.isin(fit.verdicts, (TOO_SHORT, TOO_LONG))))
        by_id = matching[np.argsort(names.ranks[matching])].tolist()
        start = bisect_right(by_id, question.cursor, key=names.ids.__getitem__) if question.cursor else 0
        page = by_id[start : start + question.limit]
        hold_answer(view.budget, FIGURES_A_DEVICE * len(page))
        return FleetFit(
            start=window.start,
            end=window.end,
            total=len(by_id),
            verdicts=_verdicts(fit.verdicts[selection]),
            devices=[_device(view, fit, uptimes, place, names.ids[place]) for place in page],
            next_cursor=names.ids[page[-1]] if start + question.limit < len(by_id) else None,
            group_by=question.by or UNSET,
            groups=_groups(view, fit, distances, uptimes, groups) if question.by else UNSET,
            missing=distinct(missing),
            notes=[*window.notes, *selection_notes(view.roster, question.labels, by=question.by)],
        )


def device_fit(view: FleetView, device_id: str, window: Window) -> DeviceFitByDay:
    """Whether the declared interval of the one device of a view fits, in all and by UTC day."""
    missing: list[Missing] = []
    gaps = list(gap_distances(view, window, np.ones(1, bool), missing))
    view.budget.take(DISTANCE_BYTES * sum(len(piece.days) for piece in gaps), "the gaps of the device")
    cap = longest_ungapped_ms(view, window)
    days: list[DayFit] = []
    pieces: list[Distances] = []
    for day, minutes in minute_distances(view, window, np.ones(1, bool), missing):
        of_day = [piece.of_day(day) for piece in gaps]
        pieces.append(_together(minutes, of_day).capped(cap))
        days.append(DayFit(day=_date(day), **_figures(_fit(view, pieces[-1]), 0)))
    hold_answer(view.budget, FIGURES_A_DEVICE * len(days))
    distances = join_distances(pieces)
    fit = _fit(view, distances)
    found = _device(view, fit, uptimes_of(view, window, fit, distances, missing), 0, device_id)
    return DeviceFitByDay(
        **{name: getattr(found, name) for name in found.__struct_fields__},
        start=window.start,
        end=window.end,
        days=days,
        missing=distinct(missing),
        notes=[*window.notes],
    )


def _distances(view: FleetView, window: Window, selection: NDArray[np.bool_], missing: list[Missing]) -> Distances:
    """All distances by place; pieces are joined now and then, so that few are in memory."""
    minutes = _Joined(view)
    for _, of_day in minute_distances(view, window, selection, missing):
        minutes.add(of_day)
    exact, taken = _Joined(view), _Joined(view)
    for gaps in gap_distances(view, window, selection, missing):
        exact.add(gaps.exact)
        taken.add(gaps.known_by_minutes)
    known = join_distances([minutes.all().without(taken.all()), exact.all()])
    return known.capped(longest_ungapped_ms(view, window))


def _together(minutes: Distances, gaps: Sequence[GapDistances]) -> Distances:
    """Distances by minutes, with the lengths of gaps in place of theirs."""
    taken = join_distances([piece.known_by_minutes for piece in gaps])
    return join_distances([minutes.without(taken), *(piece.exact for piece in gaps)])


class _Joined:
    """Distances that come in pieces, of which few are in memory; what they take is counted in the budget."""

    def __init__(self, view: FleetView) -> None:
        self._budget = view.budget
        self._pieces: list[Distances] = []
        self._taken_bytes = 0

    def add(self, piece: Distances) -> None:
        """One more piece."""
        self._pieces.append(piece)
        if sum(map(len, self._pieces)) > JOINED_ROWS + 2 * len(self._pieces[0]):
            self.all()

    def all(self) -> Distances:
        """All of them."""
        self._pieces = [join_distances(self._pieces)]
        more_bytes = DISTANCE_BYTES * len(self._pieces[0]) - self._taken_bytes
        if more_bytes > 0:
            self._budget.take(more_bytes, "the distances between beats")
            self._taken_bytes += more_bytes
        return self._pieces[0]


def _fit(view: FleetView, distances: Distances) -> IntervalFit:
    return fit_intervals(
        distances,
        interval_s=view.of_policies(lambda policy: policy.interval_s),
        gap_after_ms=view.of_policies(lambda policy: policy.gap_after_ns) // NS_PER_MS,
    )


def _figures(fit: IntervalFit, place: int) -> _Figures:
    median_s, p90_s, p99_s = (_seconds(column, place) for column in (fit.median_ms, fit.rare_ms, fit.highest_ms))
    resolution: Resolution | None = None if median_s is None else "exact" if fit.is_exact[place] else "minute"
    return {
        "distances": int(fit.totals[place]),
        "median_s": median_s,
        "p90_s": p90_s,
        "p99_s": p99_s,
        "resolution": resolution,
    }


def _seconds(column: NDArray[np.int64], place: int) -> float | None:
    value = int(column[place])
    return None if value < 0 else value / 1_000


def _device(view: FleetView, fit: IntervalFit, uptimes: Uptimes, place: int, device_id: str) -> DeviceFit:
    policy = view.live.policies[int(view.live.policy_codes[place])]
    return DeviceFit(
        device_id=device_id,
        interval=format_seconds(policy.interval_s),
        verdict=VERDICTS[fit.verdicts[place]],
        suggested=_suggested(fit, place),
        uptime=uptimes.declared_of(place),
        uptime_suggested=uptimes.suggested_of(place),
        **_figures(fit, place),
    )


def _suggested(fit: IntervalFit, place: int) -> str | None:
    seconds = int(fit.suggested_s[place])
    return format_seconds(seconds) if seconds else None


def _groups(
    view: FleetView, fit: IntervalFit, distances: Distances, uptimes: Uptimes, groups: Groups
) -> list[GroupFit]:
    """Of each group the distances of its devices together, as if they had the interval that most of them have."""
    intervals_s = view.of_policies(lambda policy: policy.interval_s)
    members = np.flatnonzero(groups.codes >= 0)
    codes = groups.codes[members].astype(np.int64)
    _, places, sizes = np.unique((codes << 32) | intervals_s[members], return_index=True, return_counts=True)
    # The last of each group has its most frequent interval.
    order = np.lexsort((sizes, codes[places]))
    usual = members[places[order][last_of_runs(codes[places][order])]]
    of_groups = fit_intervals(
        distances.of_groups(groups.codes.astype(np.int64)),
        interval_s=intervals_s[usual],
        gap_after_ms=view.of_policies(lambda policy: policy.gap_after_ns)[usual] // NS_PER_MS,
    )
    together = uptimes.of_groups(groups.codes.astype(np.int64), count=len(groups))
    counts = np.bincount(codes * len(VERDICTS) + fit.verdicts[members], minlength=len(groups) * len(VERDICTS))
    return [
        GroupFit(
            group=name,
            devices=size,
            verdicts=dict(zip(VERDICTS, of_group, strict=True)),
            suggested=_suggested(of_groups, code),
            uptime=together.declared_of(code),
            uptime_suggested=together.suggested_of(code),
            **_figures(of_groups, code),
        )
        for code, (name, size, of_group) in enumerate(
            zip(groups.names, groups.sizes, counts.reshape(-1, len(VERDICTS)).tolist(), strict=True)
        )
    ]


def _verdicts(codes: NDArray[np.int8]) -> dict[Verdict, int]:
    counts = np.bincount(codes, minlength=len(VERDICTS)).tolist()
    return dict(zip(VERDICTS, counts, strict=True))


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * S_PER_DAY, UTC).date().isoformat()
