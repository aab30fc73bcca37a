"""The catalog's promises, on every implementation."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DamagedData, OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.manifest import BlockFile, Manifest

Reopen = Callable[[], Catalog]


@pytest.fixture(params=["sqlite"])
def reopen(tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same catalog again and again."""
    opened: list[Catalog] = []

    def make() -> Catalog:
        for catalog in opened:
            catalog.close()
        opened[:] = [SqliteCatalog(tmp_path / "catalog.sqlite")]
        return opened[0]

    yield make
    for catalog in opened:
        catalog.close()


def test_devices_keep_the_number_they_were_given_and_labels_are_replaced(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.register([Device("b", {"site": "x"}), Device("a")], devices_max=9) == ["b", "a"]
    assert catalog.register([Device("a", {"site": "y"}), Device("c"), Device("c", {"last": "wins"}), Device("b")], devices_max=9) == ["c"]
    catalog = reopen()
    assert list(catalog.ids()) == ["b", "a", "c"]
    assert [catalog.labels(name) for name in ("a", "b", "c", "d")] == [{"site": "y"}, {}, {"last": "wins"}, None]


def test_a_registration_that_fails_half_way_registers_nobody(reopen: Reopen) -> None:
    def devices() -> Iterator[Device]:
        yield Device("a")
        raise RuntimeError("the file ended badly")

    catalog = reopen()
    with pytest.raises(RuntimeError):
        catalog.register(devices(), devices_max=9)
    assert list(catalog.ids()) == []
    with pytest.raises(OutOfRange, match="devices_max"):
        catalog.register([Device("a"), Device("b")], devices_max=1)
    assert list(catalog.ids()) == []
    assert catalog.register([Device("b"), Device("b")], devices_max=1) == ["b"]


def test_the_manifest_is_replaced_whole(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.manifest() == Manifest()
    first = Manifest(5, 20_000, 7, BlockFile("s1", 1, "x"), {19_999: BlockFile("p1", 2, "y"), 20_000: BlockFile("o1", 3, "z")})
    catalog.commit_manifest(first)
    assert reopen().manifest() == first
    second = Manifest(9, 20_001, 8, BlockFile("s2", 4, "x"), {19_999: BlockFile("p1", 2, "y")})
    catalog = reopen()
    catalog.commit_manifest(second)
    assert reopen().manifest() == second
    assert {file.name for file in second.files()} == {"s2", "p1"}


def test_a_catalog_of_a_newer_version_or_of_nonsense_is_refused_with_what_to_do(tmp_path: Path) -> None:
    SqliteCatalog(tmp_path / "c").close()
    with sqlite3.connect(tmp_path / "c") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(DamagedData, match="Run the newer version"):
        SqliteCatalog(tmp_path / "c")
    (tmp_path / "d").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DamagedData, match="Restore"):
        SqliteCatalog(tmp_path / "d")
