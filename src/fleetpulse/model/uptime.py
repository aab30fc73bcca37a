"""What windowed uptime is made of: the reasons why a slot counts as it does, and the version of the formula."""

from typing import Literal, get_args

FORMULA = "uptime/1.1"
"""Version of what docs/explanation/uptime.md says. A change of any figure's meaning is a new version."""
Reason = Literal[
    "up", "backfilled", "down", "blind", "maintenance", "paused", "before first seen", "missing", "deleted"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
UP, BACKFILLED, DOWN, BLIND, MAINTENANCE, PAUSED, BEFORE, MISSING, DELETED = range(len(REASONS))
LEFT_OUT: tuple[Reason, ...] = REASONS[BLIND:]
"""Reasons of slots that count neither as present nor as expected."""
