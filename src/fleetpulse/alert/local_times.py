"""Whether now is one of the local times that people declare: on-call times and quiet hours."""

from collections.abc import Sequence

from fleetpulse.aggregate.recurrence import next_occurrence
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence

_STEPS_MAX = 32
"""Occurrences that follow each other without a break and are followed to their common end."""


def is_within(times: Sequence[Recurrence], now_ns: int) -> bool:
    """Whether any of the times is now."""
    return any(span[0] <= now_ns for span in _spans(times, now_ns))


def end_ns(times: Sequence[Recurrence], now_ns: int) -> int:
    """When none of the times is any more; `now_ns` where that is so now. Times that never end are cut after weeks."""
    at_ns = now_ns
    for _ in range(_STEPS_MAX):
        ends = [span[1] for span in _spans(times, at_ns) if span[0] <= at_ns]
        if not ends:
            break
        at_ns = max(ends)
    return at_ns


def next_start_ns(times: Sequence[Recurrence], now_ns: int) -> int:
    """When one of the times begins next, after now; 0: never."""
    starts = []
    for recurrence in times:
        at_ns = now_ns
        for _ in range(_STEPS_MAX):
            span = next_occurrence(_window(recurrence), after_ns=at_ns)
            if span is None or span[0] > now_ns:
                starts += [span[0]] if span else []
                break
            at_ns = span[1]
    return min(starts, default=0)


def _spans(times: Sequence[Recurrence], now_ns: int) -> list[tuple[int, int]]:
    found = [next_occurrence(_window(recurrence), after_ns=now_ns) for recurrence in times]
    return [span for span in found if span is not None]


def _window(recurrence: Recurrence) -> MaintenanceWindow:
    """A recurrence without beginning and end."""
    return MaintenanceWindow("", "", {}, (), 0, None, recurrence, is_for_all=True)
