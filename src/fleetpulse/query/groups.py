"""Devices in groups by the value of a label, for questions that are answered group by group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.catalog.roster import Roster

NOT_SELECTED = -1


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups that have devices, numbered 0, 1, … in the order of their names.

    `codes`: int32, shape (devices,): the group of each device by its number, NOT_SELECTED for the others.
    `names` and `sizes` are by group: the value of the label ("" for devices without it), and the number of devices.
    """

    codes: NDArray[np.int32]
    names: list[str]
    sizes: list[int]

    @classmethod
    def of(cls, roster: Roster, by: str, selection: NDArray[np.bool_]) -> "Groups":
        """The selected devices by the values of label `by`; with `by` "" all of them are one group, named "".

        Args:
            selection: bool, shape (roster.count,): which devices to group.
        """
        codes, values = roster.groups(by) if by else (np.zeros(len(selection), np.int32), [""])
        sizes = np.bincount(codes[selection], minlength=len(values))
        used = sorted(np.flatnonzero(sizes).tolist(), key=values.__getitem__)
        renumbered = np.full(len(values), NOT_SELECTED, np.int32)
        renumbered[used] = np.arange(len(used))
        return cls(
            np.where(selection, renumbered[codes], np.int32(NOT_SELECTED)),
            [values[code] for code in used],
            sizes[used].tolist(),
        )

    def __len__(self) -> int:
        return len(self.names)

    def sums(self, column: NDArray[np.int64] | NDArray[np.int32]) -> list[int]:
        """The exact sum of a column in each group.

        Args: column: int32 or int64, none below 0, shape (devices,), or of the first devices only.
        """
        codes = self.codes[: len(column)]
        selected = np.flatnonzero(codes != NOT_SELECTED)
        codes, values = codes[selected], column[selected].astype(np.int64)
        # Nanoseconds of a million devices over a year need more than 64 bits. Sums of 24 bits are exact as float64.
        totals = [0] * len(self)
        for shift in range(0, int(values.max(initial=0)).bit_length(), 24):
            sums = np.bincount(codes, weights=(values >> shift) & 0xFF_FFFF, minlength=len(self)).tolist()
            totals = [total + (int(part) << shift) for total, part in zip(totals, sums, strict=True)]
        return totals

    def greatest(self, column: NDArray[np.int64]) -> list[int]:
        """The greatest value of a column in each group, 0 where all are below. Args: int64, shapes as for `sums`."""
        codes = self.codes[: len(column)]
        selected = np.flatnonzero(codes != NOT_SELECTED)
        found = np.zeros(len(self), np.int64)
        np.maximum.at(found, codes[selected], column[selected])
        return found.tolist()
