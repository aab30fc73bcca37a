import struct
from typing import Any

import pytest

from fleetpulse.errors import Malformed, OutOfRange, UnknownMetric
from fleetpulse.ingest.report import SHAPES_MAX, KnownMetrics
from fleetpulse.model.metric import MetricDefinition


def known(*definitions: MetricDefinition, report_metrics_max: int = 3) -> KnownMetrics:
    metrics = KnownMetrics(report_metrics_max=report_metrics_max)
    metrics.replace(enumerate(definitions, start=5))
    return metrics


CPU = MetricDefinition(name="cpu", unit="%", lowest=0, highest=100)
BOOTS = MetricDefinition(name="boots", kind="integer")
FREE = MetricDefinition(name="free")
METRICS = known(CPU, BOOTS, FREE)


def test_values_are_packed_by_the_kind_of_their_metric_in_the_order_of_the_report() -> None:
    numbers, values = METRICS.read({"boots": -(2**63), "cpu": 100, "free": 1e308})
    assert (numbers.tolist(), values) == ([6, 5, 7], struct.pack("<qdd", -(2**63), 100.0, 1e308))


def test_negative_zero_is_stored_as_zero_and_the_lowest_integer_as_it_is() -> None:
    _, values = METRICS.read({"boots": -(2**63), "cpu": -0.0, "free": -0.0})
    assert values == struct.pack("<qdd", -(2**63), 0.0, 0.0)
    assert METRICS.read({"free": -5e-324})[1] == struct.pack("<d", -5e-324)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ({"cpu": 100.1}, "cpu must be 0 to 100 %, as it is defined"),
        ({"cpu": -0.1}, "cpu must be 0 to 100"),
        ({"cpu": float("nan")}, "cpu must be"),
        ({"free": float("inf")}, "free must be"),
        ({"free": 1, "boots": 1.5}, "boots must be a whole number, as its kind is integer, not 1.5"),
        ({"boots": 1e18}, "beyond 2\\^53 write it without fraction and exponent"),
        ({"boots": 2**63}, "boots must be"),
        ({"cpu": 1, "boots": 1, "free": 1, "more": 1}, "4 metrics in one report are more than 3"),
    ],
)
def test_a_value_out_of_bounds_refuses_the_report_by_the_name_of_its_metric(report: dict[str, Any], text: str) -> None:
    for _ in range(2):  # the second time the rules come from the cache
        with pytest.raises(OutOfRange, match=text):
            METRICS.read(report)


def test_an_empty_report_is_malformed() -> None:
    with pytest.raises(Malformed, match="names no metric"):
        METRICS.read({})


def test_an_unknown_metric_is_refused_with_the_names_that_are_defined() -> None:
    with pytest.raises(UnknownMetric, match="no such metric: gpu, ram; defined are: boots, cpu, free") as raised:
        METRICS.read({"ram": 1, "cpu": 1, "gpu": 1})
    assert raised.value.names == ["gpu", "ram"]


def test_a_long_list_of_names_is_cut_in_the_text_of_the_refusal() -> None:
    many = known(*(MetricDefinition(name=f"m{number}") for number in range(500)), report_metrics_max=600)
    error = many.unknown(["x" * 5_000, *(f"u{number}" for number in range(500))])
    assert "and 450 more" in error.msg
    assert (len(error.names), len(error.msg) < 2_500) == (501, True)


def test_new_definitions_hold_from_the_next_report_on() -> None:
    metrics = known(CPU)
    metrics.read({"cpu": 50})
    metrics.replace([(5, MetricDefinition(name="cpu", highest=10)), (6, BOOTS)])
    with pytest.raises(OutOfRange):
        metrics.read({"cpu": 50})
    assert (metrics.names, metrics.get("boots"), metrics.get("free")) == (["boots", "cpu"], (6, BOOTS), None)


def test_the_rules_of_names_are_stored_in_bounded_number() -> None:
    names = [f"m{number}" for number in range(80)]
    metrics = known(*(MetricDefinition(name=name) for name in names))
    for first in names:
        for second in names[:60]:
            metrics.read({first: 1, second: 1})
    assert len(metrics._shapes) <= SHAPES_MAX
