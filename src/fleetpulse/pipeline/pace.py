"""How fast a client takes what it is given: one that takes too little for too long is cut off."""

from collections.abc import Callable

from fleetpulse.errors import BrokenOff

PATIENCE_S = 30.0
"""How far behind the lowest rate a client may fall."""


class Pace:
    """The pace of one client that is sent something long, a piece at a time."""

    def __init__(self, bytes_per_s_lowest: int, setting: str, monotonic_s: Callable[[], float]) -> None:
        """`setting`: the name of the setting that has the lowest rate; a rate of 0 is no limit."""
        self._rate, self._setting = bytes_per_s_lowest, setting
        self._monotonic_s = monotonic_s
        self._given_bytes = 0
        self._given_at_s = 0.0
        self._waited_s = 0.0

    def give(self, count_bytes: int) -> None:
        """The client is given a piece now."""
        self._given_bytes += count_bytes
        self._given_at_s = self._monotonic_s()

    def take(self) -> None:
        """The client has taken what it was given. Raises: BrokenOff: it took too long."""
        self._waited_s += self._monotonic_s() - self._given_at_s
        if self._rate and self._waited_s > PATIENCE_S + self._given_bytes / self._rate:
            raise BrokenOff(
                f"its client has read {self._given_bytes} bytes in {self._waited_s:.0f} s, "
                f"less than {self._rate} a second ({self._setting})"
            )
