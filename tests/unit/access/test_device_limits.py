"""Two lanes for each device, charged when the time of a report is known."""

import pytest

from fleetpulse.access.device_limits import DeviceLimits, Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.access_errors import TooManyRequests

NOW_NS = 10
SMALL = Lanes(Rate(1, 3), Rate(1, 2))


def limits(lanes: Lanes = SMALL) -> DeviceLimits:
    made = DeviceLimits(lambda _device: lanes, monotonic_s=lambda: 5_000.0)
    made.backlog_before_ns = NOW_NS
    return made


def reports(made: DeviceLimits, device: int, *, is_backlog: bool) -> int:
    """How many reports are taken until one is refused."""
    for count in range(100):
        try:
            if device in made.spent:
                made.check(device)
            made.charge(device, NOW_NS - is_backlog)
        except TooManyRequests:
            return count
    return 100


def test_each_device_has_its_own_burst_whatever_its_number() -> None:
    made = limits()
    assert [reports(made, device, is_backlog=False) for device in (5, 0, 1_000, 5)] == [3, 3, 3, 0]


def test_a_device_that_is_out_of_beats_still_delivers_its_backlog_and_the_other_way_round() -> None:
    made = limits()
    assert reports(made, 1, is_backlog=False) == 3
    assert reports(made, 1, is_backlog=True) == 2
    with pytest.raises(TooManyRequests) as refused:
        made.check(1)
    assert refused.value.reason == "device_rate"
    assert reports(made, 2, is_backlog=True) == 2
    assert reports(made, 2, is_backlog=False) == 3


def test_a_refusal_says_which_limit_and_when_to_come_back() -> None:
    made = limits(Lanes(Rate(0.25, 3), Rate(1, 2)))
    reports(made, 1, is_backlog=False)
    with pytest.raises(TooManyRequests, match=r"faster than 0\.25 a second after 3 at once") as refused:
        made.charge(1, NOW_NS)
    assert (refused.value.retry_after_s, refused.value.policy, refused.value.limit) == (
        4,
        '"device_rate";q=3;w=12',
        '"device_rate";r=0;t=4',
    )
    assert "device_per_s" in refused.value.detail


def test_what_the_limit_refuses_costs_nothing_but_a_body_that_cannot_be_read_does() -> None:
    made = limits()
    assert reports(made, 4, is_backlog=False) == 3
    for _ in range(10):
        with pytest.raises(TooManyRequests):
            made.charge_beat(4)
    assert made.spent == set()
    for _ in range(2):
        made.charge_refused(4)
    assert made.spent == {4}
    with pytest.raises(TooManyRequests):
        made.check(4)


def test_a_device_that_has_rested_is_spent_no_more() -> None:
    now = [5_000.0]
    made = DeviceLimits(lambda _device: SMALL, monotonic_s=lambda: now[0])
    made.backlog_before_ns = NOW_NS
    reports(made, 1, is_backlog=True)
    reports(made, 1, is_backlog=False)
    assert made.spent == {1}
    now[0] += 1
    made.check(1)
    assert made.spent == set()
    assert reports(made, 1, is_backlog=False) == 1


def test_the_class_of_a_device_is_found_at_its_first_report_and_again_when_declarations_change() -> None:
    classes = [SMALL, Lanes(Rate(1, 7), Rate(1, 9))]
    given = {3: 0}
    made = DeviceLimits(lambda device: classes[given.get(device, 1)], monotonic_s=lambda: 9.0)
    made.backlog_before_ns = NOW_NS
    assert (reports(made, 3, is_backlog=False), reports(made, 4, is_backlog=False)) == (3, 7)
    given[3] = 1
    assert reports(made, 3, is_backlog=False) == 0
    made.forget_classes()
    assert reports(made, 3, is_backlog=False) == 4
    assert reports(made, 3, is_backlog=True) == 9


def test_off_means_any_number() -> None:
    assert reports(limits(Lanes(Rate(0, 1), Rate(0, 1))), 0, is_backlog=False) == 100


def test_a_bulk_body_is_taken_whole_and_the_next_one_waits() -> None:
    made = limits()
    made.check_bulk(9)
    made.charge_bulk(9, 500)
    with pytest.raises(TooManyRequests) as refused:
        made.check_bulk(9)
    assert (refused.value.reason, refused.value.retry_after_s) == ("backlog_rate", 49)
    made.charge_beat(9)


def test_a_million_devices_take_18_bytes_each() -> None:
    made = limits()
    made.charge_beat(999_999)
    assert sum(len(column) * column.itemsize for column in (made._beats, made._backlog, made._class)) == 18_000_000


def test_what_is_charged_after_declarations_have_changed_is_charged_at_the_new_rate() -> None:
    made = limits()
    assert reports(made, 2, is_backlog=False) == 3
    made.check_bulk(2)
    made.forget_classes()
    made.charge_bulk(2, 100)
    with pytest.raises(TooManyRequests, match="1 a second after 2 at once"):
        made.check_bulk(2)


def test_a_device_whose_bulk_body_uses_up_the_other_lane_is_refused_unread_from_then_on() -> None:
    made = limits()
    for _ in range(3):
        made.charge_beat(8)
    made.check_bulk(8)
    made.charge_bulk(8, 500)
    assert 8 not in made.spent
    with pytest.raises(TooManyRequests):
        made.charge_beat(8)
    assert 8 in made.spent
