"""A damaged row about a window, a pause or a metric costs itself, is named, and costs nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.device import Device
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.metric import BUILT_IN, MetricDefinition

WINDOWS = [
    MaintenanceWindow(f"w{number}", "night", {}, ("d0",), number * 10**18, number * 10**18 + 10**12)
    for number in (1, 2)
]
METRICS = [MetricDefinition(name="cpu"), MetricDefinition(name="parts", kind="integer", retention_days=700)]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    catalog.register([Device("d0"), Device("d1")], devices_max=9, at_ns=5)
    for window in WINDOWS:
        catalog.put_window(window)
    for metric in METRICS:
        catalog.put_metric(metric, metrics_max=9)
    for device in (0, 1):
        catalog.replace_pauses(device, [Pause(device, 10, 20), Pause(device, 30, None)])
    yield catalog
    catalog.close()


def change(catalog: SqliteCatalog, table: str, sets: str, where: str) -> None:
    """What a program or a disk has made of a row."""
    catalog._database.statements.execute(f"UPDATE {table} SET {sets} WHERE {where}")  # noqa: S608  # literals of this file


def test_what_is_written_is_sound_however_it_is_written(catalog: SqliteCatalog) -> None:
    catalog.delete([0], at_ns=15)
    catalog.delete_metric("cpu")
    catalog.put_window(WINDOWS[0])
    assert catalog.pauses() == [Pause(0, 10, 15), Pause(1, 10, 20), Pause(1, 30, None)]
    assert [(number, is_defined) for number, _, is_defined in catalog.metrics()] == [(0, True), (1, False), (2, True)]
    assert catalog.damage() == []


@pytest.mark.parametrize("body", ["'{\"id\": '", "'[1]'", "x'ff00'", "CAST(x'7b22ff' AS TEXT)", "7", "''", "NULL"])
def test_a_window_that_cannot_be_read_costs_itself(catalog: SqliteCatalog, body: str) -> None:
    if body == "NULL":
        body = """'{"id":"w1","title":"","labels":{},"devices":[],"start_ns":9,"end_ns":3}'"""  # no window may be so
    change(catalog, "maintenance", f"body = {body}", "id = 'w1'")
    assert catalog.windows() == WINDOWS[1:]
    (finding,) = catalog.damage()
    assert "the maintenance window w1 cannot be read" in finding
    catalog.put_window(WINDOWS[0])
    assert (catalog.windows(), catalog.damage()) == (WINDOWS, [])


@pytest.mark.parametrize("sets", ["start_ns = 'x'", "end_ns = CAST(x'ff' AS TEXT)", "end_ns = 2.5"])
def test_a_pause_that_cannot_be_read_costs_itself(catalog: SqliteCatalog, sets: str) -> None:
    change(catalog, "pause", sets, "device = 1 AND start_ns = 10")
    assert catalog.pauses() == [Pause(0, 10, 20), Pause(0, 30, None), Pause(1, 30, None)]
    (finding,) = catalog.damage()
    assert "a pause of device number 1 cannot be read" in finding
    catalog.replace_pauses(1, [])
    assert catalog.damage() == []


@pytest.mark.parametrize("body", ["'{\"name\": '", "x'ff00'", "CAST(x'7b22ff' AS TEXT)", "7"])
def test_a_definition_that_cannot_be_read_keeps_number_and_samples_and_can_be_made_anew(
    catalog: SqliteCatalog, body: str
) -> None:
    change(catalog, "metric", f"body = {body}", "name = 'parts'")
    found = catalog.metrics()
    assert [metric.name for _, metric, _ in found] == [BUILT_IN.name, "cpu", "parts"]
    assert [is_defined for _, _, is_defined in found] == [True, True, False]
    assert found[2][1].retention_days > METRICS[1].retention_days
    assert "the definition of metric parts cannot be read" in str(catalog.damage())
    assert catalog.put_metric(METRICS[1], metrics_max=9) == 2
    assert (catalog.metrics()[2][1:], catalog.damage()) == ((METRICS[1], True), [])


def test_the_built_in_metric_is_known_whatever_its_row_says(catalog: SqliteCatalog) -> None:
    change(catalog, "metric", "body = 'x'", "number = 0")
    assert catalog.metrics()[0] == (0, BUILT_IN, True)
    assert len(catalog.damage()) == 1


@pytest.mark.parametrize(
    ("table", "sets", "where", "name"),
    [
        ("maintenance", "body = replace(body, 'night', 'might')", "id = 'w1'", "maintenance window w1"),
        ("pause", "end_ns = 21", "device = 1 AND start_ns = 10", "a pause of device number 1"),
        ("metric", "body = replace(body, '700', '703')", "name = 'parts'", "the definition of metric parts"),
        ("metric", "is_defined = 0", "name = 'parts'", "the definition of metric parts"),
    ],
)
def test_a_row_that_reads_well_but_was_changed_is_named(
    catalog: SqliteCatalog, table: str, sets: str, where: str, name: str
) -> None:
    change(catalog, table, sets, where)
    (finding,) = catalog.damage()
    assert name in finding
    assert "is not what was written" in finding
    assert (len(catalog.windows()), len(catalog.pauses()), len(catalog.metrics())) == (2, 4, 3)
    change(catalog, table, "checksum = NULL", where)  # as an older version wrote it
    assert catalog.damage() == []
