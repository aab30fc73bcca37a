"""Whole numbers that are written with a fraction or an exponent, as many libraries do: 5.0, 1e3."""

EXACT_HIGHEST = 2**53
"""Up to here a float stands for one integer; beyond it, for several, so that the one that was written is not known."""


def whole(value: float) -> int | None:
    """The integer that a finite number stands for; None where it has a fraction, or may stand for several integers."""
    if isinstance(value, int):
        return value
    return int(value) if value.is_integer() and abs(value) <= EXACT_HIGHEST else None
