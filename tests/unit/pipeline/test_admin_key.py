import stat
from pathlib import Path

import pytest

from fleetpulse.errors import StorageFailed
from fleetpulse.pipeline.admin_key import write_admin_key


def test_the_file_is_for_its_owner_only_and_replaces_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("an older one, which everybody may read")
    (tmp_path / "admin.key").chmod(0o644)
    (tmp_path / "secret").write_text("not ours")
    (tmp_path / "admin.key.part").symlink_to(tmp_path / "secret")
    path = write_admin_key(tmp_path, "fp_admin_1_x")
    assert path.read_text() == "fp_admin_1_x\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "secret").read_text() == "not ours"


def test_a_folder_that_refuses_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"admin\.key"):
        write_admin_key(tmp_path / "gone", "fp_admin_1_x")
