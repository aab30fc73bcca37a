"""What rules about metrics would have found: windows slide over cells, whose length divides window and step.

    cells       │ 1 │ 0 │ 2 │ 1 │ 0 │ 1 │ …          of each device: counts, sums, lowest, highest, latest
    window              └───────────┘                 ends at each step, at which a live look is due
    next one                └───────────┘

Some days are done at a time, with the cells of one window before them, so that memory stays bounded. A quantile is
not made: whether it is above a threshold is told by how many samples are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.histories.cell_rows import CellGrid, Wanted, cell_rows
from fleetpulse.alert.histories.condition_history import Events
from fleetpulse.alert.histories.sliding import Sliding, held_between
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.reads import Samples

CELLS_AT_ONCE = 2_000_000
"""Cells of all devices that are laid out at a time, unless the question may hold less."""
CELL_BYTES = 60
QUANTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricRange:
    """Which looks are rehearsed: of one metric, of these devices (int64, ascending), each `step_s` in [start, end)."""

    samples: Samples
    number: int
    definition: MetricDefinition
    devices: NDArray[np.int64]
    start_ns: int
    end_ns: int
    step_s: int
    notes: set[str] = field(default_factory=set)
    """What the answer must say of how it was found."""

    @property
    def step_ns(self) -> int:
        """The time between two looks."""
        return self.step_s * NS_PER_S


def metric_events(rule: AlertRule, given: MetricRange, *, missing: list[Missing]) -> Events:
    """When a figure over a window went beyond the threshold of a rule, and back, of each device."""
    before = np.zeros(len(given.devices), bool)
    found: list[Events] = []
    for ends_ns, sliding in _stretches(rule, given, missing):
        enters, stays, values = _judged(rule, sliding)
        is_true = held_between(enters, stays, before)
        rows, steps = np.nonzero(is_true != np.concatenate([before[:, None], is_true[:, :-1]], axis=1))
        found.append(Events.of(ends_ns[steps], given.devices[rows], is_true[rows, steps], values=values[rows, steps]))
        before = is_true[:, -1]
    return joined_events(found)


def absent_events(rule: AlertRule, given: MetricRange, *, missing: list[Missing]) -> Events:
    """When devices had sent none for a whole window, that had before; and when they did again."""
    had, before = np.zeros(len(given.devices), bool), np.zeros(len(given.devices), bool)
    found: list[Events] = []
    for ends_ns, sliding in _stretches(rule, given, missing):
        has_any = sliding.counts > 0
        had_any = np.logical_or.accumulate(np.concatenate([had[:, None], has_any], axis=1), axis=1)[:, 1:]
        is_true = had_any & ~has_any
        rows, steps = np.nonzero(is_true != np.concatenate([before[:, None], is_true[:, :-1]], axis=1))
        found.append(Events.of(ends_ns[steps], given.devices[rows], is_true[rows, steps]))
        had, before = had_any[:, -1], is_true[:, -1]
    return joined_events(found)


def joined_events(pieces: list[Events]) -> Events:
    """Events of pieces that follow one another."""
    if not pieces:
        return Events.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    names = ("at_ns", "subjects", "is_on", "since_ns", "values")
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in pieces]) for name in names}
    return Events(**columns)


def _stretches(
    rule: AlertRule, given: MetricRange, missing: list[Missing]
) -> Iterator[tuple[NDArray[np.int64], Sliding]]:
    """(where windows end: int64 ns, shape (steps,); the windows), a stretch of time after another."""
    cell_s = gcd(given.step_s, rule.window_s)
    cell_ns, per_step = cell_s * NS_PER_S, given.step_s // cell_s
    of_window = rule.window_s // cell_s
    # The cells before the first window's end are kept from one stretch to the next.
    first_end = -(-given.start_ns // given.step_ns) * given.step_ns
    steps = max(0, -(-(given.end_ns - first_end) // given.step_ns))
    budget = given.samples.budget
    cells_max = min(CELLS_AT_ONCE, budget.question_memory_max // (2 * CELL_BYTES))
    at_once = max(1, (cells_max // max(1, len(given.devices)) - of_window) // per_step)
    wanted = Wanted(
        number=given.number,
        definition=given.definition,
        aggregation=rule.aggregation if rule.kind == "metric" else "count",
        thresholds=_thresholds(rule),
    )
    for first in range(0, steps, at_once):
        budget.check()
        count = min(at_once, steps - first)
        last_end = first_end + (first + count - 1) * given.step_ns
        cells = of_window + (count - 1) * per_step
        with budget.holding(CELL_BYTES * cells * len(given.devices), "the cells of all devices"):
            grid = CellGrid(given.devices, last_end - cells * cell_ns, cell_ns, cells)
            rows = cell_rows(given.samples, wanted, grid, missing=missing, notes=given.notes)
            ends_ns = first_end + (first + np.arange(count)) * given.step_ns
            yield ends_ns, Sliding(rows, window=of_window, step=per_step)


def _thresholds(rule: AlertRule) -> tuple[float, ...]:
    """The thresholds of which it matters how many samples are below them, and at them."""
    if rule.kind != "metric" or rule.aggregation not in QUANTILES:
        return ()
    return (rule.threshold, *(() if rule.clear_threshold is None else (rule.clear_threshold,)))


def _judged(rule: AlertRule, sliding: Sliding) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    """Where a condition begins, and where it goes on if it was true: bool; and figures: shape (devices, steps)."""
    is_above = rule.comparison in (">", ">=")
    if rule.aggregation in QUANTILES:
        percent = QUANTILES[rule.aggregation]
        enters = sliding.quantile_is(rule.comparison, 0, percent)
        stays = (
            sliding.quantile_is(">=" if is_above else "<=", 1, percent) if rule.clear_threshold is not None else enters
        )
        return enters, enters | stays, np.full(enters.shape, np.nan)
    values = sliding.figures(rule.aggregation)
    compare: dict[str, Any] = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}
    enters = compare[rule.comparison](values, rule.threshold)
    if rule.clear_threshold is None:
        return enters, enters, values
    return enters, enters | compare[">=" if is_above else "<="](values, rule.clear_threshold), values
