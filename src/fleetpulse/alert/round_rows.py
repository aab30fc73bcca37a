"""The alerts of a round, found by their numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.labelled import LabelledAlerts
from fleetpulse.alert.numbers import Numbers
from fleetpulse.model.alert import FIRING


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoundRows:
    """All numbered alerts of a round, and those that fire.

    Attributes:
        numbers: of all that fire or ended in this round: int64, ascending; `places` are their rows.
        firing: the numbers of those that fire: int64, ascending.
    """

    labelled: LabelledAlerts
    numbers: Numbers
    places: NDArray[np.int64]
    firing: Numbers

    @classmethod
    def of(cls, labelled: LabelledAlerts) -> "RoundRows":
        """Those of the alerts that have a number."""
        columns = labelled.alerts.of
        numbered = np.flatnonzero(columns["number"] > 0)
        numbers = columns["number"][numbered]
        order = np.argsort(numbers, kind="stable")
        places, numbers = numbered[order], numbers[order]
        return cls(
            labelled=labelled, numbers=numbers, places=places, firing=numbers[columns["state"][places] == FIRING]
        )

    def rows(self, numbers: Numbers) -> NDArray[np.int64]:
        """The rows of alerts that are in this round: int64, shape (n,). Args: numbers: int64, all of them known."""
        return self.places[np.searchsorted(self.numbers, numbers)]

    def present(self, numbers: Numbers) -> Numbers:
        """Those of the numbers that are in this round: int64, shape (m,)."""
        places = np.minimum(np.searchsorted(self.numbers, numbers), max(0, len(self.numbers) - 1))
        return numbers[self.numbers[places] == numbers] if len(self.numbers) else numbers[:0]

    def chosen(self, numbers: Numbers, mask: NDArray[np.bool_]) -> Numbers:
        """Those of the numbers whose row is in the mask: int64, shape (m,). Args: mask: bool, by row, shape (n,)."""
        return numbers[mask[self.rows(numbers)]] if len(numbers) else numbers
