"""The mark is never ahead of what is on disk, survives a crash, and keeps what has vanished until it is accepted."""

from pathlib import Path

from fleetpulse.reached import NAME, Loss, Reached, ReachedMark


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
    mark.close()
    assert mark.found is None


def test_a_loss_counts_what_is_missing() -> None:
    assert Loss("journal", 3, 10, 0).count == 7
