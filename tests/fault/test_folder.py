"""A data folder that is removed, replaced or taken by a second process while a service runs on it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import run_command
from conftest import PUBLISHED, Server
from http_client import Client

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a checkpoint."""
    server = Server(tmp_path_factory.mktemp("prepared") / "data")
    assert beat(server, 0) == 204
    assert server.stop(signal.SIGTERM) == 0
    return server.folder


@pytest.fixture
def server(prepared: Path, serve: Serve, tmp_path: Path) -> Server:
    """A service whose folder holds a checkpoint, and an event after it; beside it is an older copy."""
    for name in ("data", "copy"):
        shutil.copytree(prepared, tmp_path / name)
    server = serve("--checkpoint-s", "1000")
    assert beat(server, 1) == 204
    return server


def beat(server: Server, minute: int) -> int:
    client = Client(server.port)
    status: int = client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": f"2026-01-01T00:{minute:02}:00Z"})[0]
    client.close()
    return status


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def move_and_restore(folder: Path) -> None:
    move(folder)
    folder.with_name("copy").rename(folder)


def remove_and_restore(folder: Path) -> None:
    remove(folder)
    shutil.copytree(folder.with_name("copy"), folder)


def remove_journal(folder: Path) -> None:
    (folder / "journal.sqlite").unlink()


def remove_log(folder: Path) -> None:
    (folder / "journal.sqlite-wal").unlink()


def cut_log(folder: Path) -> None:
    os.truncate(folder / "journal.sqlite-wal", 100)


def restore_files(folder: Path) -> None:
    for name in ("journal.sqlite", "catalog.sqlite"):
        shutil.copy(folder.with_name("copy") / name, folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)


def remove_catalog(folder: Path) -> None:
    (folder / "catalog.sqlite").unlink()


ACCIDENTS = [
    *(remove, move, move_and_restore, remove_and_restore, remove_journal, remove_log, cut_log, restore_files),
    remove_catalog,
]


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_no_event_is_acknowledged_into_a_folder_that_is_gone(
    server: Server, accident: Callable[[Path], None], serve: Serve
) -> None:
    accident(server.folder)
    assert [beat(server, minute) for minute in (2, 3)] == [503, 503]
    client = Client(server.port)
    status, ready = client.ask("GET", "/readyz")
    assert (status, ready["status"]) == (503, "read_only")
    assert f"{server.folder}" in ready["msg"] and "restart" in ready["msg"], ready
    assert client.ask("GET", "/healthz")[0] == 503
    assert client.ask("GET", "/api/v1/devices")[0] == 200  # it still answers, from memory at least
    assert client.ask("POST", "/api/v1/events", b'{"device_id": "%s"}' % PUBLISHED[0].encode())[0] == 503
    client.close()
    server.stop(signal.SIGTERM)
    assert "Traceback" not in server.log.read_text()
    if accident in {move_and_restore, remove_and_restore}:
        assert beat(serve(), 4) == 204  # what was restored is as it was


def test_a_folder_that_is_gone_is_noticed_without_an_event(server: Server) -> None:
    move(server.folder)
    server.wait_for_log("no events are accepted")
    client = Client(server.port)
    assert client.ask("GET", "/readyz")[0] == 503
    client.close()


def test_nothing_is_declared_in_a_catalog_that_was_replaced(server: Server) -> None:
    shutil.copy(server.folder.with_name("copy") / "catalog.sqlite", server.folder / "new")
    (server.folder / "new").replace(server.folder / "catalog.sqlite")
    client = Client(server.port)
    status, problem = client.ask("POST", "/api/v1/devices", {"id": "another"})
    assert (status, "removed, or replaced" in problem["msg"]) == (503, True), problem
    client.close()


def test_no_block_is_written_or_removed_in_a_folder_that_was_replaced(serve: Serve, server: Server) -> None:
    server.stop(signal.SIGKILL)
    server = serve("--checkpoint-s", "0.5", "--block-grace-h", "0")
    blocks = server.folder / "blocks"
    blocks.rename(server.folder / "blocks-moved")
    shutil.copytree(server.folder.with_name("copy") / "blocks", blocks)
    before = {path.name: path.stat().st_mtime_ns for path in blocks.iterdir()}
    assert beat(server, 5) == 204  # the journal is where it was
    server.wait_for_log("checkpoint failed")
    assert {path.name: path.stat().st_mtime_ns for path in blocks.iterdir()} == before


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Gives a folder a second path by a bind mount."""
    place = tmp_path / "mounted"

    def mount(folder: Path) -> Path:
        place.mkdir()
        done = subprocess.run(["mount", "--bind", str(folder), str(place)], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")
        return place

    yield mount
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


def link(folder: Path) -> Path:
    other = folder.with_name("link")
    other.symlink_to(folder)
    return other


def moved(folder: Path) -> Path:
    other = folder.with_name("moved")
    folder.rename(other)
    return other


COMMANDS = (["serve", "--port", "0"], ["verify"], ["generate", "--devices", "1", "--days", "1"])


@pytest.mark.parametrize("way", ["same", "link", "mount", "moved"])
def test_one_folder_has_one_process_though_its_lock_file_is_removed(
    server: Server, mounted: Callable[[Path], Path], way: str
) -> None:
    (server.folder / "lock").unlink()
    path = {"same": lambda folder: folder, "link": link, "mount": mounted, "moved": moved}[way](server.folder)
    for command in COMMANDS if way == "same" else COMMANDS[:1]:  # they all take the same lock
        done = run_command(*command, "--data", str(path))
        assert (done.returncode, "is in use by another process, whose number" in done.stderr) == (1, True), done.stderr
    if way != "moved":
        assert beat(server, 6) == 204
