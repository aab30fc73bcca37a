"""The data folder belongs to one process at a time."""

import os
from pathlib import Path

import pytest

from fleetpulse.data_folder import hold_folder
from fleetpulse.errors import DataFolderInUse, StorageFailed


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
