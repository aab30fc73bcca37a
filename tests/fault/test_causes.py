"""What keeps a start from beginning is told as what it is: no trace, and advice to restore a copy only for damage."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from command import refusal

RESTORE = "Restore the data folder from a copy"


def mounted(folder: Path, options: str) -> None:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr}")


def last_line(*words: str) -> str:
    """What a command that cannot be done prints in the end: one line, behind the name of the command."""
    last = refusal(*words).strip().splitlines()[-1]
    assert last.startswith("fleetpulse: "), last
    return last


def with_blocks_a_file(data: Path) -> None:
    data.mkdir()
    (data / "blocks").touch()


def with_folder_a_file(data: Path) -> None:
    data.touch()


def with_log_a_folder(data: Path) -> None:
    (data / "journal.sqlite-wal").mkdir(parents=True)


def with_database_a_folder(data: Path) -> None:
    (data / "catalog.sqlite").mkdir(parents=True)


def with_damaged_database(data: Path) -> None:
    data.mkdir()
    (data / "catalog.sqlite").write_bytes(b"no database" * 1_000)


@pytest.mark.parametrize(
    ("prepare", "text", "is_damage"),
    [
        (with_blocks_a_file, "blocks: a file stands where a folder belongs", False),
        (with_folder_a_file, "a file stands where a folder belongs", False),
        (with_log_a_folder, "or a folder where a file belongs", False),
        (with_database_a_folder, "or a folder where a file belongs", False),
        (with_damaged_database, "it is damaged", True),
    ],
)
def test_a_start_tells_why_it_cannot(
    prepare: Callable[[Path], None], text: str, is_damage: bool, tmp_path: Path
) -> None:
    prepare(tmp_path / "data")
    line = last_line("serve", "--port", "0", "--data", str(tmp_path / "data"))
    assert text in line
    assert (RESTORE in line) is is_damage


@pytest.mark.parametrize(("options", "text"), [("size=64k", "the disk is full"), ("ro", "is mounted read-only")])
def test_a_fresh_folder_on_a_disk_that_takes_nothing(options: str, text: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    mounted(disk, options)
    try:
        line = last_line("serve", "--port", "0", "--data", str(disk / "data"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert text in line
    assert RESTORE not in line
