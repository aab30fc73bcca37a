"""Uptime figures from counts of minutes."""


def lifetime_uptime_percent(*, minutes_present: int, first_minute: int, last_minute: int) -> float:
    """100 · |minutes present| / max(1, last − first), at most 100; 0 with no heartbeat.

    The divisor has no + 1: that is the published contract, in which 480 minutes present over a span of 480 is 100 %.
    Source: docs/explanation/uptime.md, "Lifetime uptime".
    """
    if minutes_present == 0:
        return 0.0
    return min(100.0, 100.0 * minutes_present / max(1, last_minute - first_minute))
