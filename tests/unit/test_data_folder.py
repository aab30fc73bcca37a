"""The data folder belongs to one process at a time."""

import os
from pathlib import Path

import pytest

from fleetpulse.catalog_away import CatalogAway
from fleetpulse.clock import SystemClock
from fleetpulse.data_folder import hold_folder, open_catalog
from fleetpulse.errors import DataFolderInUse, SettingsError, StorageFailed
from fleetpulse.settings import Settings


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    with hold_folder(tmp_path / "new" / "data"):
        assert (tmp_path / "new" / "data" / "lock").read_text() == str(os.getpid())


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    with hold_folder(tmp_path), pytest.raises(DataFolderInUse, match=str(os.getpid())), hold_folder(tmp_path):
        pass


def test_a_folder_that_was_let_go_can_be_taken(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_folder(tmp_path):
            pass


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFailed, match="--data"), hold_folder(tmp_path / "data"):
        pass


def test_the_lock_holds_though_its_file_is_removed_and_by_whatever_path(tmp_path: Path) -> None:
    folder, link = tmp_path / "data", tmp_path / "link"
    link.symlink_to(folder)
    with hold_folder(folder):
        (folder / "lock").unlink()
        for path in (folder, link):
            with pytest.raises(DataFolderInUse), hold_folder(path):
                pass
        folder.rename(tmp_path / "moved")
        with pytest.raises(DataFolderInUse), hold_folder(tmp_path / "moved"):
            pass
        with hold_folder(folder):  # a new folder of the old name
            pass


def test_a_copy_whose_files_are_the_same_by_hard_links_is_in_use_too(tmp_path: Path) -> None:
    with hold_folder(tmp_path / "data"):
        (tmp_path / "copy").mkdir()
        os.link(tmp_path / "data" / "lock", tmp_path / "copy" / "lock")
        with pytest.raises(DataFolderInUse), hold_folder(tmp_path / "copy"):
            pass


def test_a_catalog_that_does_not_answer_is_asked_again_until_the_wait_is_over(tmp_path: Path) -> None:
    waits: list[float] = []
    settings = Settings(data=str(tmp_path), catalog="postgresql://nobody@127.0.0.1:1/none", catalog_wait_s=4)
    with pytest.raises(CatalogAway, match=r"127\.0\.0\.1:1/none"):
        open_catalog(settings, SystemClock(), sleep=waits.append)
    assert waits == [2.0, 2.0]


@pytest.mark.parametrize("address", ["mysql://h/d", "postgresql://u:hidden@h/d?nonsense=1", "host=h"])
def test_an_address_that_is_none_is_refused_without_showing_a_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="postgresql://user@host") as refused:
        open_catalog(Settings(data=str(tmp_path), catalog=address), SystemClock(), sleep=lambda _: None)
    assert "hidden" not in str(refused.value)
