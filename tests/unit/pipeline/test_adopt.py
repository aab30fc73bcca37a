"""A catalog that is made anew answers as the lost one did, as far as blocks and journal know."""

import asyncio
from pathlib import Path

import pytest

from fleetpulse.blocks.manifest_note import MANIFEST
from fleetpulse.blocks.owner import OWNER
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DamagedData, ForeignBlocks
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.device import Device
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.pipeline.adopt import Found, Tail, adopt, check_is_empty, look, look_at_tail
from memory_service import NOON, SECOND, World, beat


def lived(folder: Path) -> World:
    """A world whose service has taken a checkpoint and then lost its catalog."""
    folder.mkdir(exist_ok=True)
    world = World(folder)

    async def life() -> None:
        service = await world.started("d0", "d1")
        await service.registry.update({0: Device("d0", {"site": "x"}, 10, 20, "on the roof")})
        await service.registry.delete([1])
        await service.metric_definitions.define([MetricDefinition(name="cpu", unit="%", raw_days=5)])
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        await service.node.stop()

    asyncio.run(life())
    return world


def records(catalog: SqliteCatalog) -> tuple[object, ...]:
    known = catalog.metrics(), catalog.manifest(), catalog.files.identity(), catalog.policies.defaults()
    return list(catalog.records()), *known


def adopted(world: World, folder: Path) -> tuple[Tail, SqliteCatalog]:
    found = look(world.store)
    folder.mkdir()
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    tail = look_at_tail(found, world.journal)
    adopt(found, tail, world.store, journal=world.journal, catalog=catalog, now_ns=NOON)
    return tail, catalog


def test_devices_metrics_and_manifest_come_back(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    tail, catalog = adopted(world, tmp_path / "new")
    lost = SqliteCatalog(tmp_path / "data" / "catalog.sqlite")
    assert records(catalog) == records(lost)
    assert not tail.is_lost
    lost.close()
    catalog.close()


def test_a_service_goes_on_with_the_new_catalog(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    adopted(world, tmp_path / "new")[1].close()
    world.folder = tmp_path / "new"

    async def life() -> None:
        service = await world.started()
        assert (await service.questions.lifetime(0)).figures.minutes_present == 1
        world.clock.ns += 60 * SECOND
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        assert (await service.questions.lifetime(0)).figures.minutes_present == 2
        await service.node.stop()

    asyncio.run(life())


def test_a_journal_that_is_lost_goes_on_behind_the_last_checkpoint(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    found = look(world.store)
    journal, catalog = SqliteJournal(tmp_path / "journal.sqlite"), SqliteCatalog(tmp_path / "catalog.sqlite")
    tail = look_at_tail(found, journal)
    assert (tail, look_at_tail(found, None)) == (Tail(is_lost=True), Tail(is_lost=True))
    identity = adopt(found, tail, world.store, journal=journal, catalog=catalog, now_ns=NOON)
    assert identity == catalog.files.identity() == journal.identity() == (found.owner and found.owner.id)
    journal.close()
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert journal.last_position() == found.manifest.position > 0
    journal.close()
    catalog.close()


def test_what_cannot_be_adopted_is_refused(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    found, note = look(world.store), world.store.read_note(MANIFEST)
    assert note is not None
    world.store._notes.pop(MANIFEST)
    with pytest.raises(ForeignBlocks, match=r"no manifest\.json"):
        look(world.store)
    world.store.put_note(MANIFEST, note.body)
    other = SqliteJournal(tmp_path / "other.sqlite")
    other.identify("other")
    with pytest.raises(ForeignBlocks, match="belongs to data folder other"):
        look_at_tail(found, other)
    other.close()
    lost = SqliteCatalog(tmp_path / "data" / "catalog.sqlite")
    with pytest.raises(ForeignBlocks, match="nothing to adopt"):
        check_is_empty(lost)
    lost.close()


def spoil(world: World, kind: str) -> None:
    for name in world.store.names():
        if name.startswith(kind):
            world.store._files[name] = b"damage"


@pytest.mark.parametrize(
    ("kind", "devices", "metrics"),
    [
        ("devices", ["unnamed-0000000", "unnamed-0000001"], ["upload_time", "cpu"]),
        ("metrics", ["d0", "d1"], ["upload_time"]),
        ("snapshot", ["d0", "d1"], ["upload_time", "cpu"]),
        ("open", ["d0", "d1"], ["upload_time", "cpu"]),
    ],
)
def test_around_a_damaged_file_comes_back_what_the_others_hold(
    kind: str, devices: list[str], metrics: list[str], tmp_path: Path
) -> None:
    world = lived(tmp_path / "data")
    spoil(world, kind)
    found = look(world.store)
    assert all(f"block {kind}-" in text for text in found.damaged) and found.damaged
    assert found.is_start_damaged is (kind in ("snapshot", "open"))
    _, catalog = adopted(world, tmp_path / "new")
    assert [record.device.id for record in catalog.records()] == devices
    assert [metric.name for _, metric, _ in catalog.metrics()] == metrics
    catalog.close()
    world.folder = tmp_path / "new"

    async def life() -> None:
        service = await world.started()
        assert service.readiness.is_away is found.is_start_damaged
        if not found.is_start_damaged:
            assert (await service.questions.lifetime(0)).figures.minutes_present == 1
            await beat(service, devices[0])
            assert await service.housekeeping.checkpoint()
        await service.node.stop()

    asyncio.run(life())


def test_without_names_and_snapshot_nothing_can_be_adopted(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    spoil(world, "devices")
    spoil(world, "snapshot")
    with pytest.raises(DamagedData, match=r"devices-.*not known how many devices"):
        look(world.store)


def test_files_that_are_missing_and_files_that_do_not_count_are_named(tmp_path: Path) -> None:
    world = lived(tmp_path / "data")
    world.store.put("superseded.parquet", lambda file: file.write(b"body") and None)
    found: Found = look(world.store)
    assert (found.others, found.missing) == (("superseded.parquet",), ())
    assert (found.devices, found.deleted, found.metrics) == (2, 1, 2)
    assert found.owner is not None and world.store.read_note(OWNER) is not None


def test_a_journal_without_any_checkpoint_keeps_its_events_under_names_that_say_so(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def life() -> None:
        service = await world.started("d0", "d1")
        await beat(service, "d1")
        service.node._ticker.cancel()  # type: ignore[union-attr]  # it was started
        await service.writer.stop()
        service.node._close()
        found = look(world.store)
        catalog = SqliteCatalog(tmp_path / "new.sqlite")
        tail = look_at_tail(found, world.journal)
        assert (tail.is_lost, tail.unnamed_devices) == (False, 2)
        adopt(found, tail, world.store, journal=world.journal, catalog=catalog, now_ns=NOON)
        assert [record.device.id for record in catalog.records()] == ["unnamed-0000000", "unnamed-0000001"]
        assert catalog.files.identity() == world.journal.identity()
        catalog.close()

    asyncio.run(life())
