"""Backups of a server under load, restored into an empty folder by the commands."""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from command import refusal, run_command
from conftest import Server
from unique_reports import Load, values_of


def back_up(server: Server, path: Path) -> None:
    words = ["backup", "-o", str(path), "--url", f"http://127.0.0.1:{server.port}"]
    done = run_command(*words)
    assert (done.returncode, "all are whole" in done.stderr) == (0, True), done.stderr


def test_what_was_acknowledged_before_a_backup_is_in_the_restored_folder(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("--auto-register", "--checkpoint-s", "0.2", "--block-grace-h", "0", devices=None)
    (server.folder / "admin.key").write_text("fp_admin_1_planted")
    load = Load(server.port)
    befores: list[set[int]] = []
    with load.running():
        for number in range(2):
            time.sleep(0.4)
            befores.append(set(load.acknowledged))
            back_up(server, tmp_path / f"{number}.tar")
    assert load.refused == []
    assert server.stop() == 0
    for number, before in enumerate(befores):
        archive, folder = tmp_path / f"{number}.tar", tmp_path / f"restored-{number}"
        assert b"fp_admin_1_planted" not in archive.read_bytes()
        restored = run_command("restore", str(archive), "--data", str(folder))
        assert restored.returncode == 0, restored.stdout + restored.stderr
        with contextlib.closing(sqlite3.connect(folder / "catalog.sqlite")) as catalog:
            acts = catalog.execute("SELECT count(*) FROM audit WHERE action = 'getBackup'").fetchone()[0]
        assert acts == number + 1, "who takes a backup is noted before it is made"
        again = Server(folder, devices=None)
        try:
            found = values_of(again)
        finally:
            assert again.stop() == 0
        assert before - found == set()
        assert found - set(load.acknowledged) == set()
    assert 10 < len(befores[0]) < len(befores[1])


def test_a_backup_goes_into_an_empty_folder_only_and_only_whole(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    archive = tmp_path / "fleet.tar"
    back_up(server, archive)
    assert "is not empty" in refusal("restore", str(archive), "--data", str(server.folder))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[:-20_000])
    folder = tmp_path / "restored"
    assert "cut off" in refusal("restore", str(cut), "--data", str(folder))
    # What was begun is no data folder, and is not taken for one.
    assert not (folder / "catalog.sqlite").exists()
    assert "is not empty" in refusal("restore", str(archive), "--data", str(folder))
    assert "no backup" in refusal("restore", __file__, "--data", str(tmp_path / "other"))
