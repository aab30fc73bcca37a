import os
from pathlib import Path

import pytest

from fleetpulse.ingest.file_bytes import check_unchanged, read_whole


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"content")
    assert read_whole(path) == b"content"
    assert read_whole(Path(os.devnull)) == b""


@pytest.mark.parametrize("later", [b"y", b"x" * 200, b"z" * 100])
def test_a_file_that_is_written_to_meanwhile_is_refused(tmp_path: Path, later: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    os.utime(path, ns=(1, 1))
    before = path.stat()
    check_unchanged(before, before, bytes_read=100)
    with pytest.raises(OSError, match="written to while it was read"):
        check_unchanged(before, before, bytes_read=50)
    path.write_bytes(later)
    with pytest.raises(OSError, match="written to while it was read"):
        check_unchanged(before, path.stat(), bytes_read=len(later))
