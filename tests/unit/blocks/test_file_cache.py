"""The cache of whole files: bounded, and as it was after a restart."""

import os
from pathlib import Path

from fleetpulse.blocks.file_cache import FileCache, sync_file
from fleetpulse.blocks.store import SUFFIX, TEMPORARY


def put(cache: FileCache, name: str, body: bytes) -> None:
    with cache.temporary(name) as path:
        with path.open("wb") as file:
            file.write(body)
            size_bytes = sync_file(file)
        cache.adopt(path, name, size_bytes)


def read(cache: FileCache, name: str) -> bytes | None:
    file = cache.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def names(*stems: str) -> list[str]:
    return [stem + SUFFIX for stem in stems]


def test_a_file_is_found_and_a_missing_one_is_not(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=100)
    one, other = names("one", "other")
    put(cache, one, b"body")
    assert (read(cache, one), read(cache, other), cache.hits, cache.bytes_now) == (b"body", None, 1, 4)


def test_the_least_recently_used_file_goes_first_also_after_a_restart(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=8)
    one, two, three = names("one", "two", "three")
    put(cache, one, b"1111")
    put(cache, two, b"2222")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))  # long ago: files have times of a few milliseconds only
    assert read(cache, one) == b"1111"
    put(FileCache(tmp_path, bytes_max=8), three, b"3333")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([one, three])


def test_a_file_larger_than_the_cache_is_not_kept_and_no_other_goes_for_it(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=8)
    one, large = names("one", "large")
    put(cache, one, b"1111")
    put(cache, large, b"123456789")
    assert [path.name for path in tmp_path.iterdir()] == [one]


def test_an_open_file_stays_readable_when_it_is_evicted(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=4)
    one, two = names("one", "two")
    put(cache, one, b"1111")
    file = cache.open(one)
    put(cache, two, b"2222")
    assert file is not None
    with file:
        assert file.read() == b"1111"
    assert read(cache, one) is None


def test_what_was_half_written_is_removed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / f"one{SUFFIX}{TEMPORARY}").write_bytes(b"half")
    FileCache(tmp_path, bytes_max=8)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_empties_is_a_miss(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=8)
    (one,) = names("one")
    put(cache, one, b"1111")
    (tmp_path / one).unlink()
    assert (read(cache, one), cache.bytes_now) == (None, 0)


def test_dropping_a_file_twice_does_no_harm(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=8)
    (one,) = names("one")
    put(cache, one, b"1111")
    cache.drop(one)
    cache.drop(one)
    assert (list(tmp_path.iterdir()), cache.bytes_now) == ([], 0)


def test_files_that_are_pinned_stay_whatever_else_is_read_and_leave_when_others_are_pinned(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, bytes_max=8)
    first, second, one, two = names("snapshot-1", "snapshot-2", "one", "two")
    put(cache, first, b"a snapshot that is larger than the cache")
    assert read(cache, first) is not None, "it is pinned as soon as it is written"
    cache.pin({first})
    put(cache, one, b"1111")
    assert read(cache, first) is not None
    assert read(cache, one) is None
    put(cache, second, b"2222")
    cache.pin({second})
    put(cache, two, b"2222")
    assert [read(cache, name) is not None for name in (first, second, two)] == [False, True, True]
    again = FileCache(tmp_path, bytes_max=4)
    again.pin({second})
    assert [read(again, name) is not None for name in (second, two)] == [True, False]
