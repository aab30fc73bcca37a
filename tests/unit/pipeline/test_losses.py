"""What has vanished of journal or catalog is found, refused with what to do, or accepted and recorded."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DataVanished, ForeignBlocks, StorageFailed
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.losses import find_losses, settle_losses
from fleetpulse.reached import Loss
from memory_service import NOON, SECOND


def entry(number: int) -> bytes:
    batch = EventBatch()
    batch.received_at_ns = NOON + number * SECOND
    return encode_entry(batch)


class Folder:
    """Journal and catalog of a folder whose process was killed after five entries and two devices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(self.journal()) as journal, closing(self.catalog()) as catalog:
            for number in range(1, 6):
                journal.append(entry(number))
            for device_id in ("a", "b"):
                catalog.register([Device(device_id)], devices_max=10, at_ns=NOON)
            copies = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
        for path in folder.iterdir():
            path.unlink()
        for name, body in copies.items():
            (folder / name).write_bytes(body)

    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.folder / "journal.sqlite")

    def catalog(self) -> SqliteCatalog:
        return SqliteCatalog(self.folder / "catalog.sqlite")

    def losses(self, manifest: Manifest | None = None) -> list[tuple[Loss, str]]:
        with closing(self.journal()) as journal, closing(self.catalog()) as catalog:
            return find_losses(journal, catalog, manifest or Manifest())

    def settle(self, manifest: Manifest | None = None, *, is_accepted: bool) -> None:
        with closing(self.journal()) as journal, closing(self.catalog()) as catalog:
            settle_losses(journal, catalog, manifest or Manifest(), is_accepted=is_accepted, at_ns=NOON)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_after_a_kill_nothing_has_vanished(folder: Folder) -> None:
    assert folder.losses() == []
    folder.settle(is_accepted=False)


def cut_log(folder: Path) -> None:
    path = folder / "journal.sqlite-wal"
    path.write_bytes(path.read_bytes()[:-4_000])


def remove(*names: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return do


def empty_journal(folder: Path) -> None:
    (folder / "journal.sqlite-wal").unlink()
    (folder / "journal.sqlite").write_bytes(b"")


@pytest.mark.parametrize(
    ("accident", "left"),
    [
        (remove("journal.sqlite-wal"), 0),
        (remove("journal.sqlite-wal", "journal.sqlite"), 0),
        (empty_journal, 0),
        (cut_log, 4),
    ],
)
def test_a_journal_that_is_less_than_it_was_is_refused_at_every_start_until_that_is_accepted(
    folder: Folder, accident: Callable[[Path], None], left: int
) -> None:
    accident(folder.folder)
    for _ in range(2):
        with pytest.raises(DataVanished, match=rf"ends at entry {left}, but it had reached entry 5 .*--accept-loss"):
            folder.settle(is_accepted=False)
    ((loss, text),) = folder.losses()
    since_ns = NOON + max(left, 1) * SECOND
    assert loss == Loss("journal", left, 5, since_ns)
    assert "received after 2024-10-04T12:00:0" in text
    folder.settle(is_accepted=True)
    assert folder.losses() == []
    with closing(folder.catalog()) as catalog:
        assert catalog.losses() == [(NOON, loss)]
    with closing(folder.journal()) as journal:
        assert journal.append(entry(9)) == left + 1
    assert folder.losses() == []


def test_a_catalog_that_is_less_than_it_was_is_refused(folder: Folder) -> None:
    (folder.folder / "catalog.sqlite-wal").unlink()
    for _ in range(2):
        with pytest.raises(DataVanished, match="the catalog lacks the last 2 changes"):
            folder.settle(is_accepted=False)
    folder.settle(is_accepted=True)
    assert folder.losses() == []


def test_a_missing_catalog_is_told_with_the_command_that_makes_one(folder: Folder) -> None:
    remove("catalog.sqlite", "catalog.sqlite-wal")(folder.folder)
    with pytest.raises(DataVanished, match=r"The catalog is missing.*fleetpulse adopt") as refused:
        folder.settle(is_accepted=False)
    assert "--accept-loss" not in str(refused.value)


def test_what_would_refuse_the_start_all_the_same_is_found_before_a_loss_is_recorded(folder: Folder) -> None:
    remove("catalog.sqlite", "catalog.sqlite-wal")(folder.folder)
    reached = (folder.folder / "reached").read_bytes()

    def check() -> None:
        raise ForeignBlocks("the catalog knows none of the blocks")

    with closing(folder.journal()) as journal, closing(folder.catalog()) as catalog:
        with pytest.raises(ForeignBlocks):
            settle_losses(journal, catalog, Manifest(), is_accepted=True, at_ns=NOON, check=check)
        assert catalog.losses() == []
    assert (folder.folder / "reached").read_bytes() == reached


def beats(*devices: int) -> bytes:
    batch = EventBatch()
    batch.received_at_ns = NOON
    for device in devices:
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(NOON)
    return encode_entry(batch)


def drop_entries(folder: Folder) -> None:
    with closing(folder.journal()) as journal:
        journal.drop(through=3, entries_max=10)


def name_devices(folder: Folder) -> None:
    with closing(folder.journal()) as journal:
        journal.append(beats(0, 1))


@pytest.mark.parametrize(
    ("builds_on_it", "text"),
    [(drop_entries, "the catalog's last checkpoint ends at 0"), (name_devices, "speaks of device number 1")],
)
def test_a_loss_that_a_start_cannot_go_on_with_is_not_accepted(
    folder: Folder, builds_on_it: Callable[[Folder], None], text: str
) -> None:
    builds_on_it(folder)
    (folder.folder / "catalog.sqlite-wal").unlink()
    before = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
    for _ in range(2):
        with pytest.raises(DataVanished, match=f"(?s)cannot be accepted.*{text}.*fleetpulse adopt"):
            folder.settle(is_accepted=True)
    with closing(folder.catalog()) as catalog:
        assert catalog.losses() == []
    assert (folder.folder / "reached").read_bytes() == before["reached"]


def test_what_blocks_hold_is_not_lost_with_the_journal(folder: Folder) -> None:
    remove("journal.sqlite-wal", "journal.sqlite")(folder.folder)
    manifest = Manifest(position=3, alive_at_ns=NOON + 3 * SECOND)
    ((loss, _),) = folder.losses(manifest)
    assert loss == Loss("journal", 3, 5, NOON + 3 * SECOND)
    ((_, text),) = folder.losses(Manifest(position=5))
    assert text.endswith("; no event is missing, since the blocks hold what these entries brought")
    with pytest.raises(DataVanished, match="without it, start once with --accept-loss") as refusal:
        folder.settle(Manifest(position=5), is_accepted=False)
    assert "what is missing" not in str(refusal.value)
    folder.settle(manifest, is_accepted=True)
    with closing(folder.journal()) as journal:
        assert journal.append(entry(9)) == 4


def test_a_manifest_is_ahead_of_a_journal_that_has_no_mark(folder: Folder) -> None:
    (folder.folder / "reached").unlink()
    ((loss, text),) = folder.losses(Manifest(position=8))
    assert (loss.after, loss.through) == (8, 8)
    assert "as the last checkpoint says" in text
    folder.settle(Manifest(position=8), is_accepted=True)
    with closing(folder.journal()) as journal:
        assert (journal.last_position(), list(journal.read(after=8))) == (8, [])


def cut_to(size_bytes: int) -> Callable[[Path], None]:
    return lambda folder: (folder / "reached").write_bytes((folder / "reached").read_bytes()[:size_bytes])


@pytest.mark.parametrize(
    ("accident", "parts"),
    [(remove("reached"), ["journal", "catalog"]), (cut_to(0), ["journal", "catalog"]), (cut_to(512), ["catalog"])],
)
def test_a_mark_that_must_be_there_and_is_not_is_a_question_of_loss(
    folder: Folder, accident: Callable[[Path], None], parts: list[str]
) -> None:
    accident(folder.folder)
    folder.settle(is_accepted=False)  # a folder of before, where it need not be there
    with closing(folder.catalog()) as catalog:
        assert catalog.is_marked()
    accident(folder.folder)
    for _ in range(2):
        with pytest.raises(DataVanished, match=r"(?s)cannot be told.*`reached`.*nothing is missing.*--accept-loss"):
            folder.settle(is_accepted=False)
    assert folder.losses() == []
    folder.settle(is_accepted=True)
    folder.settle(is_accepted=False)
    with closing(folder.catalog()) as catalog:
        assert [(loss.part, loss.count) for _, loss in catalog.losses()] == [(part, 0) for part in parts]


def test_a_mark_that_cannot_be_written_is_not_expected_at_the_next_start(folder: Folder) -> None:
    (folder.folder / "reached").unlink()
    (folder.folder / "reached").mkdir()
    folder.settle(is_accepted=False)
    (folder.folder / "reached").rmdir()
    folder.settle(is_accepted=False)


def test_a_mark_that_cannot_be_read_is_told_as_that_and_not_as_a_loss(folder: Folder) -> None:
    folder.settle(is_accepted=False)
    mark = folder.folder / "reached"
    body = mark.read_bytes()
    mark.unlink()
    mark.mkdir()  # a missing permission is no obstacle to whom tests may run as
    with pytest.raises(StorageFailed, match=r"reached: a file stands where a folder belongs.*Nothing is damaged"):
        folder.settle(is_accepted=False)
    mark.rmdir()
    mark.write_bytes(body)
    folder.settle(is_accepted=False)


def test_a_log_and_the_mark_that_vanish_together_are_a_question_of_loss(folder: Folder) -> None:
    folder.settle(is_accepted=False)
    with closing(folder.journal()) as journal:
        journal.append(entry(6))
    for name in ("journal.sqlite", "reached"):
        (folder.folder / name).unlink()
    with pytest.raises(DataVanished, match="whether entries after 0"):
        folder.settle(is_accepted=False)


def test_a_clean_close_is_known(folder: Folder) -> None:
    with closing(folder.journal()) as journal:
        journal.append(entry(6))
    remove("journal.sqlite")(folder.folder)
    ((_, text),) = folder.losses()
    assert "reached entry 6" in text
    assert ", when it was closed cleanly: 6 entries" in text
