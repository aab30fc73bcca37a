"""The hash of a fleet is that of what it says, however it is stored."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.fleet import Fleet
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy

MINUTE = 60_000_000_000
NOON = 20_000 * 1440 * MINUTE + 720 * MINUTE


def fleet(count: int = 3, *, reserve: int = 1024) -> Fleet:
    made = Fleet(policy=HeartbeatPolicy(60, 240), reserve=reserve)
    made.resize(count)
    made.advance(NOON)
    return made


def batch(*events: tuple[int, int], at_ns: int = NOON, samples: tuple[tuple[int, int, int], ...] = ()) -> EventColumns:
    """Heartbeats (device, minute), and samples of upload times (device, minute, value)."""
    columns = EventBatch(
        heartbeat_devices=array("I", [device for device, _ in events]),
        heartbeat_sent_at_ns=array("q", [NOON + minute * MINUTE for _, minute in events]),
        sample_devices=array("I", [device for device, _, _ in samples]),
        sample_sent_at_ns=array("q", [NOON + minute * MINUTE for _, minute, _ in samples]),
        sample_values=array("q", [value for _, _, value in samples]),
        sample_metrics=array("H", [0 for _ in samples]),
        received_at_ns=at_ns,
    )
    return EventColumns.of(columns)


events = st.lists(st.tuples(st.integers(0, 2), st.integers(-3000, 3000)), max_size=8)
batches = st.lists(events, max_size=6)
in_order = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 900)), max_size=30)
"""Devices, and how many minutes after the event before."""


@given(in_order, st.integers(0, 30))
def test_it_does_not_depend_on_where_a_checkpoint_has_begun(steps: list[tuple[int, int]], cut: int) -> None:
    one, other, minute = fleet(), fleet(reserve=1), -3000
    columns = []
    for device, minutes in steps:
        minute += minutes
        columns.append(batch((device, minute), at_ns=NOON + minute * MINUTE))
    one.apply(columns)
    for place, column in enumerate(columns):
        if place == cut:
            other.freeze().complete()
        other.apply([column])
    assert fleet_hash(one) == fleet_hash(other)


@given(batches, st.integers(0, 2), st.integers(-3000, 3000))
def test_one_more_minute_changes_it(lives: list[list[tuple[int, int]]], device: int, minute: int) -> None:
    one = fleet()
    one.apply([batch(*life) for life in lives])
    before = fleet_hash(one)
    assert fleet_hash(one) == before
    one.apply([batch((device, minute))])
    assert fleet_hash(one) != before


def test_a_sample_changes_it_and_its_order_does_not() -> None:
    one, other, lacking = fleet(), fleet(), fleet()
    first, second = batch(samples=((0, 1, 5),)), batch(samples=((1, 1, 7),))
    one.apply([first, second])
    other.apply([second])
    other.apply([first])
    lacking.apply([first])
    assert fleet_hash(one) == fleet_hash(other) != fleet_hash(lacking)


def test_presence_of_a_day_that_was_not_open_counts_the_same_once_it_is() -> None:
    one, other = fleet(), fleet()
    ahead = batch((0, 1440))
    one.apply([ahead])
    other.advance(NOON + 1440 * MINUTE)
    other.open_from_day = one.open_from_day
    other.apply([ahead])
    assert 20_001 in other.dense
    assert 20_001 not in one.dense
    assert fleet_hash(one) == fleet_hash(other)


def test_devices_of_which_nothing_came_are_not_in_it() -> None:
    one, other = fleet(2), fleet(30_000)
    for each in (one, other):
        each.apply([batch((1, 0))])
    assert fleet_hash(one) == fleet_hash(other)
