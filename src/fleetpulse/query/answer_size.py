"""How much an answer holds, told by a few of its values: its memory, and whether it takes long to encode."""

from typing import Any

from msgspec import Struct

PIECE_ITEMS = 20_000
"""Values that are encoded at once: about a millisecond."""
SAMPLED = 4
"""Elements of a list, or values of a large dict, by which it is told how much all of them hold."""
ITEM_BYTES = 64
"""About what a value of an answer takes in memory."""


def is_long(value: Any, items_max: int = PIECE_ITEMS) -> bool:
    """Whether a value holds more than about `items_max` others, however deep.

    To count them all would take longer than to encode them, so lists are told by a few of their elements.
    """
    return items_of(value) > items_max


def items_of(value: Any) -> int:
    """About how many values a value holds, however deep."""
    if isinstance(value, Struct):
        inner: Any = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, (list, tuple)):
        inner = value
    else:
        return 0
    if len(inner) <= SAMPLED or isinstance(value, Struct):
        return len(inner) + sum(map(items_of, inner))
    sample = [inner[place * (len(inner) - 1) // (SAMPLED - 1)] for place in range(SAMPLED)]
    return len(inner) + len(inner) * sum(map(items_of, sample)) // SAMPLED


def bytes_of(value: Any) -> int:
    """About how many bytes of memory a value takes."""
    return ITEM_BYTES * items_of(value)
