"""Durations as Go's `time.Duration` writes them: `3m29.226522788s`, `1h0m0.5s`, `1.5ms`, `0s`."""

from fleetpulse.model.units import NS_PER_S


def format_duration(total_ns: int) -> str:
    """The text of Go's `Duration.String` for `total_ns`, exact to the nanosecond.

    Below a second the unit is the largest of ns, µs and ms of which the duration has at least one.
    Source: Go's package time, `Duration.String`.
    """
    sign = "-" if total_ns < 0 else ""
    ns = abs(total_ns)
    if ns == 0:
        return "0s"
    if ns < 1_000:
        return f"{sign}{ns}ns"
    if ns < 1_000_000:
        return f"{sign}{_decimal(ns, 1_000)}µs"
    if ns < NS_PER_S:
        return f"{sign}{_decimal(ns, 1_000_000)}ms"
    minutes, rest_ns = divmod(ns, 60 * NS_PER_S)
    seconds = _decimal(rest_ns, NS_PER_S)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}s"
    if minutes:
        return f"{sign}{minutes}m{seconds}s"
    return f"{sign}{seconds}s"


def _decimal(value: int, unit: int) -> str:
    """`value` / `unit`, where `unit` is a power of ten, without trailing zeros."""
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")
