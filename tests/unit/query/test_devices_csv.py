"""The CSV of devices, which the import takes as it is."""

from fleetpulse.ingest.devices_import import read_import
from fleetpulse.model.device import Device
from fleetpulse.query.devices_csv import devices_header, devices_rows

DEVICES = [
    Device("a", {"site": "Paris, south"}, interval_s=90, note='the "old" one'),
    Device("=b", {"line": "2"}, grace_s=60),
]


def test_what_is_exported_is_imported_as_it_was() -> None:
    text = devices_header(["line", "site"]) + devices_rows(DEVICES, ["line", "site"])
    read = read_import(text.encode(), lines_max=10)
    assert ([line.device for line in read.devices.values()], read.refused) == (DEVICES, [])


def test_a_cell_that_looks_like_a_formula_is_made_safe() -> None:
    assert devices_rows(DEVICES, []).splitlines()[1].startswith("'=b,")


def test_what_a_device_lacks_is_an_empty_cell() -> None:
    assert devices_rows([Device("c")], ["site"]) == "c,,,,\r\n"
