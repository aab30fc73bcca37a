"""The log of a shared catalog: what each transaction changed, and when nobody knows it any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog import change_log
from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.key import KeyRecord
from fleetpulse.model.metric import MetricDefinition


@pytest.fixture
def catalogs(tmp_path: Path) -> Iterator[tuple[SqliteCatalog, SqliteCatalog]]:
    """Two connections to one catalog."""
    opened = [SqliteCatalog(tmp_path / "catalog.sqlite", wait_s=30.0) for _ in range(2)]
    for catalog in opened:
        catalog.share()
    yield opened[0], opened[1]
    for catalog in opened:
        catalog.close()


def register(catalog: SqliteCatalog, *device_ids: str) -> None:
    catalog.register(map(Device, device_ids), devices_max=100_000, at_ns=1)


def key(number: int, *, device: int | None = None) -> KeyRecord:
    role, digest = ("read" if device is None else "device"), bytes([number]) * 32
    # A conditional expression has the type `str`, not those of the two words.
    return KeyRecord(number=number, role=role, digest=digest, device=device, created_at_ns=1)  # type: ignore[arg-type]


def test_each_node_learns_of_the_devices_and_keys_that_the_other_one_changed(
    catalogs: tuple[SqliteCatalog, SqliteCatalog],
) -> None:
    one, other = catalogs
    register(one, "a", "b", "c", "d")
    seen = other.changes(0)
    assert (seen.version, seen.devices, seen.access_keys) == (other.version(), [0, 1, 2, 3], [])
    assert seen.concerns("device")
    assert not seen.concerns("access_key", "metric")
    one.keys.add([key(1), key(2, device=3)])
    other.update({1: Device("b", {"site": "rome"})}, at_ns=2)
    one.delete([3], at_ns=3)
    changed = other.changes(seen.version)
    assert (changed.devices, changed.access_keys) == ([1, 3], [1, 2])
    one.keys.revoke([1, 2], at_ns=4, by="me")
    assert other.changes(changed.version).access_keys == [1]  # the other one was revoked with its device
    assert other.changes(other.version()) == CatalogChanges(other.version(), frozenset(), [], [])


def test_a_transaction_that_fails_or_is_only_tried_leaves_no_trace(
    catalogs: tuple[SqliteCatalog, SqliteCatalog],
) -> None:
    one, other = catalogs
    with one.transaction(is_dry=True):
        register(one, "a")
    with pytest.raises(OutOfRange):
        one.register(map(Device, "ab"), devices_max=1, at_ns=1)
    assert other.changes(0) == CatalogChanges(0, frozenset(), [], [])
    with one.transaction():
        register(one, "a")
        one.keys.add([key(1)])
    assert (other.changes(0).version, other.changes(0).devices, other.changes(0).access_keys) == (1, [0], [1])


def test_what_no_node_has_in_memory_is_counted_and_not_listed(catalogs: tuple[SqliteCatalog, SqliteCatalog]) -> None:
    one, other = catalogs
    one.note_file_read("devices", at_ns=1)
    assert other.changes(0) == CatalogChanges(1, frozenset(), [], [])
    assert (one.following_version(), other.following_version()) == (0, 0)
    one.put_metric(MetricDefinition(name="cpu"), metrics_max=9)
    assert one.following_version() == 2
    other.changes(1)
    assert other.following_version() == 2


def test_beyond_the_log_and_for_very_many_numbers_everything_counts_as_changed(
    catalogs: tuple[SqliteCatalog, SqliteCatalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = catalogs
    monkeypatch.setattr(change_log, "LOG_VERSIONS", 3)
    monkeypatch.setattr(change_log, "RANGES_MAX", 2)
    register(one, *"abcdefgh")
    one.update({number: Device(name) for number, name in ((0, "a"), (2, "c"), (4, "e"))}, at_ns=2)
    assert other.changes(0).devices is None
    assert other.changes(1).devices is None
    for at_ns in range(100):
        one.update({5: Device("f", note=f"{at_ns}")}, at_ns=at_ns)
    assert other.changes(99).devices == [5]
    assert other.changes(98) == CatalogChanges(102, None, None, None)
    assert other.changes(98).concerns("metric")
    assert other.changes(200) == CatalogChanges(102, None, None, None)  # a copy of before has taken its place
    count = one._select("SELECT count(*) FROM catalog_change").fetchone()[0]
    assert count < 3 + 2 * 64


def test_a_catalog_of_one_node_notes_nothing(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    register(catalog, "a")
    assert catalog._select("SELECT count(*) FROM catalog_change").fetchone()[0] == 0
    catalog.close()
