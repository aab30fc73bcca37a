"""What windowed uptime is made of: the reasons why time counts as it does, and the version of the formula."""

from typing import Literal, get_args

FORMULA = "uptime/2"
"""Version of what docs/explanation/uptime.md says. A change of any figure's meaning is a new version."""
SLOT_FORMULA = "uptime/1.1"
"""The version before, by slots of minutes, which may still be asked for."""
FORMULAS = {FORMULA: FORMULA, "uptime/1": SLOT_FORMULA, SLOT_FORMULA: SLOT_FORMULA}
"""What may be asked for, and what is answered then."""
Reason = Literal[
    "up", "backfilled", "down", "blind", "maintenance", "paused", "before_first_seen", "missing", "deleted"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
UP, BACKFILLED, DOWN, BLIND, MAINTENANCE, PAUSED, BEFORE, MISSING, DELETED = range(len(REASONS))
LEFT_OUT: tuple[Reason, ...] = REASONS[BLIND:]
"""Reasons of time that counts neither for nor against a device."""
Measure = Literal["settled", "observed", "availability"]
"""What may be counted of gaps: those of all beats that have arrived, those of receptions, and time with status down."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
