"""A move brings everything to the other side, whatever interrupts it, and never lets two services start."""

import asyncio
import copy
import shutil
import sqlite3
from array import array
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleetpulse.blocks.store import BlockStore, FolderBlockStore, MemoryBlockStore
from fleetpulse.catalog.move_records import MoveNote, MoveRecords
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DamagedData, DataVanished, ForeignBlocks, MovedAway, SettingsError
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import EventBatch
from fleetpulse.model.units import NS_PER_MINUTE as MINUTE_NS
from fleetpulse.pipeline.move import Moved, move
from fleetpulse.pipeline.move_back import take_back
from fleetpulse.pipeline.move_begin import MoveSide
from fleetpulse.pipeline.moved_away import check_is_here
from memory_service import World, beat

AT_NS = 1_800_000_000_000_000_000


class Crash(BaseException):
    """The process ends here."""


async def lived(world: World) -> None:
    """Three devices, a checkpoint, and an entry that it does not cover."""
    service = await world.started("a", "b", "c")
    for device in ("a", "b"):
        await beat(service, device)
    await service.housekeeping.checkpoint()
    world.clock.ns += 3 * MINUTE_NS
    await service.node.stop(within_s=0.0)
    devices, sent_at_ns = array("I", [2]), array("q", [world.clock.ns])
    batch = EventBatch(heartbeat_devices=devices, heartbeat_sent_at_ns=sent_at_ns, received_at_ns=world.clock.ns)
    world.journal.append(encode_entry(batch))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("life"))
    asyncio.run(lived(world))
    return world


class Sides:
    """A source with history, devices and a journal that no checkpoint covers, and an empty target."""

    def __init__(self, folder: Path, life: World) -> None:
        self.world = World(folder / "from")
        shutil.copytree(life.folder, self.world.folder)
        self.world.clock.ns = life.clock.ns
        self.world.journal, self.world.store = copy.deepcopy((life.journal, life.store))
        self.target_journal: Journal = MemoryJournal()
        self.target_store: BlockStore = MemoryBlockStore()
        self.target_store.place = "memory, elsewhere"  # type: ignore[misc]  # its own may be written
        self.target_folder = folder / "to"
        self.target_folder.mkdir()

    def source(self) -> MoveSide:
        return MoveSide(
            journal=self.world.journal,
            catalog=SqliteCatalog(self.world.folder / "catalog.sqlite"),
            store=self.world.store,
            place="from",
            folder=self.world.folder,
        )

    def target(self) -> MoveSide:
        return MoveSide(
            journal=self.target_journal,
            catalog=SqliteCatalog(self.target_folder / "catalog.sqlite"),
            store=self.target_store,
            place="to",
            folder=self.target_folder,
        )

    def move(self, advanced: Callable[[str, int, int], None] = lambda *_: None) -> Moved:
        """One run of the command: both catalogs are opened, and closed however it ends."""
        source, target = self.source(), self.target()
        try:
            return move(source, target, at_ns=AT_NS, advanced=advanced)
        finally:
            source.catalog.close()
            target.catalog.close()

    def may_start(self) -> list[str]:
        """Where a service may start."""
        found = []
        for side in (self.source(), self.target()):
            with closing(side.catalog):
                try:
                    check_is_here(side.catalog, place=side.place)
                except MovedAway:
                    continue
                found.append(side.place)
        return found


@pytest.fixture
def sides(tmp_path: Path, life: World) -> Sides:
    return Sides(tmp_path, life)


def test_everything_is_on_the_other_side_at_the_same_positions(sides: Sides) -> None:
    moved = sides.move()
    assert moved.compared is not None
    source, target = sides.source(), sides.target()
    with closing(source.catalog), closing(target.catalog):
        assert target.catalog.files.identity() == source.catalog.files.identity() == moved.identity
        assert target.journal.identity() == moved.identity
        assert [record.device.id for record in target.catalog.records()] == ["a", "b", "c"]
        assert target.catalog.manifest() == source.catalog.manifest()
        assert target.store.names() == {file.name for file in source.catalog.manifest().files()}
        after = source.catalog.manifest().position
        assert list(target.journal.read(after=after)) == list(source.journal.read(after=after)) != []
        assert target.catalog.transactions() > source.catalog.transactions() - 2
    assert moved.compared.position == source.journal.last_position()
    assert sides.may_start() == ["to"]


def test_what_has_moved_goes_on_there_as_if_nothing_had_happened(sides: Sides) -> None:
    sides.move()
    world = World(sides.target_folder)
    world.clock.ns = sides.world.clock.ns + MINUTE_NS
    assert isinstance(sides.target_journal, MemoryJournal)
    assert isinstance(sides.target_store, MemoryBlockStore)
    world.journal, world.store = sides.target_journal, sides.target_store

    async def go_on() -> None:
        service = await world.started()
        await beat(service, "a")
        service.follower.catch_up()
        assert service.follower.fleet.heartbeats[:3].tolist() == [2, 1, 1]
        await service.housekeeping.checkpoint()
        await service.node.stop(within_s=0.0)

    asyncio.run(go_on())


def steps_of(sides: Sides) -> int:
    count = 0

    def advanced(_what: str, _done: int, _total: int) -> None:
        nonlocal count
        count += 1

    sides.move(advanced)
    return count


def test_a_run_that_ends_anywhere_is_gone_on_with(tmp_path: Path, life: World) -> None:
    steps = steps_of(Sides(tmp_path / "whole", life))
    assert steps > 10
    for step in range(0, steps, 3):
        sides, left = Sides(tmp_path / str(step), life), step

        def crash(_what: str, _done: int, _total: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        with pytest.raises(Crash):
            sides.move(crash)
        assert sides.may_start() == []
        moved = sides.move()
        assert moved.compared is not None
        assert moved.compared.files == len(sides.target_store.names())
        assert sides.may_start() == ["to"]


class CrashingMoves:
    """The moves of a catalog; the process ends where `is_next` says so, instead of writing a note."""

    def __init__(self, moves: MoveRecords, is_next: Callable[[], bool]) -> None:
        self._moves, self._is_next = moves, is_next

    def __getattr__(self, name: str) -> object:
        return getattr(self._moves, name)

    def put_note(self, note: MoveNote | None) -> None:
        if self._is_next():
            raise Crash
        self._moves.put_note(note)


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_crash_between_the_notes_leaves_one_that_may_start_at_most(sides: Sides, failing: int) -> None:
    source, target, left = sides.source(), sides.target(), failing

    def is_next() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    for side in (source, target):
        setattr(side.catalog, "moves", CrashingMoves(side.catalog.moves, is_next))  # noqa: B010  # a read-only member
    with closing(source.catalog), closing(target.catalog), pytest.raises(Crash):
        move(source, target, at_ns=AT_NS, advanced=lambda *_: None)
    # Before the first note there is nothing at the target that anybody would start on.
    assert sides.may_start() == [["from", "to"], ["from"], [], []][failing - 1]
    sides.move()
    assert sides.may_start() == ["to"]


def test_a_second_run_says_that_the_first_has_finished(sides: Sides) -> None:
    identity = sides.move().identity
    assert sides.move() == Moved(identity, None)
    assert sides.may_start() == ["to"]


def test_a_target_that_has_something_is_refused_and_nothing_changes(sides: Sides) -> None:
    sides.target_journal.append(b"of others")
    with pytest.raises(ForeignBlocks, match="position 1"):
        sides.move()
    assert sides.may_start() == ["from", "to"]


def test_a_store_with_blocks_of_others_is_refused_and_nothing_changes(sides: Sides, tmp_path: Path) -> None:
    sides.target_store = FolderBlockStore(tmp_path / "blocks")
    sides.target_store.put("other.parquet", lambda file: file.write(b"x") and None)
    with pytest.raises(ForeignBlocks, match=r"1 block"):
        sides.move()
    assert sides.may_start() == ["from", "to"]


def test_a_half_done_move_of_another_service_is_refused(sides: Sides, tmp_path: Path, life: World) -> None:
    other = Sides(tmp_path / "other", life)
    with closing(SqliteCatalog(other.world.folder / "catalog.sqlite")) as catalog:
        catalog.files.identify("other")
    journal = MemoryJournal()
    journal.accept_loss(through=life.journal.first_position() - 1)
    for _, body in life.journal.read(after=0):
        journal.append(body)
    journal.identify("other")
    other.world.journal = journal
    other.target_folder, other.target_journal, other.target_store = (
        sides.target_folder,
        sides.target_journal,
        sides.target_store,
    )

    def crash(*_: object) -> None:
        raise Crash

    with pytest.raises(Crash):
        other.move(crash)
    with pytest.raises(ForeignBlocks, match="something else"):
        sides.move()
    assert sides.may_start() == ["from"]


def test_a_block_that_is_damaged_or_missing_stops_it(sides: Sides) -> None:
    name = min(sides.world.store.names())
    body = sides.world.store.open(name).read()
    sides.world.store.put(name, lambda file: file.write(body[:-1] + b"x") and None)
    with pytest.raises(DamagedData, match="not what was written"):
        sides.move()
    sides.world.store.remove(name)
    with pytest.raises(DamagedData, match="missing"):
        sides.move()
    sides.world.store.put(name, lambda file: file.write(body) and None)
    sides.move()
    assert sides.may_start() == ["to"]


def test_a_journal_that_lacks_entries_does_not_move(sides: Sides) -> None:
    sides.world.journal = MemoryJournal()
    with pytest.raises(DataVanished, match="the journal ends at entry 0"):
        sides.move()
    assert sides.may_start() == ["from", "to"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE device SET note = 'x' WHERE number = 1", "device"),
        ("DELETE FROM written", "written"),
        ("UPDATE policy SET interval_s = 7", ""),
    ],
)
def test_a_row_that_differs_is_found_and_the_source_stays(sides: Sides, change: str, what: str) -> None:
    def spoil(name: str, done: int, total: int) -> None:
        if (name, done) == ("catalog", total):
            spoiled.append(name)
        if spoiled and name == "rows compared" and len(spoiled) == 1:
            spoiled.append(name)
            with closing(sqlite3.connect(sides.target_folder / "catalog.sqlite")) as connection:
                connection.execute(change)
                connection.commit()

    spoiled: list[str] = []
    if what:
        with pytest.raises(DamagedData, match=rf"tables .*{what} \("):
            sides.move(spoil)
        assert sides.may_start() == []
    sides.move()
    assert sides.may_start() == ["to"]


def test_a_move_that_was_given_up_leaves_the_source_alone(sides: Sides) -> None:
    def crash(*_: object) -> None:
        raise Crash

    with pytest.raises(Crash):
        sides.move(crash)
    source = sides.source()
    with closing(source.catalog):
        take_back(source, None, at_ns=AT_NS)
    assert sides.may_start() == ["from"]
    sides.move()
    assert sides.may_start() == ["to"]


def test_a_move_is_taken_back_while_the_target_has_not_gone_on(sides: Sides) -> None:
    sides.move()
    source, target = sides.source(), sides.target()
    with closing(source.catalog), closing(target.catalog):
        with pytest.raises(SettingsError, match="--to"):
            take_back(source, None, at_ns=AT_NS)
        take_back(source, target, at_ns=AT_NS)
    assert sides.may_start() == ["from"]
    sides.move()
    assert sides.may_start() == ["to"]


def test_what_the_target_has_acknowledged_is_not_given_up(sides: Sides) -> None:
    sides.move()
    sides.target_journal.append(encode_entry(EventBatch()))
    source, target = sides.source(), sides.target()
    with closing(source.catalog), closing(target.catalog):
        with pytest.raises(MovedAway, match="gone on"):
            take_back(source, target, at_ns=AT_NS)
        assert sides.may_start() == ["to"]
        take_back(source, None, at_ns=AT_NS, is_gone=True)


def test_it_moves_back_into_a_data_folder(sides: Sides, tmp_path: Path) -> None:
    sides.move()
    folder = tmp_path / "back"
    folder.mkdir()
    source = sides.target()
    target = MoveSide(
        journal=SqliteJournal(folder / "journal.sqlite"),
        catalog=SqliteCatalog(folder / "catalog.sqlite"),
        store=FolderBlockStore(folder / "blocks"),
        place="back",
        folder=folder,
    )
    with closing(source.catalog), closing(target.catalog), closing(target.journal):
        moved = move(source, target, at_ns=AT_NS, advanced=lambda *_: None)
        assert moved.compared is not None
        check_is_here(target.catalog, place="back")
        assert target.catalog.is_marked()
    reopened = SqliteJournal(folder / "journal.sqlite")
    with closing(reopened):
        assert reopened.last_position() == sides.world.journal.last_position()
    assert sides.may_start() == []
