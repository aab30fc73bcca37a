import msgspec
import pytest

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.metric_declarations import Definition, DefinitionChange, changed_metric, definition, new_metric
from fleetpulse.model.metric import MetricDefinition

CPU = MetricDefinition(name="cpu", unit="%", kind="integer", retention_days=90, raw_days=7, lowest=0, highest=100)


def test_a_definition_has_its_bounds_apart_and_defaults_for_what_is_left_out() -> None:
    body = Definition("cpu", unit="%", kind="integer", retention_days=90, raw_days=7, bounds=(0, 100))
    assert definition(body) == new_metric(body) == CPU
    assert definition(Definition("free")) == MetricDefinition(name="free")


def test_a_wrong_definition_of_a_request_is_refused_by_its_field() -> None:
    with pytest.raises(OutOfRange, match="kind of cpu must be one of") as raised:
        new_metric(Definition("cpu", kind="text"))
    assert raised.value.reason == "metric_definition"


def test_a_change_leaves_what_it_does_not_give_and_is_checked_as_a_whole() -> None:
    change = msgspec.json.decode(b'{"raw_days": null, "bounds": [0, null]}', type=DefinitionChange)
    expected = MetricDefinition(name="cpu", unit="%", kind="integer", retention_days=90, lowest=0)
    assert changed_metric(CPU, change) == expected
    with pytest.raises(OutOfRange, match="raw_days"):
        changed_metric(CPU, DefinitionChange(retention_days=6))
