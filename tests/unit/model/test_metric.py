from dataclasses import replace
from typing import Any

import pytest

from fleetpulse.model.metric import BUILT_IN, MetricDefinition, check_definition

CPU = MetricDefinition(name="cpu", unit="%", lowest=0, highest=100)


@pytest.mark.parametrize(
    "metric",
    [BUILT_IN, CPU, replace(CPU, raw_days=365), replace(CPU, kind="integer", lowest=-(2**63), highest=2**63 - 1)],
)
def test_a_right_definition_passes(metric: MetricDefinition) -> None:
    check_definition(metric)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "a b"}, "name `a b` must be a letter"),
        ({"kind": "text"}, "kind of cpu must be one of float, integer, not `text`"),
        ({"aggregation": "p75"}, "aggregation of cpu must be one of avg, sum"),
        ({"retention_days": 0}, "retention_days of cpu must be 1 to 36500, not 0"),
        ({"retention_days": 36_501}, "retention_days"),
        ({"raw_days": 0}, "raw_days of cpu must be 1 to its retention_days"),
        ({"raw_days": 366}, r"1 to its retention_days \(365\), not 366"),
        ({"lowest": float("nan")}, "lowest of cpu must be a finite number"),
        ({"highest": float("inf")}, "highest of cpu must be a finite number"),
        ({"lowest": 101}, r"lowest of cpu \(101\) is above its highest \(100\)"),
        ({"kind": "integer", "lowest": 0.5}, "lowest of cpu must be a whole number of 64 bits"),
        ({"kind": "integer", "highest": 2**63}, "highest of cpu must be a whole number of 64 bits"),
        ({"unit": "x" * 501}, "unit of cpu must be at most 500 characters"),
        ({"description": "\0"}, "description of cpu"),
    ],
)
def test_a_wrong_definition_is_refused_by_the_name_of_its_field(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_definition(replace(CPU, **change))
