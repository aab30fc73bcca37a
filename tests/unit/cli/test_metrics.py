"""Values of metrics as tables: one value a metric, or a series with a small graph."""

from cli_text import printed
from fleetpulse.cli.metrics import device_parts, fleet_parts
from fleetpulse.query.answers import (
    DeviceMetric,
    DeviceMetrics,
    FleetMetrics,
    GroupMetric,
    MetricGroup,
    MetricMethod,
    MetricPoint,
)

START, END = "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_device_has_a_line_a_metric_and_notes() -> None:
    cpu = DeviceMetric(unit="%", aggregation="p95", tiers=["raw"], value=41.5, count=3, method="nearest rank, exact")
    upload = DeviceMetric(unit="ns", aggregation="avg", tiers=["raw"], value=1_500_000_000, count=2, kept_from=START)
    answer = DeviceMetrics(device_id="a", start=START, end=END, metrics={"cpu": cpu, "upload": upload}, missing=[])
    text = lines(printed(*device_parts(answer)))
    assert "cpu p95 41.5 % 3" in text
    assert "upload avg 1.5s 2" in text
    assert text[-2:] == ["cpu: nearest rank, exact", f"upload: kept from {START} on"]


def test_a_series_has_a_graph_and_a_line_a_step_without_the_steps_that_have_no_samples() -> None:
    points = [MetricPoint(at=START, value=1, count=1), MetricPoint(at="2026-01-01T02:00:00Z", value=3, count=1)]
    cpu = DeviceMetric(unit="%", aggregation="avg", tiers=["raw"], series=points, count=2)
    answer = DeviceMetrics(device_id="a", start=START, end=END, step_s=3600, metrics={"cpu": cpu}, missing=[])
    text = printed(*device_parts(answer))
    assert "cpu avg 1 3 3 % 2 ▁ █" in lines(text)
    assert [line for line in lines(text) if line.startswith("2026") and "to" not in line] == [
        f"{START} 1",
        "2026-01-01T02:00:00Z 3",
    ]


def test_a_fleet_has_a_line_a_group_and_metric_and_a_count_has_no_unit() -> None:
    method = MetricMethod(unit="", aggregation="count", tiers=["live"])
    groups = [MetricGroup(group="", devices=2, metrics={"cpu": GroupMetric(value=None, count=0)})]
    answer = FleetMetrics(start=START, end=END, group_by="site", metrics={"cpu": method}, groups=groups, missing=[])
    assert "(no label) 2 cpu count – 0" in lines(printed(*fleet_parts(answer)))
