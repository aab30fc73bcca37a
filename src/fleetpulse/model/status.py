"""The status of a device, and the code that stands for it in columns."""

from typing import Literal, get_args

Status = Literal["new", "up", "late", "down", "maintenance", "paused", "unknown"]
STATUSES: tuple[Status, ...] = get_args(Status)
NEW, UP, LATE, DOWN, MAINTENANCE, PAUSED, UNKNOWN = range(len(STATUSES))
