"""Syncing and locking of folders, and whether paths still lead to what was opened under them."""

import os
import threading
from pathlib import Path

import pytest

from fleetpulse.disk import Moved, OpenedPaths, locked_folder, sync_folder


def test_a_folder_is_synced_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


def test_one_at_a_time_has_a_folder_locked_by_whatever_path(tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    entered = threading.Event()

    def enter() -> None:
        with locked_folder(link):
            entered.set()

    with locked_folder(folder):
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(10)
    thread.join()


def test_what_is_as_it_was_opened_may_grow_and_be_written(tmp_path: Path) -> None:
    file, log = tmp_path / "a", tmp_path / "a-wal"
    file.write_text("1")
    log.write_text("")
    opened = OpenedPaths(tmp_path, file, growing=log)
    for body in ("", "frame", "frame frame"):
        file.write_text(body[:2])
        log.write_text(body)
        opened.check()


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def remove_and_write(path: Path) -> None:
    body = path.read_bytes()
    with path.open("rb"):  # as a service has it: the number of a file is not used again while it is open
        path.unlink()
        path.write_bytes(body)


def cut(path: Path) -> None:
    os.truncate(path, 1)


@pytest.mark.parametrize("accident", [Path.unlink, move_away, replace, remove_and_write, cut])
def test_what_is_removed_replaced_or_cut_is_noticed_by_its_name(tmp_path: Path, accident: object) -> None:
    assert callable(accident)
    log = tmp_path / "a-wal"
    log.write_text("frames")
    opened = OpenedPaths(tmp_path, growing=log)
    opened.check()
    accident(log)
    with pytest.raises(Moved, match=r"a-wal is not what the service has opened there.*restart"):
        opened.check()


def test_a_folder_that_was_replaced_is_noticed_though_the_file_in_it_is_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("1")
    opened = OpenedPaths(folder, folder / "a")
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    os.link(tmp_path / "elsewhere" / "a", folder / "a")
    with pytest.raises(Moved, match="data is not what"):
        opened.check()
