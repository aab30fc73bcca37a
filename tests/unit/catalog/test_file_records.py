"""What a catalog records of the files that it wrote."""

from pathlib import Path

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.manifest import BlockFile, Manifest
from memory_service import FakeClock


@pytest.fixture
def catalog(tmp_path: Path) -> SqliteCatalog:
    return SqliteCatalog(tmp_path / "catalog.sqlite", clock=FakeClock(7))


def manifest(position: int, *names: str) -> Manifest:
    return Manifest(position, snapshot=BlockFile(names[0], 10, "0"), names={"devices": BlockFile(names[1], 20, "0")})


def test_a_new_catalog_knows_no_file_as_its_own(catalog: SqliteCatalog) -> None:
    written = catalog.files.written()
    assert (written.marks, written.superseded) == (frozenset(), ())


def test_marks_are_durable_and_all_different(catalog: SqliteCatalog, tmp_path: Path) -> None:
    marks = {catalog.files.begin(at_ns=number) for number in range(3)}
    catalog.close()
    assert len(marks) == 3
    assert SqliteCatalog(tmp_path / "catalog.sqlite").files.written().marks == marks


def test_a_manifest_supersedes_the_files_that_it_does_not_name(catalog: SqliteCatalog) -> None:
    catalog.commit_manifest(manifest(1, "s1", "d1"))
    assert not catalog.files.written().superseded
    catalog.commit_manifest(manifest(2, "s2", "d1"), was_at_rest=True)
    catalog.commit_manifest(manifest(3, "s3", "d3"))
    assert catalog.files.written().superseded == (("d1", 20, 7, False), ("s1", 10, 7, True), ("s2", 10, 7, False))


def test_what_is_found_in_the_store_is_settled_in_one_call(catalog: SqliteCatalog) -> None:
    old_mark, mark = catalog.files.begin(at_ns=1), catalog.files.begin(at_ns=5)
    catalog.commit_manifest(manifest(1, "s1", "d1"))
    catalog.commit_manifest(manifest(2, "s2", "d2"))
    catalog.files.settle(leftovers={f"x-{old_mark}"}, removed={"s1"}, at_ns=9, marks_before_ns=5)
    written = catalog.files.written()
    assert written.marks == {mark}
    assert [file.name for file in written.superseded] == ["d1", f"x-{old_mark}"]
    assert written.superseded[1][1:] == (0, 9, False)
