"""A question over millions of samples takes the memory of its answer and a constant, and gives it back; or is refused.

The memory is that of the real process, as the kernel counts it.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import run_command
from conftest import Server
from http_client import Client

API = "/api/v1"
DEVICES, DAYS = 1_000, 5
DEAR = f"{API}/fleet/metrics?types=cpu&window={DAYS}d&step=1m&aggregation=p99"
MEMORY_MAX_MB, CONSTANT_MB, LEFT_MB = 64, 64, 48
"""`question_memory_max`; what is beside it: row groups that are read, footers, the answer as JSON; what stays."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Seven million samples, from which quantiles come by sketches: sorted at once they took 450 MB."""
    data = tmp_path_factory.mktemp("memory") / "data"
    flags = ["--devices", str(DEVICES), "--days", str(DAYS), "--metrics", "1"]
    run_command("generate", "--data", str(data), *flags).check_returncode()
    server = Server(
        data,
        "--cells-max",
        "10000000",
        "--question-memory-max",
        str(MEMORY_MAX_MB << 20),
        "--question-timeout-s",
        "120",
    )
    yield server
    assert server.stop() == 0


def memory_mb(server: Server, name: str) -> float:
    """VmRSS, or VmHWM: the most since it was last reset."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def reset_peak(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def test_a_dear_question_takes_no_more_than_its_memory_and_a_constant_and_gives_it_back(server: Server) -> None:
    client = Client(server.port)
    small = f"{API}/fleet/metrics?types=cpu&window=1h&step=1m&aggregation=p99"
    assert client.ask("GET", small)[0] == 200  # what is loaded at the first question does not count
    before_mb = memory_mb(server, "VmRSS")
    reset_peak(server)
    status, answer = client.ask("GET", DEAR)
    assert status == 200
    assert "sketches" in answer["metrics"]["cpu"]["method"]
    assert sum(point["count"] for point in answer["groups"][0]["metrics"]["cpu"]["series"]) > DAYS * DEVICES * 1_000
    assert memory_mb(server, "VmHWM") - before_mb <= MEMORY_MAX_MB + CONSTANT_MB
    deadline_s = time.monotonic() + 20
    while memory_mb(server, "VmRSS") - before_mb > LEFT_MB:
        assert time.monotonic() < deadline_s, (memory_mb(server, "VmRSS"), before_mb)
        time.sleep(0.1)
    client.close()


def test_an_answer_that_could_not_be_held_is_refused_before_anything_is_read(server: Server) -> None:
    client = Client(server.port)
    started_s = time.monotonic()
    status, refused = client.ask("GET", f"{API}/fleet/metrics?types=cpu&window={DAYS}d&step=1s")
    assert (status, refused["type"]) == (422, "urn:fleetpulse:problem:question_memory_max")
    assert "MB of memory for an answer of 432001 figures" in refused["msg"] or "432000 figures" in refused["msg"]
    assert "ask for a longer step, a shorter window" in refused["msg"]
    assert time.monotonic() - started_s < 5
    client.close()
