"""Which of several files of one kind to merge, so that each row is copied a few times only."""

from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
MERGED_MAX = 16
"""Files that are merged at once; of each, a few row groups are in memory."""
MUCH_LARGER = 2
"""A file of more than so many times the bytes of all smaller ones is left for a later merge."""


def smallest(items: Iterable[_Item], size_bytes: Callable[[_Item], int]) -> list[_Item]:
    """The smallest items, at least two where there are, up to the first that is much larger than these together."""
    by_size = sorted(items, key=size_bytes)
    total, chosen = 0, by_size[:2]
    for count, item in enumerate(by_size[:MERGED_MAX]):
        if count >= 2 and size_bytes(item) > MUCH_LARGER * total:
            break
        total += size_bytes(item)
        chosen = by_size[: count + 1]
    return chosen


def smallest_alike(items: Iterable[_Item], size_bytes: Callable[[_Item], int]) -> list[_Item]:
    """The smallest items, unless the largest of them is much larger than the others together: then none.

    So it pays to merge them, however few files there are.
    """
    chosen = smallest(items, size_bytes)
    total = sum(map(size_bytes, chosen))
    if len(chosen) < 2 or size_bytes(chosen[-1]) > MUCH_LARGER * (total - size_bytes(chosen[-1])):
        return []
    return chosen
