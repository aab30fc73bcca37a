"""What a rule has found at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NO_SUBJECTS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """Of which subjects a rule's condition is true, and of which nothing can be said. Of all others it is false.

    Subjects are numbers of devices; of rules about groups, places in `groups`, which only grows.

    Attributes:
        rule: the name of the rule.
        at_ns: of which moment this is.
        subjects: where it is true: int64, ascending, shape (n,).
        since_ns: since when it is true there, as far as the facts tell; else `at_ns`; int64, shape (n,).
        values: the figure that was compared; nan where there is none; float64, shape (n,).
        withheld: where maintenance, a pause or blind time say nothing, so that an alert neither begins nor ends there,
            and its timers stand still; int64, ascending, shape (m,), apart from `subjects`.
        absent: subjects that the rule is no longer about (deleted, relabelled); int64, ascending, shape (k,); may name
            more than ever had an alert.
        ran: of the subjects where it is false, those that have shown since that they were running meanwhile (late
            beats cover the time); int64, ascending.
        groups: names of the subjects of a rule about groups: `site=paris`, `fleet`, `service`.
    """

    rule: str
    at_ns: int
    subjects: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    since_ns: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    withheld: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    absent: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    ran: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    groups: Sequence[str] | None = None
