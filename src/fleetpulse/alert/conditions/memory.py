"""What conditions need to know of the rounds before: it is rebuilt from open alerts and facts after a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.condition import NO_SUBJECTS
from fleetpulse.alert.conditions.seen_totals import SeenTotals

NOTHING_TRUE = np.zeros(0, bool)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenAlerts:
    """The alerts of a rule, pending ones included, as they were after the round before.

    Also alerts may be among them that ended a short while ago, for `Condition.ran`.

    Attributes:
        subjects: int64, ascending, shape (n,).
        since_ns: since when the condition was true of each; int64, shape (n,).
        is_true: whether it was still true, so that `until` counts, and not the threshold; bool, shape (n,).
        groups: of a rule about groups the names of the subjects, by their numbers.
    """

    subjects: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    since_ns: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    is_true: NDArray[np.bool_] = field(default_factory=lambda: NOTHING_TRUE)
    groups: Sequence[str] | None = None

    def in_groups(self, groups: Sequence[str]) -> "OpenAlerts":
        """The same with the numbers that groups have in another list, which must have all of them."""
        numbers = {name: number for number, name in enumerate(groups)}
        known = self.groups or ()
        subjects = np.array([numbers[known[subject]] for subject in self.subjects.tolist()], np.int64)
        order = np.argsort(subjects, kind="stable")
        return OpenAlerts(
            subjects=subjects[order], since_ns=self.since_ns[order], is_true=self.is_true[order], groups=groups
        )


NO_ALERTS = OpenAlerts()


@dataclass(frozen=True, slots=True, eq=False)
class Drifts:
    """What is known of the clock of each device: int64 ns, shape (devices,).

    Attributes:
        heard_ns: when something was received last; 0: nothing was, and nothing is known.
        drift_ns: above 0: its clock is ahead.
    """

    heard_ns: NDArray[np.int64]
    drift_ns: NDArray[np.int64]


@dataclass(kw_only=True, eq=False)
class Memory:
    """What outlives a round.

    Attributes:
        open: of each rule, by name, its alerts; whoever runs rounds sets it before each one. Rules without alerts may
            lack.
        drifts: what was found of the clocks of devices, and when; see `clock_drift`.
        latest_ns: of each metric of which a rule is about its absence, by number, when devices sent the latest sample.
        totals: of each figure of the service that is over a window; see `own_telemetry`.
    """

    open: Mapping[str, OpenAlerts] = field(default_factory=dict)
    drifts: tuple[int, Drifts] | None = None
    latest_ns: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    totals: dict[str, SeenTotals] = field(default_factory=dict)

    def of(self, rule: str) -> OpenAlerts:
        """The alerts of a rule."""
        return self.open.get(rule, NO_ALERTS)
