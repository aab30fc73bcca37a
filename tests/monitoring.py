"""Debian's Prometheus and Alertmanager by the files of deploy/monitoring, run before a real server."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from front_proxy import free_port

MONITORING = ROOT / "deploy/monitoring"
NEEDS_PROMETHEUS = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
    reason="needs prometheus and prometheus-alertmanager (Debian: packages of these names)",
)
WAIT_S = 60.0


def promtool(*words: str, stdin: bytes | None = None) -> str:
    """What promtool says; it must be satisfied."""
    done = subprocess.run(["promtool", *words], input=stdin, capture_output=True, check=False, cwd=MONITORING)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text


def await_true(check: Callable[[], object], *, within_s: float = WAIT_S) -> None:
    """Wait until `check` gives something true."""
    end_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end_s, check
        time.sleep(0.1)


def fetch(url: str) -> Any:
    """The JSON of an answer; None where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()  # it is starting
        return None
    except (urllib.error.URLError, ConnectionError):
        return None


class Monitoring:
    """Both programs, with the addresses, intervals and the key of a test."""

    def __init__(self, folder: Path, *, scraped_port: int, key: str = "", more: str = "") -> None:
        """`more`: is added to the jobs of Prometheus."""
        self.port, self.alertmanager_port = free_port(), free_port()
        folder.mkdir()
        self.folder = folder
        texts = {
            "fleetpulse:6733": f"127.0.0.1:{scraped_port}",
            "alertmanager:9093": f"127.0.0.1:{self.alertmanager_port}",
            "interval: 15s": "interval: 1s",
            "for: 1m": "for: 1s",
        }
        for name in ("prometheus.yml", "rules.yml", "alertmanager.yml"):
            text = (MONITORING / name).read_text()
            for old, new in texts.items():
                text = text.replace(old, new)
            (folder / name).write_text(text)
        with (folder / "prometheus.yml").open("a") as file:
            file.write(more)
        (folder / "scrape.key").write_text(key)

    @contextlib.contextmanager
    def running(self) -> Generator["Monitoring", None, None]:
        """Start both; end them."""
        folder = self.folder
        listen = "--web.listen-address=127.0.0.1"
        prometheus = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        alertmanager = [f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts"]
        commands = [
            ["prometheus", *prometheus, f"{listen}:{self.port}"],
            [
                "prometheus-alertmanager",
                *alertmanager,
                f"{listen}:{self.alertmanager_port}",
                "--cluster.listen-address=",
            ],
        ]
        with contextlib.ExitStack() as stack:
            for number, command in enumerate(commands):
                log = stack.enter_context((folder / f"{number}.log").open("w"))
                process = subprocess.Popen(command, stdout=log, stderr=log)
                stack.callback(process.wait)
                stack.callback(process.terminate)
            yield self

    def query(self, expression: str) -> list[float]:
        """The values that an expression has now; [] where it has none."""
        words = urllib.parse.urlencode({"query": expression})
        found = fetch(f"http://127.0.0.1:{self.port}/api/v1/query?{words}")
        if found is None:
            return []
        assert found["status"] == "success", found
        result = found["data"]["result"]
        return [float(one["value"][1]) for one in result]

    def targets(self, job: str) -> dict[str, dict[str, str]]:
        """The labels of the targets that Prometheus has found for a job, before relabelling, by address."""
        found = fetch(f"http://127.0.0.1:{self.port}/api/v1/targets") or {"data": {"activeTargets": []}}
        labels = [one["discoveredLabels"] for one in found["data"]["activeTargets"]]
        return {one["__address__"]: one for one in labels if one["job"] == job}

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that Alertmanager has."""
        return fetch(f"http://127.0.0.1:{self.alertmanager_port}/api/v2/alerts") or []
