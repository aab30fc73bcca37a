from pathlib import Path

import pytest

from fleetpulse.disk import sync_folder


def test_a_folder_is_synced_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")
