"""What one round of alerts sees of the service, and what several of its rules need of that, found once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.catalog.roster import ABSENT
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.status import DOWN, LATE, MAINTENANCE, PAUSED, STATUSES, UNKNOWN, UP
from fleetpulse.query.reads import Samples
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView

NO_METRICS: Mapping[str, tuple[int, MetricDefinition]] = {}
NO_TELEMETRY: Mapping[str, float] = {}
LONG_WINDOW_S = 6 * 3_600
"""Figures over longer windows are made of roll-ups, where there are any, as answers make them."""
UNCOUNTED, NOT_DOWN, IS_DOWN, NOT_KNOWN = range(4)
_WATCHED = np.zeros(len(STATUSES), np.int8)
_WATCHED[[UP, LATE, DOWN, UNKNOWN]] = NOT_DOWN, NOT_DOWN, IS_DOWN, NOT_KNOWN
_WITHHELD = (MAINTENANCE, PAUSED, UNKNOWN)


@dataclass(kw_only=True, eq=False)
class Facts:
    """The fleet and the service at one moment. Nothing in it changes; one thread uses it.

    Attributes:
        view: all devices, from their number 0 on.
        samples: those of all devices; None where no rule needs any.
        metrics: the defined metrics by name: number and definition.
        rules: all that are looked at in the round: what several need is read once for the one that needs most.
        samples_max: samples of a metric that may be held; figures over windows with more are made of roll-ups.
        window_step_ns: see `window_end_ns`.
        telemetry: figures of this service by name, such as `disk_free_bytes`; totals only grow.
    """

    view: FleetView
    samples: Samples | None = None
    metrics: Mapping[str, tuple[int, MetricDefinition]] = field(default_factory=lambda: NO_METRICS)
    telemetry: Mapping[str, float] = field(default_factory=lambda: NO_TELEMETRY)
    rules: Sequence[AlertRule] = ()
    samples_max: int = ConditionSettings.alert_samples_max
    window_step_ns: int = 1
    shared: dict[Hashable, Any] = field(default_factory=dict, init=False)
    """What a kind of rule finds once for several rules."""
    _members: dict[tuple[tuple[str, str], ...], NDArray[np.int64]] = field(default_factory=dict, init=False)

    @property
    def now_ns(self) -> int:
        """The moment that the facts are of."""
        return self.view.now_ns

    @property
    def window_end_ns(self) -> int:
        """Where windows of metrics and uptime end: the last whole `window_step_ns`, so that all are of one moment."""
        return self.now_ns // self.window_step_ns * self.window_step_ns

    def longest_s(self, metric: str) -> int:
        """The longest window over which a rule needs single samples of a metric, in seconds; 0: none does."""
        windows = (rule.window_s for rule in self.rules if rule.metric == metric)
        return max((window_s for window_s in windows if window_s <= LONG_WINDOW_S), default=0)

    @cached_property
    def status(self) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Codes of STATUSES, int8, and since when, int64 ns (0: since ever); shape (devices,)."""
        return fleet_status(self.view)

    @cached_property
    def down(self) -> NDArray[np.int64]:
        """The registered devices that are down: int64, ascending, shape (n,)."""
        return self.registered(np.flatnonzero(self.status[0] == DOWN))

    @cached_property
    def withheld(self) -> NDArray[np.int64]:
        """Registered devices of which maintenance, a pause or blind time say nothing: int64, ascending, shape (n,)."""
        is_withheld = np.zeros(len(self.status[0]), bool)
        for code in _WITHHELD:
            is_withheld |= self.status[0] == code
        return self.registered(np.flatnonzero(is_withheld))

    @cached_property
    def watched(self) -> NDArray[np.int8]:
        """How each device counts in a share: UNCOUNTED, NOT_DOWN, IS_DOWN or NOT_KNOWN; int8, shape (devices,).

        New devices count no more than those in maintenance, paused or deleted: they are not up, and were never.
        """
        watched: NDArray[np.int8] = _WATCHED[self.status[0]]
        watched[self.view.roster.is_deleted[: len(watched)]] = UNCOUNTED
        return watched

    def members(self, labels: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
        """The registered devices that have all of these labels: int64, ascending, shape (n,); found once."""
        key = tuple(labels)
        if key not in self._members:
            self._members[key] = self.chosen(self.registered(np.arange(self.view.count)), labels)
        return self._members[key]

    def chosen(self, devices: NDArray[np.int64], labels: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
        """Those of registered devices that have all of these labels. Args: devices: int64, ascending, shape (n,)."""
        roster = self.view.roster
        for name, value in (*roster.scope, *labels):
            column = roster.labels.get(name)
            code = None if column is None else column.code(value)
            if column is None or code is None or code == ABSENT:
                return devices[:0]
            devices = devices[column.codes[devices] == code]
        return devices

    def without(self, devices: NDArray[np.int64], labels: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
        """Those of devices that are deleted, or lack a label. Args: devices: int64, ascending, shape (n,)."""
        known = devices[devices < self.view.count]
        return np.setdiff1d(devices, self.chosen(self.registered(known), labels), assume_unique=True)

    def registered(self, devices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of devices that are not deleted. Args: devices: int64, shape (n,)."""
        return devices[~self.view.roster.is_deleted[devices]]
