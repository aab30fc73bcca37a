"""What rules about uptime would have found: windows that end at each look, of sums from one pass over the gaps."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.conditions.thresholds import is_beyond
from fleetpulse.alert.histories.condition_history import Events
from fleetpulse.alert.histories.metric_history import joined_events
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.fleet_columns import fleet_columns_by_step
from fleetpulse.query.missing import distinct
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

LOOKS_MAX = 720
"""Looks of a rehearsal: one an hour in 30 days. Each costs the sums of all devices."""
EDGE_BYTES = 16


def uptime_step_s(*, start_ns: int, end_ns: int, interval_s: int) -> int:
    """The time between two looks: a multiple of that of live looks."""
    looks = (end_ns - start_ns) / NS_PER_S / interval_s
    return interval_s * max(1, -int(-looks // LOOKS_MAX))


def uptime_events(
    rule: AlertRule,
    view: FleetView,
    devices: NDArray[np.int64],
    *,
    start_ns: int,
    end_ns: int,
    step_s: int,
    missing: list[Missing],
) -> Events:
    """When the uptime over the window of a rule went below its threshold, and back, of each device.

    Args: devices: int64, ascending, shape (n,). step_s: see `uptime_step_s`.
    """
    step_ns = step_s * NS_PER_S
    looks_ns = np.arange(-(-start_ns // step_ns), -(-end_ns // step_ns)) * step_ns
    if not len(looks_ns) or not len(devices):
        return joined_events([])
    edges_ns = np.unique(np.concatenate([looks_ns - rule.window_s * NS_PER_S, looks_ns]))
    with view.budget.holding(EDGE_BYTES * len(edges_ns) * len(devices), "the uptime of all devices"):
        sums, known_from = _sums(rule, view, devices, edges_ns, missing)
        first = np.searchsorted(edges_ns, looks_ns - rule.window_s * NS_PER_S)
        last = np.searchsorted(edges_ns, looks_ns)
        before = np.zeros(len(devices), bool)
        found: list[Events] = []
        for place, at_ns in enumerate(looks_ns.tolist()):
            if first[place] < known_from:
                continue
            down_ns, counted_ns = sums[:, last[place]] - sums[:, first[place]]
            uptime = np.where(counted_ns > 0, (counted_ns - down_ns) / np.maximum(counted_ns, 1), np.nan)
            is_true = is_beyond(rule, uptime, before)
            rows = np.flatnonzero(is_true != before)
            times_ns = np.full(len(rows), at_ns)
            found.append(Events.of(times_ns, devices[rows], is_true[rows], values=uptime[rows]))
            before = is_true
    return joined_events(found)


def _sums(
    rule: AlertRule, view: FleetView, devices: NDArray[np.int64], edges_ns: NDArray[np.int64], missing: list[Missing]
) -> tuple[NDArray[np.int64], int]:
    """Time down and accountable before each edge, int64 ns, shape (2, edges, devices); the first edge that is known."""
    sums = np.zeros((2, len(edges_ns), len(devices)), np.int64)
    edges = tuple(edges_ns.tolist())
    window, known_from = Window(edges[0], edges[-1], edges_ns=edges[:-1]), 0
    for place, columns in enumerate(fleet_columns_by_step(view, window, measures=[rule.measure])):
        time = columns.time.get(rule.measure)
        missing[:] = distinct([*missing, *columns.missing])
        sums[:, place + 1] = sums[:, place]
        if time is None:
            known_from = place + 1
        else:
            sums[0, place + 1] += time.down_ns[devices]
            sums[1, place + 1] += time.accountable_ns[devices]
    return sums, known_from
