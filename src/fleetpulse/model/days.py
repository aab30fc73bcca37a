"""A set of days as one number, whose bit d is day d since 1970-01-01.

Late data may be about thousands of days, and each late block and each version of the manifest has a set of its own: of
9,000 days such a number takes 3 KB where a set takes half a megabyte.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import TypeVar

import numpy as np

_Item = TypeVar("_Item")


class Days(AbstractSet[int]):
    """Days (since 1970-01-01, so none is negative). It never changes."""

    __slots__ = ("_bits",)

    def __init__(self, bits: int = 0) -> None:
        """`bits`: the number; `Days.of` makes one of days."""
        self._bits = bits

    @classmethod
    def of(cls, days: Iterable[int]) -> "Days":
        """A set of these days."""
        numbers = np.fromiter(days, np.int64)
        flags = np.zeros(int(numbers.max(initial=-1)) + 1, bool)
        flags[numbers] = True
        return cls(int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little"))

    @classmethod
    def _from_iterable(cls, it: Iterable[_Item]) -> AbstractSet[_Item]:
        """What the other operators give: a set as any other."""
        return set(it)

    def __contains__(self, day: object) -> bool:
        """Whether a day is among them."""
        return isinstance(day, int | np.integer) and int(day) >= 0 and bool(self._bits >> int(day) & 1)

    def __iter__(self) -> Iterator[int]:
        """The days, ascending."""
        size_bytes = (self._bits.bit_length() + 7) // 8
        flags = np.frombuffer(self._bits.to_bytes(size_bytes, "little"), np.uint8)
        return iter(np.flatnonzero(np.unpackbits(flags, bitorder="little")).tolist())

    def __len__(self) -> int:
        """How many days there are."""
        return self._bits.bit_count()

    def __hash__(self) -> int:
        """Equal days have equal hashes."""
        return hash(self._bits)

    def __sub__(self, other: AbstractSet[object]) -> "Days":
        """The days that are not in `other`."""
        days = other if isinstance(other, Days) else Days.of(day for day in self if day in other)
        return Days(self._bits & ~days._bits)
