"""Status computed from receptions alone: thresholds, exclusions, and the time line of one device."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.aggregate.status import NEVER_NS, Exclusions, ReceptionGap, status_codes, timeline
from fleetpulse.model.status import STATUSES

LATE_AFTER, DOWN_AFTER = 90, 300
NOTHING = Exclusions()


def status_at(now: int, *, heard: int, excluded: Exclusions = NOTHING, up_since: int = 1) -> tuple[str, int]:
    columns = (np.array([value], np.int64) for value in (heard, up_since, LATE_AFTER, DOWN_AFTER))
    codes, since = status_codes(*columns, excluded=excluded, now_ns=now)
    return STATUSES[codes[0]], int(since[0])


def line(gaps: list[ReceptionGap], start: int, end: int, excluded: Exclusions = NOTHING) -> list[tuple[int, str]]:
    intervals = timeline(gaps, excluded, start_ns=start, end_ns=end)
    assert [one.end_ns for one in intervals[:-1]] == [one.start_ns for one in intervals[1:]]
    assert (intervals[0].start_ns, intervals[-1].end_ns) == (start, end)
    return [(one.start_ns, STATUSES[one.status]) for one in intervals]


def gap(start: int, end: int) -> ReceptionGap:
    return ReceptionGap(start, end, LATE_AFTER, DOWN_AFTER)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (1_000, ("up", 1)),
        (1_089, ("up", 1)),
        (1_090, ("late", 1_090)),
        (1_299, ("late", 1_090)),
        (1_300, ("down", 1_300)),
    ],
)
def test_a_device_is_late_and_down_from_its_thresholds_on(now: int, expected: tuple[str, int]) -> None:
    assert status_at(now, heard=1_000) == expected


def test_a_device_never_heard_is_new_since_ever() -> None:
    assert status_at(1_000, heard=NEVER_NS) == ("new", 0)


def test_excluded_time_extends_the_deadline_and_leaves_the_status_unknown_meanwhile() -> None:
    excluded = Exclusions(blind=spans_of([(1_010, 1_110)]))
    assert status_at(1_089, heard=1_000, excluded=excluded) == ("up", 1)
    assert status_at(1_189, heard=1_000, excluded=excluded) == ("unknown", 1_090)
    assert status_at(1_190, heard=1_000, excluded=excluded) == ("late", 1_190)
    assert status_at(1_400, heard=1_000, excluded=excluded) == ("down", 1_400)


def test_a_pause_overrides_maintenance_and_both_override_what_was_received() -> None:
    excluded = Exclusions(maintenance=spans_of([(900, 2_000)]), paused=spans_of([(1_500, 1_600)]))
    assert status_at(1_499, heard=1_000, excluded=excluded) == ("maintenance", 900)
    assert status_at(1_500, heard=NEVER_NS, excluded=excluded) == ("paused", 1_500)
    assert status_at(2_000, heard=1_000, excluded=excluded) == ("unknown", 1_090)


def test_between_two_gaps_a_device_was_up() -> None:
    gaps = [gap(NEVER_NS, 500), gap(1_000, 1_400), gap(1_400, 1_500), gap(2_000, 9_999)]
    assert line(gaps, 400, 2_100) == [
        (400, "new"), (500, "up"), (1_090, "late"), (1_300, "down"), (1_400, "up"), (1_490, "late"), (1_500, "up"),
        (2_090, "late"),
    ]  # fmt: skip


def test_a_new_device_stays_new_in_blind_time_but_not_in_maintenance() -> None:
    excluded = Exclusions(blind=spans_of([(100, 200)]), maintenance=spans_of([(300, 400)]))
    assert line([gap(NEVER_NS, 9_999)], 0, 500, excluded) == [(0, "new"), (300, "maintenance"), (400, "new")]


spans = st.lists(st.tuples(st.integers(1, 3_000), st.integers(1, 900)), max_size=3).map(
    lambda pairs: spans_of([(start, start + length) for start, length in pairs])
)


@given(
    st.builds(Exclusions, blind=spans, maintenance=spans, paused=spans), st.integers(1, 2_000), st.integers(0, 2_000)
)
def test_the_status_now_is_that_of_the_time_line(excluded: Exclusions, heard: int, length: int) -> None:
    now = heard + length
    assume(not any(start <= now < end for start, end in excluded.blind.tolist()))  # who asks is not blind
    status, since = status_at(now, heard=heard, excluded=excluded)
    assert line([gap(heard, now + 1)], now, now + 1, excluded) == [(now, status)]
    assert since <= now
