"""Time of every device over the steps of a window, several steps in one pass over what is stored."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.uptime import MEASURES, Measure
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.query.answers import Missing
from fleetpulse.query.downtime import ended_gaps
from fleetpulse.query.gap_time import GapClocks, GapTally
from fleetpulse.query.groups import Groups
from fleetpulse.query.measured_time import received_time, settled_gaps, settled_time
from fleetpulse.query.missing import distinct
from fleetpulse.query.uptime_figures import Figures, GroupTime, figures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

STEP_BYTES = 64
"""About what a device takes in memory for each step and measure."""
PASS_BYTES_MAX = 67_108_864
"""What the steps of one pass may take, unless a single step takes more."""


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """Time of every device by one measure, int64 ns, shape (n,): down, and accountable (down or up)."""

    down_ns: NDArray[np.int64]
    accountable_ns: NDArray[np.int64]

    @property
    def up_ns(self) -> NDArray[np.int64]:
        """The accountable time that is not down: int64 ns, shape (n,)."""
        return self.accountable_ns - self.down_ns


@dataclass(frozen=True, slots=True)
class FleetColumns:
    """Time of every device over a window, by each measure that was asked for and is known."""

    time: dict[Measure, DeviceTime]
    missing: list[Missing]
    tally: GapTally | None = None
    """Of settled gaps, where they were asked for."""

    def seen(self, count: int) -> NDArray[np.bool_]:
        """Which of all devices have any time that counts: bool, shape (count,)."""
        seen = np.zeros(count, bool)
        for time in self.time.values():
            seen |= time.accountable_ns > 0
        return seen

    def figures_by_group(self, groups: Groups) -> list[Figures]:
        """The figures of each group, and at the end of all of them together."""
        sums = {
            measure: [groups.sums(time.down_ns), groups.sums(time.accountable_ns)]
            for measure, time in self.time.items()
        }
        tally = None
        if self.tally is not None:
            counts, totals = groups.sums(self.tally.count), groups.sums(self.tally.total_ns)
            longest = groups.greatest(self.tally.longest_ns)
            counts, totals = [*counts, sum(counts)], [*totals, sum(totals)]
            tally = list(zip(counts, [*longest, max(longest, default=0)], totals, strict=True))
        return [
            figures(
                {
                    measure: GroupTime(*((*column, sum(column))[place] for column in columns))
                    for measure, columns in sums.items()
                },
                gaps=None if tally is None else tally[place],
            )
            for place in range(len(groups) + 1)
        ]

    def mean_uptimes(self, groups: Groups) -> list[float | None]:
        """The mean of the settled uptimes of the devices of each group, and at the end of all of them together."""
        time = self.time.get("settled")
        if time is None:
            return [None] * (len(groups) + 1)
        chosen = np.flatnonzero((groups.codes >= 0) & (time.accountable_ns > 0))
        shares = time.up_ns[chosen] / time.accountable_ns[chosen]
        codes = groups.codes[chosen]
        counts = np.bincount(codes, minlength=len(groups)).tolist()
        totals = np.bincount(codes, weights=shares, minlength=len(groups)).tolist()
        counts, totals = [*counts, sum(counts)], [*totals, sum(totals)]
        means = zip(totals, counts, strict=True)
        return [min(100.0, 100.0 * total / count) if count else None for total, count in means]


def selected(
    view: FleetView, columns: FleetColumns, *, labels: Sequence[tuple[str, str]], is_deleted_included: bool
) -> NDArray[np.bool_]:
    """Devices with all of `labels`, of deleted ones those that were there in the window: bool, shape (devices,)."""
    selection = view.roster.with_labels(labels, is_deleted_included=is_deleted_included)
    return selection & (view.roster.registered() | columns.seen(view.count))


def fleet_columns(
    view: FleetView,
    *,
    start_ns: int,
    end_ns: int,
    measures: Collection[Measure] = MEASURES,
    are_gaps_wanted: bool = False,
) -> FleetColumns:
    """The time of every device over [start_ns, end_ns). Raises: QuestionStopped; TooDear; Busy: see `Budget`."""
    (columns,) = _columns(view, Window(start_ns, end_ns), measures, are_gaps_wanted=are_gaps_wanted)
    return columns


def fleet_columns_by_step(
    view: FleetView, window: Window, *, measures: Collection[Measure] = MEASURES, pass_bytes_max: int = PASS_BYTES_MAX
) -> Iterator[FleetColumns]:
    """The same for each step of a window: the figures are those of a window of its own.

    Args: pass_bytes_max: what the steps of one pass over blocks may take; it changes no figure.
    """
    bytes_max = min(pass_bytes_max, view.budget.question_memory_max // 4)
    steps = max(1, bytes_max // (STEP_BYTES * len(measures) * max(1, view.count)))
    starts_ns = tuple(window.bucket_start_ns(bucket) for bucket in range(window.buckets))
    for first in range(0, len(starts_ns), steps):
        edges_ns = starts_ns[first : first + steps]
        end_ns = starts_ns[first + steps] if first + steps < len(starts_ns) else window.end_ns
        part = replace(window, start_ns=edges_ns[0], end_ns=end_ns, edges_ns=edges_ns)
        yield from _columns(view, part, measures, are_gaps_wanted=False)


def _columns(
    view: FleetView, window: Window, measures: Collection[Measure], *, are_gaps_wanted: bool
) -> Iterator[FleetColumns]:
    """The columns of each step of a window, in one pass."""
    edges_ns = [*(window.bucket_start_ns(bucket) for bucket in range(window.buckets)), window.end_ns]
    with view.budget.holding(STEP_BYTES * len(measures) * view.count * window.buckets, "the time of all devices"):
        clocks = GapClocks(view.excluded, view.live.policy_table, view.live.policy_codes)
        tally = GapTally(view.count) if are_gaps_wanted else None
        by_measure: dict[Measure, _Time] = {}
        if "settled" in measures:
            by_measure["settled"] = _settled(view, clocks, edges_ns, tally)
        if received := [measure for measure in measures if measure != "settled"]:
            by_measure |= _received(view, clocks, edges_ns, received)
        lacking = distinct([span for _, _, missing in by_measure.values() for span in missing])
        for step, start_ns in enumerate(edges_ns[:-1]):
            known: dict[Measure, DeviceTime] = {
                measure: DeviceTime(down_ns[:, step], accountable_ns[:, step])
                for measure, (down_ns, accountable_ns, missing) in by_measure.items()
                # A gap that ended on a day that is missing may have begun in any step before.
                if start_ns >= max((parse_rfc3339_ns(span.end) for span in missing), default=0)
            }
            yield FleetColumns(known, lacking, tally)


_Time = tuple[NDArray[np.int64], NDArray[np.int64], list[Missing]]
"""(down, accountable) in ns, shape (n, steps), and what is missing."""


def _settled(view: FleetView, clocks: GapClocks, edges_ns: Sequence[int], tally: GapTally | None) -> _Time:
    missing: list[Missing] = []
    gaps = settled_gaps(view, start_ns=edges_ns[0], end_ns=edges_ns[-1], missing=missing)
    columns = settled_time(view, clocks, edges_ns, gaps, tally=tally)
    return columns.down_ns, columns.accountable_ns, missing


def _received(
    view: FleetView, clocks: GapClocks, edges_ns: Sequence[int], measures: Sequence[Measure]
) -> dict[Measure, _Time]:
    missing: list[Missing] = []
    ended = ended_gaps(view, start_ns=edges_ns[0], missing=missing)
    times, _ = received_time(view, clocks, edges_ns, ended, measures)
    return {measure: (columns.down_ns, columns.accountable_ns, missing) for measure, columns in times.items()}
