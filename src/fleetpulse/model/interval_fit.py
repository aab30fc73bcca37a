"""Whether the declared interval of a device fits its beats."""

from typing import Literal

Verdict = Literal["fits", "too_short", "too_long", "too_few"]
VERDICTS: tuple[Verdict, ...] = ("fits", "too_short", "too_long", "too_few")
FITS, TOO_SHORT, TOO_LONG, TOO_FEW = range(4)
"""`too_few`: of so few beats nothing follows."""
Resolution = Literal["exact", "minute"]
"""Whether distances between beats are known exactly, or as whole minutes."""
