"""Slots and time of every device over the steps of a window, several steps in one pass over what is stored."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.query.answers import Missing
from fleetpulse.query.downtime import downtime_by_step, ended_gaps
from fleetpulse.query.groups import Groups
from fleetpulse.query.missing import distinct
from fleetpulse.query.slots import count_slots_by_step
from fleetpulse.query.uptime import Figures, figures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

STEP_BYTES = 128
"""About what a device takes in memory for each step."""
PASS_BYTES_MAX = 67_108_864
"""What the steps of one pass may take, unless a single step takes more."""


@dataclass(slots=True)
class FleetColumns:
    """Slots (int32) and time (int64 ns) of every device over a window, shape (n,)."""

    present: NDArray[np.int32]
    expected: NDArray[np.int32]
    down_ns: NDArray[np.int64]
    accountable_ns: NDArray[np.int64]
    missing: list[Missing]
    is_time_known: bool
    """Whether time down and time that counts are known: they are not where reception gaps are missing."""

    def figures_by_group(self, groups: Groups) -> list[Figures]:
        """The figures of each group, and at the end of all of them together."""
        sums = [groups.sums(column) for column in (self.present, self.expected, self.down_ns, self.accountable_ns)]
        return [
            figures(
                present=present,
                expected=expected,
                down_ns=down_ns,
                accountable_ns=accountable_ns,
                is_time_known=self.is_time_known,
            )
            for present, expected, down_ns, accountable_ns in (*zip(*sums, strict=True), map(sum, sums))
        ]


def fleet_columns(view: FleetView, *, start_ns: int, end_ns: int, is_time_wanted: bool = True) -> FleetColumns:
    """Settled uptime (of all heartbeats) and availability of every device over [start_ns, end_ns).

    Args: is_time_wanted: whether time is accounted too; without it no reception gaps are read.
    Raises: QuestionStopped; TooDear; Busy: see `Budget`.
    """
    (columns,) = _columns(view, Window(start_ns, end_ns), is_time_wanted=is_time_wanted)
    return columns


def fleet_columns_by_step(
    view: FleetView, window: Window, *, pass_bytes_max: int = PASS_BYTES_MAX
) -> Iterator[FleetColumns]:
    """The same for each step of a window: the figures are those of a window of its own.

    Args: pass_bytes_max: what the steps of one pass over blocks may take; it changes no figure.
    """
    bytes_max = min(pass_bytes_max, view.budget.question_memory_max // 4)
    steps = max(1, bytes_max // (STEP_BYTES * max(1, view.count)))
    starts_ns = tuple(window.bucket_start_ns(bucket) for bucket in range(window.buckets))
    for first in range(0, len(starts_ns), steps):
        edges_ns = starts_ns[first : first + steps]
        end_ns = starts_ns[first + steps] if first + steps < len(starts_ns) else window.end_ns
        yield from _columns(
            view, replace(window, start_ns=edges_ns[0], end_ns=end_ns, edges_ns=edges_ns), is_time_wanted=True
        )


def _columns(view: FleetView, window: Window, *, is_time_wanted: bool) -> Iterator[FleetColumns]:
    """The columns of each step of a window, in one pass."""
    with view.budget.holding(STEP_BYTES * view.count * window.buckets, "the slots of all devices"):
        slots = count_slots_by_step(view, window)
        down_ns = accountable_ns = np.zeros((view.count, window.buckets), np.int64)
        missing: list[Missing] = []
        edges_ns = [*(window.bucket_start_ns(bucket) for bucket in range(window.buckets)), window.end_ns]
        if is_time_wanted:
            ended = ended_gaps(view, start_ns=window.start_ns, missing=missing)
            # Gaps are read while they are accounted, so what is missing is known only afterwards.
            time = downtime_by_step(view, ended, edges_ns=edges_ns)
            down_ns, accountable_ns = time.down_ns, time.accountable_ns
        # A gap that ended on a day that is missing may have begun in any step before.
        known_from_ns = max((parse_rfc3339_ns(span.end) for span in missing), default=0)
        zeros, lacking = np.zeros(view.count, np.int64), distinct([*slots.missing, *missing])
        for step, start_ns in enumerate(edges_ns[:-1]):
            is_known = is_time_wanted and start_ns >= known_from_ns
            yield FleetColumns(
                present=slots.present[:, step],
                expected=slots.expected[:, step],
                down_ns=down_ns[:, step] if is_known else zeros,
                accountable_ns=accountable_ns[:, step] if is_known else zeros,
                missing=lacking,
                is_time_known=is_known,
            )
