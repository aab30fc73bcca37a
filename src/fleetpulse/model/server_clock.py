"""What the journal tells of the server's clock."""

from __future__ import annotations

from typing import NamedTuple


class ClockCorrection(NamedTuple):
    """Whatever came in after `since_ns`, by a clock that was wrong, counts as received at `at_ns`.

    `since_ns` is the last moment before the clock went wrong, and `at_ns` the moment of the correction, not before it.
    """

    since_ns: int
    at_ns: int


class KnownLeaps(NamedTuple):
    """Leaps of the clock: when the last one ended, and the span of the longest since the clock was last accepted.

    The service may have been off over such a span: nothing tells a clock that leapt meanwhile from a long time off.
    """

    last_at_ns: int = 0
    start_ns: int = 0
    end_ns: int = 0

    def and_one(self, start_ns: int, end_ns: int) -> KnownLeaps:
        """These, and one more."""
        if end_ns - start_ns > self.end_ns - self.start_ns:
            return KnownLeaps(end_ns, start_ns, end_ns)
        return self._replace(last_at_ns=end_ns)


NO_LEAPS = KnownLeaps()
