"""What people had a device's history forget: everything that it sent before a time, by its own clock.

A device whose clock was never set is heard in the year 2000, and one such minute spoils its lifetime uptime for good.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_MINUTE

FIELDS = 8
"""Values of an order in a journal entry."""
NO_MINUTE = np.iinfo(np.int32).max
"""In place of a minute: there is none."""


@dataclass(frozen=True, slots=True)
class BeforeCut:
    """What the blocks hold of a device before a time, and its first minute present in them from that time on.

    Attributes:
        minutes: minutes present, of closed days.
        first_minute: since 1970; NO_MINUTE where no minute from the time on is present in a closed day.
        samples: of all metrics.
        uploads: how many of these are upload times.
        upload_time_total: their sum, in ns.
    """

    minutes: int = 0
    first_minute: int = NO_MINUTE
    samples: int = 0
    uploads: int = 0
    upload_time_total: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """An order to forget, as the journal has it: it must come out the same when it is replayed, so it tells the counts.

    `before_ns` is a whole minute. `minutes` and `samples` say how much there was when the order was given, in blocks
    and in memory; what `blocks` holds is subtracted from the lifetime figures when the order is applied.
    """

    device: int
    before_ns: int
    minutes: int
    samples: int
    blocks: BeforeCut

    @property
    def before_minute(self) -> int:
        """The first minute since 1970 that stays."""
        return self.before_ns // NS_PER_MINUTE

    def values(self) -> array[int]:
        """The order as a journal entry holds it: FIELDS signed values of 64 bits."""
        high, low = divmod(self.blocks.upload_time_total, 2**32)
        counted = (self.blocks.first_minute, self.blocks.uploads, high, low)
        return array("q", [self.device, self.before_ns, self.minutes, self.samples, *counted])


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One thing that was forgotten: when the order was given, and how much it removed."""

    device: int
    before_ns: int
    at_ns: int
    minutes: int
    samples: int


def read_orders(values: NDArray[np.int64]) -> Iterator[Order]:
    """The orders of a journal entry: int64, shape (FIELDS · orders,)."""
    rows: list[tuple[int, ...]] = [tuple(row) for row in values.reshape(-1, FIELDS).tolist()]
    for device, before_ns, minutes, samples, first_minute, uploads, high, low in rows:
        blocks = BeforeCut(first_minute=first_minute, uploads=uploads, upload_time_total=high * 2**32 + low)
        yield Order(device, before_ns, minutes, samples, blocks)
