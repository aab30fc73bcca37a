"""A Docker engine of the tests' own: nothing is pulled, and nothing of it is left afterwards. Needs root.

The base image cannot be pulled everywhere, so a stand-in under its name is made of Debian's packages. It has the same
Debian and the same version of Python, in /usr instead of /usr/local. What it does not show: that the official image
has what the Dockerfile needs, and its exact size.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

BASE = "python:3.11-slim-bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LINKS = Path("/sys/class/net")
EMPTY_TABLES = {
    table: f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains.split()) + "COMMIT\n"
    for table, chains in {"filter": "INPUT FORWARD OUTPUT", "nat": "PREROUTING INPUT OUTPUT POSTROUTING"}.items()
}
"""The tables that an engine uses, for `iptables-restore`."""
START_S, STOP_S = 60.0, 60.0
TOOLS = ("dockerd", "docker", "docker-compose", "debootstrap", "ip")


def missing_tools() -> list[str]:
    """What is not installed of what the tests need."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


@contextlib.contextmanager
def running_engine(folder: Path) -> Generator[dict[str, str], None, None]:
    """An engine in `folder`. Yields the environment of clients: `docker`, `docker-compose`."""
    folder.mkdir(parents=True)
    host = f"unix://{folder}/docker.sock"
    # A configuration of the machine's own clients and proxies must not change what is tried.
    environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(folder / "client"), "DOCKER_BUILDKIT": "0"}
    before = Network()
    words = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    with (folder / "log").open("w") as log:
        engine = subprocess.Popen([*words, "-H", host], stdout=log, stderr=subprocess.STDOUT)
    try:
        end_s = time.monotonic() + START_S
        while subprocess.run(["docker", "info"], env=environment, capture_output=True, check=False).returncode:
            assert engine.poll() is None, f"dockerd ended:\n{(folder / 'log').read_text()[-3000:]}"
            assert time.monotonic() < end_s, f"dockerd does not answer:\n{(folder / 'log').read_text()[-3000:]}"
            time.sleep(0.2)
        yield environment
    finally:
        _end(engine, environment, folder)
        before.restore()


class Network:
    """The rules and bridges of this machine's network, as they are now.

    An engine that ends leaves its own, and with its rules every packet costs more, those of loopback included.
    """

    def __init__(self) -> None:
        saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True)
        self._rules, self._links = saved.stdout, set(LINKS.iterdir())

    def restore(self) -> None:
        """Make them again what they were."""
        made = "".join(empty for table, empty in EMPTY_TABLES.items() if f"*{table}\n" not in self._rules)
        subprocess.run(["iptables-restore"], input=self._rules + made, text=True, check=True)
        for link in set(LINKS.iterdir()) - self._links:
            if (link / "bridge").exists():
                subprocess.run(["ip", "link", "delete", link.name], check=True)


def _end(engine: subprocess.Popen[bytes], environment: dict[str, str], folder: Path) -> None:
    listed = subprocess.run(["docker", "ps", "-aq"], env=environment, capture_output=True, text=True, check=False)
    if names := listed.stdout.split():
        subprocess.run(["docker", "rm", "-f", *names], env=environment, capture_output=True, check=False)
    engine.terminate()
    try:
        engine.wait(STOP_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", mount], check=False)
    shutil.rmtree(folder)


def import_base(environment: dict[str, str], folder: Path) -> None:
    """Make the stand-in for the base image, under the name of the official one."""
    root = folder / "root"
    packages = "ca-certificates,python3,python3-venv"
    words = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root), _mirror()]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr
    # A machine may reach the registries through a certificate of its own.
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    change = f"ENV PIP_CERT={CERTIFICATES} PIP_DISABLE_PIP_VERSION_CHECK=1"
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
        words = ["docker", "import", "--change", change, "-", BASE]
        subprocess.run(words, stdin=packed.stdout, env=environment, check=True, capture_output=True)
    shutil.rmtree(root)


def _mirror() -> str:
    """Where this machine gets its Debian packages."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(place.read_text() for place in places if place.is_file())
    found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    assert found, "apt's sources name no mirror of Debian"
    return found[1]


def main() -> None:
    """Start an engine and end it: where the machine allows none, this says why, and its exit status is 1."""
    with tempfile.TemporaryDirectory() as name, running_engine(Path(name) / "engine"):
        pass


if __name__ == "__main__":
    main()
