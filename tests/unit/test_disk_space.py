"""The space of a disk, and the reserve."""

from pathlib import Path

import pytest

from fleetpulse.disk_space import RESERVE, Reserve, Space, space_of


def test_the_space_of_a_folder_is_that_of_its_disk(tmp_path: Path) -> None:
    space = space_of(tmp_path)
    assert space is not None
    assert 0 < space.free_bytes < space.size_bytes
    assert space_of(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("space", "size_bytes"),
    [(Space(10**9, 10**9), 1_000_000), (Space(10_000_000, 20_000_000), 800_000), (Space(3_000_000, 10**9), None)],
)
def test_a_reserve_is_made_where_there_is_room_and_given_up(
    space: Space, size_bytes: int | None, tmp_path: Path
) -> None:
    reserve = Reserve(tmp_path, size_bytes=1_000_000)
    reserve.keep(space)
    assert [file.stat().st_size for file in tmp_path.iterdir()] == ([] if size_bytes is None else [size_bytes])
    reserve.release()
    reserve.release()
    assert list(tmp_path.iterdir()) == []


def test_a_reserve_that_cannot_be_made_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "folder" / RESERVE).mkdir(parents=True)
    Reserve(tmp_path / "folder", size_bytes=10).keep(Space(10**9, 10**9))
    Reserve(tmp_path / "missing", size_bytes=10).keep(Space(10**9, 10**9))
    Reserve(tmp_path, size_bytes=0).keep(Space(10**9, 10**9))
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
