"""The image and the Compose file of deploy/, built and run by an engine of the tests' own: `make test-containers`.

One story in the order of the tests, since building and starting take most of the time.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine import BASE

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "deploy" / "compose.yaml"
PROJECT, SERVICE, NETWORK = "fleetpulse-test", "fleetpulse", "fleetpulse-test_default"
IMAGE, NEXT_IMAGE = "fleetpulse:test", "fleetpulse:next"
SIZE_BEYOND_BASE_MAX = 350_000_000
DEVICES = [f"box-{number}" for number in range(4)]
HEALTHY_S = 90.0
UPGRADE_DELAY_MAX_S = 20.0


@dataclass
class Docker:
    """The clients of the engine."""

    environment: dict[str, str]

    def run(self, *words: str, checked: bool = True) -> str:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False, timeout=400, cwd=ROOT
        )
        assert not checked or done.returncode == 0, f"{words}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + ("" if checked else done.stderr)

    def compose(self, *words: str) -> str:
        return self.run("docker-compose", "-p", PROJECT, "-f", str(COMPOSE), *words)

    @property
    def container(self) -> str:
        return self.compose("ps", "-q", SERVICE).strip()

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("docker", "inspect", name))[0]
        return found

    def inside(self, script: str, *, checked: bool = True) -> str:
        """What a shell in the container of the node prints. Commands of fleetpulse have the admin key."""
        key = ("-e", "FLEETPULSE_KEY_FILE=/data/admin.key")
        return self.run("docker", "exec", *key, self.container, "sh", "-c", script, checked=checked)

    def await_healthy(self, *, other_than: str = "") -> float:
        """Wait until the container is healthy, and was not started at `other_than`. Returns: how long it took."""
        began_s = time.monotonic()
        while True:
            state = self.inspect(self.container)["State"]
            if state["StartedAt"] != other_than and state.get("Health", {}).get("Status") == "healthy":
                return time.monotonic() - began_s
            assert time.monotonic() < began_s + HEALTHY_S, json.dumps(state) + self.compose("logs")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def docker(engine_environment: dict[str, str]) -> Docker:
    settings = {
        "FLEETPULSE_IMAGE": IMAGE,
        "FLEETPULSE_PUBLISH_PORT": str(free_port()),
        "FLEETPULSE_VOLUME": "fleetpulse-test-data",
    }
    return Docker({**engine_environment, **settings})


def test_the_image_is_built_and_small_and_holds_no_secret_and_no_root(docker: Docker) -> None:
    began_s = time.monotonic()
    docker.compose("build")
    image, base = docker.inspect(IMAGE), docker.inspect(BASE)
    beyond = image["Size"] - base["Size"]
    print(f"\nimage: {image['Size'] / 1e6:.0f} MB, {beyond / 1e6:.0f} MB beyond its base, ", end="")
    print(f"built in {time.monotonic() - began_s:.0f} s")
    assert beyond <= SIZE_BEYOND_BASE_MAX
    assert image["Config"]["User"] == "10001:10001"
    assert "healthy" in str(image["Config"]["Healthcheck"])
    listed = docker.run(
        "docker", "run", "--rm", "--entrypoint", "find", IMAGE, "/data", "/opt/fleetpulse", "-newer", "/"
    )
    assert "admin.key" not in listed


def test_the_node_comes_up_healthy_with_an_admin_key_in_the_volume(docker: Docker) -> None:
    docker.compose("up", "-d")
    print(f"\nhealthy after {docker.await_healthy():.1f} s")
    with urllib.request.urlopen(f"http://127.0.0.1:{docker.environment['FLEETPULSE_PUBLISH_PORT']}/readyz") as answer:
        assert answer.status == 200
    assert docker.inside("stat -c '%a %u' /data/admin.key").split() == ["600", "10001"]


def test_the_process_has_only_the_rights_and_the_room_that_it_needs(docker: Docker) -> None:
    assert docker.inside("id -u; id -g").split() == ["10001", "10001"]
    for place in ("/", "/opt/fleetpulse", "/etc", "/usr"):
        assert "Read-only file system" in docker.inside(f"touch {place}/written", checked=False)
    docker.inside("touch /data/written /tmp/written && rm /data/written /tmp/written")
    status = dict(line.split(":\t") for line in docker.inside("cat /proc/1/status").splitlines() if ":\t" in line)
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16), status["NoNewPrivs"]) == (0, 0, "1")
    memory = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    assert docker.inside(memory, checked=False).split()[0] == str(2 << 30)
    pids = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null"
    assert docker.inside(pids, checked=False).split()[0] == "200"
    processors = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"
    assert docker.inside(processors, checked=False).split()[0] == "200000"


def test_nothing_is_lost_when_the_node_is_killed_upgraded_and_stopped_under_load(docker: Docker) -> None:
    sender = start_sender(docker)
    time.sleep(5)
    killed = docker.inspect(docker.container)["State"]
    os.kill(killed["Pid"], 9)
    killed_s = docker.await_healthy(other_than=killed["StartedAt"])
    time.sleep(3)

    docker.run("docker", "build", "-q", "-t", NEXT_IMAGE, "--label", "upgraded=yes", "-f", "deploy/Dockerfile", ".")
    docker.environment["FLEETPULSE_IMAGE"] = NEXT_IMAGE
    before = docker.container
    docker.compose("up", "-d")
    docker.await_healthy()
    assert docker.container != before
    assert docker.inspect(docker.container)["Config"]["Labels"]["upgraded"] == "yes"
    time.sleep(3)

    docker.inside("cd /tmp && fleetpulse backup -o fleet.tar && fleetpulse restore fleet.tar --data restored")
    ledger = end_sender(docker, sender)
    acknowledged = {device: set(values) for device, values in ledger["acknowledged"].items()}
    count = sum(map(len, acknowledged.values()))
    print(f"\nhealthy {killed_s:.1f} s after the kill; {count} reports, none later than {ledger['longest_s']:.1f} s;")
    print(f"meanwhile: {json.dumps(ledger['failures'], indent=1)}")
    assert min(map(len, acknowledged.values())) > 50
    assert ledger["longest_s"] < UPGRADE_DELAY_MAX_S
    assert missing(docker, acknowledged) == {}
    # The control: a report that nobody sent must be missed.
    assert missing(docker, {DEVICES[0]: {10**9}}) == {DEVICES[0]: {10**9}}
    accounts = {device: accepted(docker, device) for device in DEVICES}
    assert all(accounts[device] >= 2 * len(values) for device, values in acknowledged.items())

    stopped = docker.container
    began_s = time.monotonic()
    docker.compose("stop")
    state = docker.inspect(stopped)["State"]
    print(f"stopped in {time.monotonic() - began_s:.1f} s")
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert '"event": "stopped"' in docker.run("docker", "logs", "--tail", "5", stopped, checked=False)
    verified = docker.compose("run", "--rm", SERVICE, "verify", "--data", "/data")
    assert "good" in verified and "WRONG" not in verified
    docker.compose("up", "-d")
    docker.await_healthy()
    assert missing(docker, acknowledged) == {}


def test_prometheus_and_alertmanager_start_beside_the_node_and_scrape_it(docker: Docker, tmp_path: Path) -> None:
    """By deploy/compose-monitoring.yaml, with Debian's programs under the names of the official images.

    What it does not show: that Grafana starts, which Debian does not have.
    """
    key = json.loads(docker.inside("fleetpulse keys add --role scrape --json"))["key"]
    (tmp_path / "scrape.key").write_text(key)
    (tmp_path / "scrape.key").chmod(0o644)
    ports = {name: free_port() for name in ("prometheus", "alertmanager")}
    for name, program in (("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(str(shutil.which(program)), folder / name)
        # Debian's Alertmanager has its templates in files.
        shared = Path("/usr/share/prometheus") / name
        shutil.copytree(shared, folder / "share") if shared.exists() else (folder / "share").mkdir()
        (folder / "Dockerfile").write_text(
            f"FROM {BASE}\nCOPY {name} /bin/{name}\nCOPY share {shared}\nRUN mkdir /{name} && chown 65534 /{name}\n"
            f'USER 65534\nENTRYPOINT ["/bin/{name}"]\n'
        )
        docker.run("docker", "build", "-q", "-t", f"{name}:test", str(folder))
        docker.environment[f"{name.upper()}_IMAGE"] = f"{name}:test"
        docker.environment[f"{name.upper()}_PUBLISH_PORT"] = str(ports[name])
    docker.environment["FLEETPULSE_SCRAPE_KEY_FILE"] = str(tmp_path / "scrape.key")
    files = ("-f", str(COMPOSE), "-f", str(COMPOSE.with_name("compose-monitoring.yaml")))
    docker.run("docker-compose", "-p", PROJECT, *files, "up", "-d", "prometheus", "alertmanager")
    query = "api/v1/query?query=fleetpulse_ready"
    prometheus = f"http://127.0.0.1:{ports['prometheus']}"
    await_json(f"{prometheus}/{query}", lambda answer: answer["data"]["result"])
    found = await_json(f"{prometheus}/api/v1/alertmanagers", lambda answer: answer["data"]["activeAlertmanagers"])
    assert found["data"]["activeAlertmanagers"][0]["url"] == "http://alertmanager:9093/api/v2/alerts"
    rules = await_json(f"{prometheus}/api/v1/rules", lambda answer: answer["data"]["groups"])
    assert len(rules["data"]["groups"][0]["rules"]) > 15
    try:
        await_json(f"http://127.0.0.1:{ports['alertmanager']}/api/v2/status", lambda answer: answer["cluster"])
    except AssertionError:
        print(docker.run("docker-compose", "-p", PROJECT, *files, "logs", "alertmanager", checked=False))
        raise


def await_json(url: str, is_there: Callable[[Any], Any]) -> Any:
    """The answer, once it has what is waited for."""
    end_s = time.monotonic() + HEALTHY_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)
            if is_there(found):
                return found
        assert time.monotonic() < end_s, url
        time.sleep(0.5)


def start_sender(docker: Docker) -> str:
    """Begin to send from a container beside the node. Returns: its id."""
    keys = {}
    for device in DEVICES:
        made = (
            f"fleetpulse devices add {device} >/dev/null && fleetpulse keys add --role device --device {device} --json"
        )
        keys[device] = json.loads(docker.inside(made))["key"]
    script = f"{Path(__file__).parent / 'sender.py'}:/sender.py:ro"
    words = ["docker", "run", "-d", "--network", NETWORK, "-v", script, "--entrypoint", "python", IMAGE]
    return docker.run(*words, "/sender.py", f"http://{SERVICE}:6733", json.dumps(keys)).strip()


def end_sender(docker: Docker, sender: str) -> dict[str, Any]:
    docker.run("docker", "stop", "-t", "30", sender)
    ledger: dict[str, Any] = json.loads(docker.run("docker", "logs", sender, checked=False))
    return ledger


def missing(docker: Docker, acknowledged: dict[str, set[int]]) -> dict[str, set[int]]:
    """The values that were acknowledged, and are not among the samples of the node, by device."""
    rows = csv.DictReader(io.StringIO(docker.inside("fleetpulse export samples --types upload_time --window 1h")))
    stored: dict[str, set[int]] = {}
    for row in rows:
        stored.setdefault(row["device_id"], set()).add(int(row["value"]))
    lost = {device: values - stored.get(device, set()) for device, values in acknowledged.items()}
    return {device: values for device, values in lost.items() if values}


def accepted(docker: Docker, device: str) -> int:
    """How many events of a device the node has."""
    address = f"http://127.0.0.1:{docker.environment['FLEETPULSE_PUBLISH_PORT']}/api/v1/devices/{device}/audit"
    key = docker.inside("cat /data/admin.key").strip()
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})) as answer:
        return int(json.loads(answer.read())["accepted"])


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
