"""Answers about all devices together: by label, in steps, and at a glance."""

from decimal import Decimal

import msgspec
import numpy as np
import pytest
from msgspec import UNSET

from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.metric import BUILT_IN
from fleetpulse.model.uptime import SLOT_FORMULA
from fleetpulse.query.fleet import check_steps, fleet_glance, fleet_stats, fleet_uptime, upload_times
from fleetpulse.query.fleet_columns import fleet_columns
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import FleetUptime, GapFigures, UptimeFigures
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

MINUTE = 60 * SECOND
LIMITS = QuestionLimits(cells_max=100)


def fleet() -> OneFleet:
    """Two devices in Paris, of which one was heard once, one in Lyon, one without a site; it is 10:10."""
    one = OneFleet(devices=0)
    for device_id, site in (("a", "paris"), ("b", "paris"), ("c", "lyon"), ("d", "")):
        one.add(device_id, **({"site": site} if site else {}))
    for minute in range(10):
        for device in (0, 2, 3) if minute else (0, 1, 2, 3):
            one.hear(f"10:{minute:02}:00", device=device)
    one.move("10:10:00")
    return one


def hour(one: OneFleet, step_ns: int | None = None) -> Window:
    return Window(one.at("10:00:00"), one.now, step_ns)


def by_site(one: OneFleet, window: Window, *labels: tuple[str, str]) -> FleetUptime:
    return fleet_uptime(one.fleet_view(window.start_ns), window, by="site", labels=labels)


def test_groups_add_up_to_the_fleet() -> None:
    answer = by_site(one := fleet(), hour(one))
    assert [(group.group, group.devices, group.up_s, group.accountable_s) for group in answer.groups] == [
        ("", 1, 600, 600),
        ("lyon", 1, 600, 600),
        ("paris", 2, 660, 1_200),
    ]
    assert (answer.fleet.devices, answer.fleet.up_s, answer.fleet.accountable_s) == (4, 1_860, 2_400)
    assert answer.groups[2].uptime == 55.0
    assert answer.groups[2].gaps == GapFigures(count=1, longest_s=Decimal("600.0"), seconds=Decimal("600.0"))
    assert (answer.groups[2].down_s, answer.groups[2].availability_accountable_s) == (300, 1_200)
    assert (answer.fleet.down_s, answer.fleet.availability_accountable_s) == (300, 2_400)
    assert answer.fleet.availability == 87.5
    assert answer.fleet.mean_uptime is UNSET


def test_the_mean_over_devices_weighs_each_alike() -> None:
    one = fleet()
    one.pause("10:05:00", device=1)
    window = hour(one)
    answer = fleet_uptime(one.fleet_view(window.start_ns), window, by="site", labels=(), is_mean_wanted=True)
    paris = answer.groups[2]
    # 600 of 600 s, and 60 of 300 s.
    assert (paris.uptime, paris.mean_uptime) == (100 * 660 / 900, 60.0)
    assert answer.fleet.mean_uptime == 80.0


def test_the_formula_before_counts_slots() -> None:
    window = hour(one := fleet(), 5 * MINUTE)
    view = one.fleet_view(window.start_ns)
    answer = fleet_uptime(view, window, by="site", labels=(), formula=SLOT_FORMULA)
    assert [(group.group, group.present, group.expected, group.up_s) for group in answer.groups] == [
        ("", 10, 10, UNSET),
        ("lyon", 10, 10, UNSET),
        ("paris", 11, 20, UNSET),
    ]
    assert answer.groups[2].uptime == 55.0
    assert answer.groups[2].series is not UNSET
    assert [(point.present, point.expected) for point in answer.groups[2].series] == [(6, 10), (5, 10)]
    assert any(SLOT_FORMULA in note for note in answer.notes)


def test_a_fleet_of_one_has_the_figures_of_its_device_to_the_nanosecond() -> None:
    one = OneFleet()
    one.now = one.at("10:00:00") + 123_456_789
    one.beat_at(one.now)
    one.move("10:10:00")
    window = hour(one)
    device = device_uptime(one.view(window.start_ns), "d0", window, is_explained=False)
    (group,) = fleet_uptime(one.fleet_view(window.start_ns), window, by="", labels=()).groups
    assert (device.down_s, device.accountable_s) == (Decimal("299.876543211"), Decimal("599.876543211"))
    for name in UptimeFigures.__struct_fields__:
        assert getattr(group, name) == getattr(device, name)


def test_labels_select_whose_figures_these_are() -> None:
    one = fleet()
    answer = by_site(one, hour(one), ("site", "lyon"))
    assert [group.group for group in answer.groups] == ["lyon"]
    assert answer.fleet.devices == 1
    assert by_site(one, hour(one), ("site", "rome")).groups == []


def test_a_series_has_a_point_for_each_step_and_only_its_time_where_a_group_had_no_device() -> None:
    one = fleet()
    one.roster.put(one.numbers.pop("c"), {"site": "lyon"}, is_deleted=True)
    one.delete_between("10:04:00", None, device=2)
    view = one.fleet_view(one.at("10:00:00"))
    answer = fleet_uptime(view, hour(one, 5 * MINUTE), by="site", labels=(), is_deleted_included=True)
    lyon, paris = msgspec.to_builtins(answer.groups[1:])
    assert [(point["at"][11:16], point["up_s"], point["accountable_s"]) for point in paris["series"]] == [
        ("10:00", "360.0", "600.0"),
        ("10:05", "300.0", "600.0"),
    ]
    assert (lyon["series"][0]["up_s"], lyon["series"][0]["accountable_s"]) == ("240.0", "240.0")
    assert lyon["series"][1:] == [{"at": "2026-05-11T10:05:00Z"}]


def test_a_whole_window_has_no_series() -> None:
    one = fleet()
    assert "series" not in msgspec.to_builtins(by_site(one, hour(one)).groups[0])


@pytest.mark.parametrize(("minutes", "groups"), [(401, 1), (10, 11)])
def test_a_series_that_is_too_long_is_refused(minutes: int, groups: int) -> None:
    check_steps(Window(0, 10 * MINUTE, MINUTE), groups=10, limits=LIMITS)
    with pytest.raises(OutOfRange, match="ask for a longer step"):
        check_steps(Window(0, minutes * MINUTE, MINUTE), groups=groups, limits=LIMITS)


def test_without_the_blocks_of_gaps_nobody_knows_how_long_devices_were_down() -> None:
    one = fleet()
    one.checkpoint()
    window = hour(one)
    ((file,),) = one.history.manifest.gaps.values()
    one.lose(file)
    answer = by_site(one, window)
    figures = answer.fleet
    assert (figures.up_s, figures.accountable_s) == (1_860, 2_400)
    assert (figures.availability, figures.down_s, figures.availability_accountable_s) == (None, None, None)
    assert [span.start for span in answer.missing] == ["2026-05-11T00:00:00Z"]
    columns = fleet_columns(
        one.fleet_view(window.start_ns), start_ns=window.start_ns, end_ns=one.now, measures=["settled"]
    )
    assert columns.missing == []


def test_a_glance_counts_statuses_and_names_the_devices_that_were_up_least() -> None:
    one = fleet()
    glance = fleet_glance(one.fleet_view(one.at("10:00:00")), hour(one), labels=())
    assert glance.devices.total == 4
    assert {status: count for status, count in glance.devices.by_status.items() if count} == {"up": 3, "down": 1}
    minutes = [(one.number, one.up_ns // MINUTE, one.accountable_ns // MINUTE) for one in glance.worst]
    assert minutes == [(1, 1, 10), (0, 10, 10), (2, 10, 10), (3, 10, 10)]
    for device in (0, 1, 2):
        one.hear_sample("10:10:00", device=device)
    window = Window(one.at("10:00:00"), one.now + 1)
    uploads = upload_times(one.views.samples()(), BUILT_IN, window, np.array([True, True, False, False]))
    answer = fleet_stats(window, glance, uploads, ids={number: f"d{number}" for number in range(4)})
    assert (answer.upload_time.count, answer.upload_time.avg, answer.upload_time.p99_text) == (2, 7, "7ns")
    assert [device.id for device in answer.worst] == ["d1", "d0", "d2", "d3"]
    assert answer.worst[0].uptime == 10.0


def test_without_samples_upload_times_are_null() -> None:
    one = fleet()
    uploads = upload_times(one.views.samples()(), BUILT_IN, hour(one), np.ones(4, bool))
    assert msgspec.to_builtins(uploads.times) == {
        "unit": "ns", "count": 0, "avg": None, "avg_text": None, "p50": None, "p50_text": None, "p95": None,
        "p95_text": None, "p99": None, "p99_text": None,
    }  # fmt: skip
