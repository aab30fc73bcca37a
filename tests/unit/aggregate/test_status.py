"""Status computed from receptions alone: thresholds, exclusions, and the time line of one device."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetpulse.aggregate.policy_table import END_OF_TIME_NS, PolicyTable
from fleetpulse.aggregate.spans import Spans, covered_before, spans_of
from fleetpulse.aggregate.status import NEVER_NS, Exclusions, ReceptionGap, reception_gaps, status_codes, timeline
from fleetpulse.model.policy_history import SINCE_EVER_NS
from fleetpulse.model.status import STATUSES

Terms = list[tuple[int, int, int]]
"""(from when on, late after, down after); the first since ever."""


def table(terms: Terms) -> PolicyTable:
    from_ns, late_ns, down_ns = np.array(terms, np.int64).T
    from_ns[0] = SINCE_EVER_NS
    until_ns = np.append(from_ns[1:], END_OF_TIME_NS)
    return PolicyTable(np.array([0, len(terms)]), from_ns, until_ns, from_ns, late_ns, late_ns, down_ns)


USUAL = [(0, 90, 300)]
NOTHING = Exclusions()


def status_at(
    now: int, *, heard: int, excluded: Exclusions = NOTHING, up_since: int = 1, terms: Terms = USUAL
) -> tuple[str, int]:
    columns = (np.array([value], np.int64) for value in (heard, up_since, 0))
    codes, since = status_codes(*columns, policies=table(terms), excluded=excluded, now_ns=now)
    return STATUSES[codes[0]], int(since[0])


def line(gaps: list[ReceptionGap], start: int, end: int, excluded: Exclusions = NOTHING) -> list[tuple[int, str]]:
    intervals = timeline(gaps, excluded, start_ns=start, end_ns=end)
    assert [one.end_ns for one in intervals[:-1]] == [one.start_ns for one in intervals[1:]]
    assert (intervals[0].start_ns, intervals[-1].end_ns) == (start, end)
    return [(one.start_ns, STATUSES[one.status]) for one in intervals]


def gap(start: int, end: int, terms: Terms = USUAL) -> ReceptionGap:
    (found,) = reception_gaps(np.array([start]), np.array([end]), table(terms))
    return found


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


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        # A longer policy that comes into force takes a status back, until its own thresholds.
        ([(0, 90, 300), (1_400, 900, 1_000)], [(1_001, "up"), (1_090, "late"), (1_300, "down"), (1_400, "up"),
                                               (1_900, "late"), (2_000, "down")]),
        # A shorter one finds that the device has been silent for too long already.
        ([(0, 900, 1_000), (1_400, 90, 300)], [(1_001, "up"), (1_400, "down")]),
        ([(0, 900, 1_000), (1_200, 90, 300)], [(1_001, "up"), (1_200, "late"), (1_300, "down")]),
        # One that changes nothing now changes no status.
        ([(0, 90, 300), (1_400, 100, 200)], [(1_001, "up"), (1_090, "late"), (1_300, "down")]),
        ([(0, 90, 300), (500, 10, 20), (900, 90, 300), (1_050, 90, 100)], [(1_001, "up"), (1_090, "late"),
                                                                            (1_100, "down")]),
    ],
)  # fmt: skip
def test_each_moment_is_judged_by_the_policy_in_force(terms: Terms, expected: list[tuple[int, str]]) -> None:
    assert line([gap(1_000, 9_999, terms)], 1_001, 2_500) == expected
    assert status_at(2_499, heard=1_000, terms=terms) == ("down", expected[-1][0])
    for (start, status), (end, _) in pairwise(expected):
        since = {"up": 1 if start == 1_001 else start}.get(status, start)
        assert status_at(end - 1, heard=1_000, terms=terms) == (status, since)


limits = st.tuples(st.integers(1, 400), st.integers(0, 400)).map(lambda one: (one[0], sum(one)))
policies = st.tuples(limits, st.dictionaries(st.integers(1, 4_000), limits, max_size=4)).map(
    lambda one: [(0, *one[0]), *((at, *later) for at, later in sorted(one[1].items()))]
)


def model(at: int, start: int, terms: Terms, spans: Spans) -> str:
    """What a device is at a moment of a gap, by the policy of that moment."""
    (_, late, down) = max(one for one in terms if one[0] <= at)
    counted = at - start - int((covered_before(spans, np.array([at])) - covered_before(spans, np.array([start])))[0])
    if counted >= down:
        return "down"
    if counted >= late:
        return "late"
    return "unknown" if at - start >= late else "up"


@given(policies, spans, st.lists(st.integers(0, 4_000), min_size=2, max_size=2).map(sorted))
def test_the_time_line_is_that_of_a_model_moment_by_moment(terms: Terms, maintenance: Spans, ends: list[int]) -> None:
    start, end = ends[0] + 1, ends[1] + 2
    excluded = Exclusions(maintenance=maintenance)
    intervals = timeline([gap(start, end, terms)], excluded, start_ns=start, end_ns=end + 50)
    moments = {at for one in intervals for at in (one.start_ns, one.end_ns - 1)} | set(range(start, end + 50, 37))
    for at in moments:
        shown = next(STATUSES[one.status] for one in intervals if one.start_ns <= at < one.end_ns)
        if any(first <= at < last for first, last in maintenance.tolist()):
            assert shown == "maintenance"
        else:
            assert shown == (model(at, start, terms, maintenance) if at < end else "up")


@given(policies, st.integers(1, 2_000), st.integers(0, 3_000))
def test_the_status_now_is_since_when_the_time_line_says(terms: Terms, heard: int, length: int) -> None:
    now = heard + length
    intervals = timeline([gap(heard, now + 1, terms)], NOTHING, start_ns=heard, end_ns=now + 1)
    status, since = status_at(now, heard=heard, up_since=heard, terms=terms)
    assert (status, since) == (STATUSES[intervals[-1].status], intervals[-1].start_ns)
