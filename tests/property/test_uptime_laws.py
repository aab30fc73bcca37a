"""What holds of uptime whatever a device sends: repeats and order are nothing, and a beat more never costs anything."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange
from fleetpulse.notation.exact_seconds import count_ns
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import Uptime
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet, check_downtimes

END_S = 6 * 3_600
BEATS = st.lists(st.integers(0, END_S - 1), min_size=2, max_size=30)
SPANS = st.lists(st.tuples(st.integers(0, END_S - 1), st.integers(1, 4_000)), max_size=3)
INTERVALS = st.sampled_from([60, 300, 900, 3_600])


def fleet(
    beats: list[int], maintained: list[tuple[int, int]], blind: list[tuple[int, int]], intervals: list[int], cut: int
) -> OneFleet:
    """A device that changes its interval every hour, all of whose beats arrive at the end; `cut`: then a checkpoint."""
    one = OneFleet(interval_s=intervals[0])
    start_ns = one.at("00:00:00")
    one.fleet.advance(start_ns)
    for start, length in maintained:
        one.maintain(*(f"{at // 3_600:02}:{at // 60 % 60:02}:{at % 60:02}" for at in (start, start + length)))
    one.fleet.blind_ns = sorted(
        (start_ns + start * SECOND, start_ns + (start + length) * SECOND) for start, length in blind
    )
    changes = [
        PolicyChange(start_ns + hour * 3_600 * SECOND, HeartbeatPolicy(interval, 120))
        for hour, interval in enumerate(intervals)
    ]
    one.fleet.set_policy(0, (PolicyChange(SINCE_EVER_NS, changes[0].policy), *changes[1:]))
    one.now = start_ns + END_S * SECOND
    for place, at in enumerate(beats):
        if place == cut:
            one.checkpoint()
        one.beat_at(start_ns + at * SECOND)
    return one


def uptime(one: OneFleet, window: tuple[int, int]) -> Uptime:
    start_ns = one.at("00:00:00")
    span = Window(start_ns + window[0] * SECOND, start_ns + window[1] * SECOND)
    return device_uptime(one.view(span.start_ns), "d0", span, is_explained=True)


def settled(answer: Uptime) -> tuple[int, int]:
    assert isinstance(answer.up_s, Decimal)
    assert isinstance(answer.accountable_s, Decimal)
    return count_ns(answer.up_s), count_ns(answer.accountable_s)


@settings(max_examples=examples(60), deadline=None)
@given(
    beats=BEATS,
    maintained=SPANS,
    blind=SPANS,
    intervals=st.lists(INTERVALS, min_size=1, max_size=3),
    cut=st.integers(0, 30),
    window=st.tuples(st.integers(0, END_S - 1), st.integers(1, END_S)).map(sorted).filter(lambda one: one[0] < one[1]),
    data=st.data(),
)
def test_a_beat_more_never_costs_anything_and_a_repeat_changes_nothing(
    *,
    beats: list[int],
    maintained: list[tuple[int, int]],
    blind: list[tuple[int, int]],
    intervals: list[int],
    cut: int,
    window: list[int],
    data: st.DataObject,
) -> None:
    span = window[0], window[1]
    one = fleet(beats, maintained, blind, intervals, cut)
    answer = uptime(one, span)
    up_ns, accountable_ns = settled(answer)
    assert answer.intervals
    assert sum(interval.seconds for interval in answer.intervals) == window[1] - window[0]
    check_downtimes(answer)
    # Any order, and any place of the checkpoint.
    again = uptime(fleet(data.draw(st.permutations(beats)), maintained, blind, intervals, cut + 1), span)
    assert (settled(again), again.intervals, again.gaps) == (settled(answer), answer.intervals, answer.gaps)
    # A repeat, and then a beat between the first and the last.
    one.beat_at(one.at("00:00:00") + data.draw(st.sampled_from(beats)) * SECOND)
    assert settled(uptime(one, span)) == (up_ns, accountable_ns)
    one.beat_at(one.at("00:00:00") + data.draw(st.integers(min(beats), max(beats))) * SECOND)
    more = uptime(one, span)
    more_up_ns, more_accountable_ns = settled(more)
    assert more_up_ns >= up_ns
    check_downtimes(more)
    if accountable_ns:
        assert Fraction(more_up_ns, more_accountable_ns) >= Fraction(up_ns, accountable_ns)
    # It arrived at the end of the window, or later, so nothing of what was observed changes.
    assert more.observed == answer.observed
    assert more.down_s == answer.down_s
