"""Which files may be removed from a block store, and in which order."""

from fleetpulse.blocks.leftovers import due_for_removal, take_inventory
from fleetpulse.model.manifest import Superseded

HOUR = 3_600_000_000_000


def old(name: str, hours_ago: float, size_bytes: int = 10, *, was_at_rest: bool = False) -> Superseded:
    return Superseded(name, size_bytes, int((100 - hours_ago) * HOUR), was_at_rest)


def due(*files: Superseded, grace_h: int = 24, bytes_max: int = 1_000) -> list[str]:
    found = due_for_removal(files, now_ns=100 * HOUR, grace_ns=grace_h * HOUR, bytes_max=bytes_max)
    return [file.name for file in found]


def test_only_a_recorded_mark_makes_a_file_ours() -> None:
    names = {"a-1-beef.parquet", "b-1-beef.parquet.tmp", "c-1-f00d.parquet", "d-1.parquet", "used", "replaced-1-beef"}
    found = take_inventory(
        names, in_use={"used", "elsewhere"}, superseded=[old("replaced-1-beef", 1)], marks={"beef", "cafe"}
    )
    assert found.leftovers == {"a-1-beef.parquet", "b-1-beef.parquet.tmp"}
    assert found.unknown == {"c-1-f00d.parquet", "d-1.parquet"}


def test_without_a_recorded_mark_nothing_is_ours() -> None:
    found = take_inventory({"presence-1-2-17f.parquet", ".parquet"}, in_use=set(), superseded=[], marks=set())
    assert (found.leftovers, len(found.unknown)) == (set(), 2)


def test_a_superseded_file_is_due_when_its_grace_is_over() -> None:
    assert due(old("day", 24), old("young", 23.9)) == ["day"]
    assert due(old("now", 0), grace_h=0) == ["now"]


def test_too_many_bytes_end_the_grace_of_the_oldest_first_and_of_files_at_rest_last() -> None:
    files = [old("resting", 9, was_at_rest=True), old("a", 5), old("b", 4), old("c", 3)]
    assert due(*files, bytes_max=40) == []
    assert due(*files, bytes_max=39) == ["a"]
    assert due(*files, bytes_max=15) == ["a", "b", "c"]
    assert due(*files, bytes_max=0) == ["a", "b", "c", "resting"]
