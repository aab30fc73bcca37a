"""Numbers in texts; and whole numbers with a fraction or an exponent, as many libraries write them: 5.0, 1e3."""

import re

EXACT_HIGHEST = 2**53
"""Up to here a float stands for one integer; beyond it, for several, so that the one that was written is not known."""


def whole(value: float) -> int | None:
    """The integer that a finite number stands for; None where it has a fraction, or may stand for several integers."""
    if isinstance(value, int):
        return value
    return int(value) if value.is_integer() and abs(value) <= EXACT_HIGHEST else None


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_NUMBER_CHARS_MAX = 5_000


def read_number(text: str) -> float | None:
    """The number that a text holds, perhaps infinite or NaN, which are in no range; None where it holds none.

    Python's `float` alone would also take `1_0` and the digits of every script.
    """
    text = text.strip()
    return float(text) if len(text) <= _NUMBER_CHARS_MAX and _NUMBER.fullmatch(text) else None
