"""Local times of a zone as instants. Days count from 1970-01-01, by the local calendar."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fleetpulse.model.units import NS_PER_S, S_PER_DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS_HIGHEST = 84_004
"""2200-01-01; nanoseconds of much later years do not fit into 64 bits."""
_SPLIT_S = 3_600
"""Steps up to this length divide a local day from its midnight on; longer ones begin when the local clock says so."""


def first_instant_s(day: int, start_minute: int, zone: ZoneInfo) -> int | None:
    """When the local clock first shows `start_minute` of a day or later, in s since 1970; None: there is no such day.

    `day` counts local days since 1970-01-01.
    """
    wall_s = day * S_PER_DAY + start_minute * 60
    wall = (_EPOCH + timedelta(seconds=wall_s)).replace(tzinfo=zone)
    before_s, after_s = _offset_s(wall), _offset_s(wall.replace(fold=1))
    if before_s >= after_s:
        return wall_s - before_s
    # The clock skips this time: the change lies between what the offsets before and after it make of it.
    at_s = bisect_left(range(wall_s - before_s), wall_s, lo=wall_s - after_s, key=lambda s: _wall_s(s, zone))
    is_day_skipped = _wall_s(at_s - 1, zone) // S_PER_DAY < day < _wall_s(at_s, zone) // S_PER_DAY
    return None if is_day_skipped else at_s


def _wall_s(at_s: int, zone: ZoneInfo) -> int:
    """What the local clock shows at `at_s`, counted as if it were UTC."""
    return at_s + _offset_s((_EPOCH + timedelta(seconds=at_s)).astimezone(zone))


def _offset_s(at: datetime) -> int:
    offset = at.utcoffset()
    assert offset is not None  # every time here has a zone
    return offset.days * S_PER_DAY + offset.seconds


def day_start_ns(day: int, zone: ZoneInfo) -> int:
    """When a local day begins. A day that the zone skipped, at the date line, begins with the day after it."""
    at_s = first_instant_s(day, 0, zone)
    return day_start_ns(day + 1, zone) if at_s is None else at_s * NS_PER_S


def day_of(at_ns: int, zone: ZoneInfo) -> int:
    """The local day of an instant."""
    return _wall_s(at_ns // NS_PER_S, zone) // S_PER_DAY


def step_starts_ns(start_ns: int, end_ns: int, *, step_s: int, zone: ZoneInfo) -> list[int]:
    """Where the steps of a local calendar begin that overlap [start_ns, end_ns), ascending; the first may be earlier.

    Steps of whole days begin at midnight, counted from 1970-01-01; shorter ones divide each day, whose last step is
    shorter or longer where the clock changes.
    Raises: ValueError: the step neither divides a day nor is a number of whole days.
    """
    days = max(1, step_s // S_PER_DAY)
    if (step_s % S_PER_DAY if step_s >= S_PER_DAY else S_PER_DAY % step_s) != 0:
        raise ValueError("with a time zone, a step must divide a day, as 15m and 6h do, or be whole days")
    first = day_of(start_ns, zone) // days * days
    starts: list[int] = []
    for day in range(first, day_of(end_ns - 1, zone) + 1, days):
        begin_ns, end_of_day_ns = day_start_ns(day, zone), day_start_ns(day + days, zone)
        if step_s >= S_PER_DAY:
            starts.append(begin_ns)
        elif step_s <= _SPLIT_S:
            starts += range(begin_ns, end_of_day_ns, step_s * NS_PER_S)
        else:
            instants = (first_instant_s(day, minute, zone) for minute in range(0, S_PER_DAY // 60, step_s // 60))
            starts += [at_s * NS_PER_S for at_s in instants if at_s is not None]
    distinct = sorted(set(starts))
    overlapping = [at for at, following in zip(distinct, [*distinct[1:], end_ns], strict=True) if following > start_ns]
    return [at for at in overlapping if at < end_ns]
