"""Nanoseconds as seconds in decimal digits, so that no nanosecond is lost in a float."""

from decimal import Decimal

from fleetpulse.model.units import NS_PER_S


def exact_seconds(count_ns: int) -> Decimal:
    """Seconds with as many decimals as they need, at least one and at most nine."""
    whole, rest = divmod(count_ns, NS_PER_S)
    return Decimal(f"{whole}.{f'{rest:09}'.rstrip('0') or '0'}")


def count_ns(seconds: Decimal) -> int:
    """The nanoseconds of seconds with at most nine decimals."""
    return int(seconds.scaleb(9))
