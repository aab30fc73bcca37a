"""A row of the catalog that cannot be read costs its device what it said, and no other device anything."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog.device_checks import is_labels, is_seconds
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy

DEVICES = [
    Device("d0", {"site": "north"}, 60, 240, "by the door"),
    Device("d1", {"site": "south"}, 300, None, "on the roof"),
    Device("d2"),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    catalog.register(DEVICES, devices_max=9, at_ns=5)
    yield catalog
    catalog.close()


def change(catalog: SqliteCatalog, sets: str) -> None:
    """What a program or a disk has made of the row of d1."""
    catalog._database.statements.execute(f"UPDATE device SET {sets} WHERE number = 1")  # noqa: S608  # literals of this file


@pytest.mark.parametrize(
    ("sets", "fields"),
    [
        ("labels = '{\"site\": '", "labels"),
        ("labels = '[1]'", "labels"),
        ("labels = '{\"site\": 7}'", "labels"),
        ("labels = x'ff00'", "labels"),
        ("labels = CAST(x'7b22ff' AS TEXT)", "labels"),
        ("note = CAST(x'ff' AS TEXT)", "note"),
        ("note = 5.5, interval_s = 'often'", "interval_s"),
        ("interval_s = -3", "interval_s"),
        ("grace_s = 99999999999999", "grace_s"),
        ("id = CAST(x'ff' AS TEXT)", "id"),
        ("id = 7.5, created_at_ns = 'x'", "created_at_ns"),
        ("deleted_at_ns = 'x'", "deleted_at_ns"),
    ],
)
def test_one_row_that_cannot_be_read_costs_its_device_alone(catalog: SqliteCatalog, sets: str, fields: str) -> None:
    change(catalog, sets)
    records = list(catalog.records())
    assert [record.number for record in records] == [0, 1, 2]
    assert [record.device for record in (records[0], records[2])] == [DEVICES[0], DEVICES[2]]
    assert [record.unreadable for record in records] == ["", fields, ""]
    assert catalog.records_of([1, 0])[1].device == DEVICES[0]
    (finding,) = catalog.damage()
    assert finding.startswith("the rows of 1 device cannot be read (")


def test_what_can_be_read_of_such_a_row_stays(catalog: SqliteCatalog) -> None:
    change(catalog, "labels = '{'")
    assert list(catalog.records())[1].device == Device("d1", {}, 300, None, "on the roof")
    found = catalog.find("d1")
    assert found is not None
    assert found.device.interval_s == 300


def test_a_row_that_reads_well_but_was_changed_is_found_by_its_checksum(catalog: SqliteCatalog) -> None:
    assert catalog.damage() == []
    change(catalog, 'labels = \'{"site": "youth"}\'')
    assert catalog.damage() == ["the rows of 1 device are not what was written (d1): declare them again"]
    catalog.register([DEVICES[1]], devices_max=9, at_ns=6)
    assert catalog.damage() == []


def test_all_ways_to_write_a_row_keep_its_checksum(catalog: SqliteCatalog) -> None:
    catalog.update({2: Device("d2", {"a": "b"}, 7, 8, "x")}, at_ns=7)
    catalog.delete([0], at_ns=7)
    catalog.register([Device("d0", {"site": "east"})], devices_max=9, at_ns=8)
    assert catalog.damage() == []


def test_rows_about_former_policies_are_compared_and_those_that_cannot_be_read_count_as_not_declared(
    catalog: SqliteCatalog,
) -> None:
    catalog.policies.note_default(HeartbeatPolicy(60, 240), at_ns=1, changes_max=9)
    catalog.update({1: Device("d1", interval_s=10), 2: Device("d2", interval_s=10)}, at_ns=7)
    before = [record.policies for record in catalog.records()]
    assert catalog.damage() == []
    catalog._database.statements.execute("UPDATE policy SET interval_s = 11 WHERE device = 1 AND number = 1")
    catalog._database.statements.execute("UPDATE policy SET interval_s = 'x' WHERE device = 2 AND number = 0")
    catalog._database.statements.execute("UPDATE default_policy SET grace_s = 241")
    policies, one = catalog.damage()
    assert policies == "rows about the service's own intervals and graces of before are not what was written"
    assert "not what was written, of device numbers 1, 2: `fleetpulse devices set --since` declares them" in one
    after = [record.policies for record in catalog.records()]
    assert (after[0], after[1][0], after[2]) == (before[0], before[1][0], before[2][1:])
    assert [record.policies for record in catalog.records_of([2, 1])] == [after[2], after[1]]


def test_rows_of_older_versions_have_no_checksum(catalog: SqliteCatalog) -> None:
    change(catalog, "checksum = NULL, note = 'changed'")
    assert catalog.damage() == []


def test_an_error_of_the_database_that_is_no_text_stays_one(catalog: SqliteCatalog) -> None:
    catalog._database.statements.execute("ALTER TABLE device RENAME TO lost")
    with pytest.raises(Exception, match="no such table") as found:
        list(catalog.records())
    assert isinstance(found.value.__cause__, sqlite3.Error)


def test_values_that_fields_can_have() -> None:
    assert is_labels({})
    assert not is_labels({"a": 1})
    assert is_seconds(None, lowest=1, highest=9)
    assert not is_seconds(True, lowest=1, highest=9)
