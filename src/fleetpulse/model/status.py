"""The statuses of a device, and their codes in arrays."""

STATUSES = ("new", "up", "late", "down", "maintenance", "paused", "unknown")
NEW, UP, LATE, DOWN, MAINTENANCE, PAUSED, UNKNOWN = range(len(STATUSES))
