"""What is excluded for every device of the fleet, kept for the next questions."""

import threading
from collections.abc import Callable, Sequence

from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.query.exclusions import LOOK_BACK_NS, Declarations, Excluded, exclude

CACHED_MAX = 8
"""Exclusions of the whole fleet that are kept for the next questions."""


class FleetExclusions:
    """The exclusions of the whole fleet, cached: many questions in a row need the same. Used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: dict[tuple[object, ...], Excluded] = {}

    def find(
        self,
        declared: Declarations,
        blind_ns: Sequence[tuple[int, int]],
        *,
        start_ns: int,
        now_ns: int,
        check: Callable[[], None] = lambda: None,
    ) -> Excluded:
        """What is excluded for every device in a question from `start_ns` until now; `check` may stop the question.

        In a large fleet some device always has a gap that began long before `start_ns`; exclusions are therefore looked
        up from LOOK_BACK_NS earlier. They are looked up by whole days, so that questions in a row share them.
        """
        span = (start_ns - LOOK_BACK_NS) // NS_PER_DAY * NS_PER_DAY, (now_ns // NS_PER_DAY + 2) * NS_PER_DAY
        key = (declared.version, declared.roster.version, len(blind_ns), tuple(blind_ns[-1:]), span)
        excluded = self._cached.get(key)
        if excluded is None:
            excluded = exclude(
                blind_ns=blind_ns,
                windows=declared.windows,
                pauses=declared.pauses,
                deletions=declared.deletions,
                roster=declared.roster,
                numbers=declared.numbers,
                start_ns=span[0],
                end_ns=span[1],
                check=check,
            )
            with self._lock:
                while len(self._cached) >= CACHED_MAX:
                    del self._cached[next(iter(self._cached))]
                self._cached[key] = excluded
        return excluded
