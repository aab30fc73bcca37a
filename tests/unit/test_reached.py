"""The mark is never ahead of what is on disk, survives a crash, and keeps what has vanished until it is accepted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpulse.reached import LOOK_NS, NAME, Loss, Reached, ReachedMark


def found(folder: Path, slot: int = 0) -> Reached | None:
    return ReachedMark(folder, slot=slot).found


def test_what_was_written_last_is_found_without_closing(tmp_path: Path) -> None:
    mark = ReachedMark(tmp_path, slot=0)
    assert mark.found is None
    mark.write(1, 100)
    mark.write(2, 200)
    assert found(tmp_path) == Reached(2, 200, since_ns=100, is_closed=False)
    mark.write(2, 200, is_closed=True)
    assert found(tmp_path) == Reached(2, 200, since_ns=100, is_closed=True)
    mark.close()


def test_journal_and_catalog_have_records_of_their_own(tmp_path: Path) -> None:
    for slot in (0, 1):
        mark = ReachedMark(tmp_path, slot=slot)
        mark.write(10 + slot, 1)
        mark.close()
    assert [(record := found(tmp_path, slot)) and record.number for slot in (0, 1)] == [10, 11]


def test_a_mark_that_is_damaged_or_cut_proves_nothing(tmp_path: Path) -> None:
    mark = ReachedMark(tmp_path, slot=0)
    mark.write(7, 100)
    mark.close()
    whole = (tmp_path / NAME).read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b"FPRC", b"CRPF"), whole[:9] + b"\xff" + whole[10:]):
        (tmp_path / NAME).write_bytes(damaged)
        assert found(tmp_path) is None


def test_less_than_was_found_is_not_written_over_it_until_that_is_accepted(tmp_path: Path) -> None:
    first = ReachedMark(tmp_path, slot=0)
    first.write(7, 100)
    first.close()
    second = ReachedMark(tmp_path, slot=0)
    second.write(1, 200)
    assert found(tmp_path) == Reached(7, 100, since_ns=100, is_closed=False)
    second.accept(0, 200)
    assert found(tmp_path) == Reached(0, 200, since_ns=100, is_closed=False)
    second.write(1, 300)
    assert (record := found(tmp_path)) is not None
    assert record.number == 1
    second.close()


def test_a_mark_that_cannot_be_written_does_not_fail_what_it_is_about(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    mark = ReachedMark(tmp_path, slot=0)
    mark.write(1, 100)
    assert mark.found is None
    assert "may go unnoticed" in mark.trouble and "a folder where a file belongs" in mark.trouble
    assert not mark.make_durable(1, 100)
    (tmp_path / NAME).rmdir()
    mark.write(2, 200)
    assert mark.trouble == ""
    assert (record := found(tmp_path)) is not None and record.number == 2
    mark.close()


def replace(path: Path) -> None:
    body = path.read_bytes()
    path.unlink()
    path.write_bytes(body[:10])


@pytest.mark.parametrize(
    "accident",
    [Path.unlink, lambda path: path.rename(path.with_name("moved")), lambda path: path.write_bytes(b""), replace],
)
def test_a_mark_that_vanishes_while_it_is_used_is_written_anew_with_both_records(
    accident: Callable[[Path], object], tmp_path: Path
) -> None:
    journal, catalog = ReachedMark(tmp_path, slot=0), ReachedMark(tmp_path, slot=1)
    for number in (1, 2):
        catalog.write(10 + number, number * LOOK_NS)
        journal.write(number, number * LOOK_NS)
    accident(tmp_path / NAME)
    journal.write(3, 3 * LOOK_NS)
    assert [(record := found(tmp_path, slot)) and record.number for slot in (0, 1)] == [3, 12]
    catalog.write(13, 3 * LOOK_NS)
    journal.write(4, 3 * LOOK_NS, is_closed=True)
    assert [(record := found(tmp_path, slot)) and record.number for slot in (0, 1)] == [4, 13]
    journal.close()
    catalog.close()


@pytest.mark.parametrize("is_folder", [False, True])
def test_the_mark_of_a_restored_copy_is_not_written_to(is_folder: bool, tmp_path: Path) -> None:
    for folder, number in (("data", 7), ("copy", 3)):
        (tmp_path / folder).mkdir()
        mark = ReachedMark(tmp_path / folder, slot=0)
        mark.write(number, LOOK_NS)
        mark.close()
    mark = ReachedMark(tmp_path / "data", slot=0)
    mark.write(8, 2 * LOOK_NS)
    if is_folder:
        (tmp_path / "data").rename(tmp_path / "moved")
        (tmp_path / "copy").rename(tmp_path / "data")
    else:
        (tmp_path / "restored").write_bytes((tmp_path / "copy" / NAME).read_bytes())
        (tmp_path / "restored").replace(tmp_path / "data" / NAME)
    mark.write(9, 4 * LOOK_NS, is_closed=True)
    mark.close()
    assert (record := found(tmp_path / "data")) is not None and record.number == 3


def test_a_loss_counts_what_is_missing() -> None:
    assert Loss("journal", 3, 10, 0).count == 7
