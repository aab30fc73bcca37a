"""The estimate tells small questions from big ones by the work, whatever the route."""

from dataclasses import replace

import pytest

from fleetpulse.limits import QuestionLimits
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest, SampleBlock
from fleetpulse.model.metric import Aggregation, MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.cost import (
    device_cost_ms,
    device_uptime_cost_ms,
    fleet_cost_ms,
    fleet_series_cost_ms,
    list_cost_ms,
    samples_cost_ms,
)
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.window import Window

TODAY = 20_000
NOW_NS = TODAY * NS_PER_DAY + NS_PER_DAY // 2
SMALL_MS = QuestionLimits().small_question_ms


def manifest(days: int, samples_a_day: int = 7_200_000) -> Manifest:
    """1,000 devices with 5 metrics a minute."""
    file = BlockFile("x", 1, "")
    past = range(TODAY - days, TODAY)
    return Manifest(
        presence=dict.fromkeys(past, file),
        gaps=dict.fromkeys(past, file),
        samples=tuple(
            SampleBlock(
                MetricDefinition(name="cpu").kind,
                day,
                day * NS_PER_DAY,
                (day + 1) * NS_PER_DAY,
                samples_a_day,
                {"raw": file},
            )
            for day in past
        ),
    )


def window(length_ns: int, step_ns: int | None = None) -> Window:
    return Window(NOW_NS - length_ns, NOW_NS, step_ns)


def of_metric(aggregation: Aggregation = "avg") -> list[MetricQuestion]:
    return [MetricQuestion(1, MetricDefinition(name="cpu"), aggregation)]


@pytest.mark.parametrize(("days", "is_small"), [(1, True), (30, True), (366, False), (3_660, False)])
def test_one_device_is_small_up_to_about_a_month_and_a_half(days: int, *, is_small: bool) -> None:
    cost_ms = device_cost_ms(manifest(3_660), start_ns=NOW_NS - days * NS_PER_DAY, now_ns=NOW_NS)
    assert (cost_ms <= SMALL_MS) == is_small


def test_late_data_of_thousands_of_days_makes_no_question_about_last_week_big() -> None:
    file = BlockFile("x", 1, "")
    late = LateBlock(file, file, Days.of(range(TODAY - 9_000, TODAY - 60)), TODAY)
    known = replace(manifest(30), late=(late,) * 12)
    cost_ms = {days: device_cost_ms(known, start_ns=NOW_NS - days * NS_PER_DAY, now_ns=NOW_NS) for days in (7, 3_660)}
    assert cost_ms[7] == device_cost_ms(manifest(30), start_ns=NOW_NS - 7 * NS_PER_DAY, now_ns=NOW_NS) == 14
    assert cost_ms[3_660] == 60 + 12  # each late block is one file for one device
    fleet_ms = {
        days: fleet_cost_ms(known, devices=1_000, start_ns=NOW_NS - days * NS_PER_DAY, now_ns=NOW_NS)
        for days in (7, 3_660)
    }
    assert fleet_ms[7] < SMALL_MS < fleet_ms[3_660]


@pytest.mark.parametrize(
    ("devices", "days", "is_small"), [(1_000, 1, True), (1_000, 30, True), (1_000_000, 1, False), (1_000, 3_660, False)]
)
def test_a_fleet_is_small_by_devices_and_days(devices: int, days: int, *, is_small: bool) -> None:
    cost_ms = fleet_cost_ms(manifest(3_660), devices=devices, start_ns=NOW_NS - days * NS_PER_DAY, now_ns=NOW_NS)
    assert (cost_ms <= SMALL_MS) == is_small


@pytest.mark.parametrize(("steps", "is_small"), [(0, True), (24, True), (30, True), (288, False), (366, False)])
def test_a_series_of_the_fleet_is_small_by_devices_and_steps(steps: int, *, is_small: bool) -> None:
    whole_ms = fleet_cost_ms(manifest(30), devices=1_000, start_ns=NOW_NS - 3_660 * NS_PER_DAY, now_ns=NOW_NS)
    assert (whole_ms + fleet_series_cost_ms(devices=1_000, steps=steps) <= SMALL_MS) == is_small


@pytest.mark.parametrize(
    ("days", "step_ns", "is_explained", "is_small"),
    [
        (30, NS_PER_HOUR, True, True),
        (30, NS_PER_MINUTE, False, False),
        (3_660, NS_PER_DAY, False, True),
        (3_660, NS_PER_HOUR, False, False),
        (3_660, None, False, True),
        (3_660, None, True, False),
    ],
)
def test_the_uptime_of_a_device_is_small_by_its_points_and_by_what_is_explained(
    days: int, step_ns: int | None, *, is_explained: bool, is_small: bool
) -> None:
    more_ms = device_uptime_cost_ms(window(days * NS_PER_DAY, step_ns), is_explained=is_explained)
    assert (more_ms <= SMALL_MS) == is_small


def test_a_list_of_a_million_devices_is_small() -> None:
    assert list_cost_ms(1_000_000) <= SMALL_MS


def test_a_long_window_costs_no_more_than_there_are_days() -> None:
    cost_ms = device_cost_ms(manifest(2), start_ns=NOW_NS - 3_660 * NS_PER_DAY, now_ns=NOW_NS)
    assert cost_ms <= 4


@pytest.mark.parametrize(
    ("length_ns", "step_ns", "aggregation", "is_of_one", "is_small"),
    [
        (NS_PER_HOUR, None, "avg", True, True),
        (30 * NS_PER_DAY, NS_PER_HOUR, "avg", True, True),
        (30 * NS_PER_DAY, NS_PER_MINUTE, "avg", True, False),
        (NS_PER_HOUR, None, "avg", False, True),
        (24 * NS_PER_HOUR, None, "p99", False, False),
        (30 * NS_PER_DAY, NS_PER_DAY, "avg", False, False),
    ],
)
def test_metrics_are_small_by_what_is_read_and_by_the_figures(
    length_ns: int, step_ns: int | None, aggregation: Aggregation, *, is_of_one: bool, is_small: bool
) -> None:
    about = window(length_ns, step_ns)
    cost_ms = samples_cost_ms(manifest(60), of_metric(aggregation), about, groups=1, is_of_one=is_of_one)
    assert (cost_ms <= SMALL_MS) == is_small
