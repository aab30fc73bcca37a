"""What may happen so many times a day: a bound for junk that others could create for ever."""

from collections.abc import Callable

from fleetpulse.access_errors import TooManyRequests
from fleetpulse.model.units import NS_PER_S

DAY_S = 86_400


class DailyLimit:
    """Counts since midnight UTC, or since the service started: after a restart the day begins anew."""

    def __init__(self, name: str, what: str, count_max: int, *, now_ns: Callable[[], int]) -> None:
        """`name`: the setting, and the reason of refusals. `what`: of which things there may be `count_max` a day."""
        self.name = name
        self._what = what
        self._count_max = count_max
        self._now_ns = now_ns
        self._day = -1
        self._count = 0

    @property
    def left(self) -> int:
        """How many more there may be today."""
        day = self._now_ns() // NS_PER_S // DAY_S
        if day != self._day:
            self._day, self._count = day, 0
        return self._count_max - self._count

    def check(self, count: int = 1) -> None:
        """Raises: TooManyRequests: there were too many today for `count` more."""
        if count > self.left:
            wait_s = DAY_S - self._now_ns() // NS_PER_S % DAY_S
            raise TooManyRequests(
                f"{self._count} {self._what} since midnight UTC, of at most {self._count_max} a day ({self.name})",
                reason=self.name,
                retry_after_s=wait_s,
                policy=f'"{self.name}";q={self._count_max};w={DAY_S}',
                limit=f'"{self.name}";r={max(0, self.left)};t={wait_s}',
                detail=f"if these are yours, declare them yourself, or raise {self.name}; else find out who sends them",
            )

    def count(self, count: int = 1) -> None:
        """Count what has happened; `check` it first."""
        _ = self.left  # so that it counts for today
        self._count += count
