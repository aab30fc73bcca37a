"""The client commands as people run them, in a process of their own, against a real server."""

import csv
import io
import json
import os
import pty
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from command import COMMAND
from conftest import Server
from fleetpulse.notation.timestamp import format_rfc3339
from http_client import Client

FLEET = "device_id,site,interval,note\npress-1,paris,,\npress-2,paris,,[bold]x | y\noven:1,ly|on,5m,\n=odd,,,\n"
MINUTES = 240


class Commands:
    """Runs commands against one server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {**os.environ, "FLEETPULSE_URL": self.url}
        self.window: tuple[str, ...] = ()
        """The time that has data, as flags."""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output; standard error where the status is not 0."""
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=self.environment)
        assert done.returncode == status, done.stdout.decode() + done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return (done.stderr if status else done.stdout).decode()

    def json(self, *arguments: str) -> Any:
        """What `--json` prints."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands, and a server with 4 h of four devices: press-2 misses each fourth minute, oven:1 each second slot."""
    folder = tmp_path_factory.mktemp("commands")
    server = Server(folder / "data", devices=None)
    try:
        commands = Commands(server.port)
        _fill(commands, server.port, folder / "fleet.csv")
        yield commands
    finally:
        server.stop()


def _fill(commands: Commands, port: int, fleet: Path) -> None:
    fleet.write_text(FLEET + "not an id,,,\n")
    text = commands("devices", "import", str(fleet), "--dry-run", status=1)
    assert text == ""  # what is wrong with a line is the answer, not an error
    fleet.write_text(FLEET)
    assert "new: 4, changed: 0, unchanged: 0, refused: 0." in commands("devices", "import", str(fleet))
    assert "cpu" in commands("metrics", "define", "cpu", "--unit", "%", "--lowest", "0", "--highest", "100")
    start_s = int(time.time()) // 60 * 60 - MINUTES * 60
    commands.window = (
        "--from",
        format_rfc3339(start_s * 10**9),
        "--to",
        format_rfc3339((start_s + MINUTES * 60) * 10**9),
    )
    lines: list[dict[str, object]] = []
    for minute in range(MINUTES):
        at = format_rfc3339((start_s + minute * 60) * 10**9)
        is_odd_slot = (start_s // 60 + minute) // 5 % 2 == 1
        there = ["press-1", *(["press-2"] if minute % 4 != 3 else []), *(["oven:1"] if is_odd_slot else [])]
        lines += [{"device_id": device, "sent_at": at} for device in there]
        lines.append({"device_id": "press-1", "sent_at": at, "metrics": {"cpu": minute % 100}})
    lines += [{"device_id": "press-2", "sent_at": at, "upload_time": 3_000_000_000}]
    client = Client(port)
    assert client.ask("POST", "/api/v1/events", "\n".join(map(json.dumps, lines)).encode())[1]["accepted"] == len(lines)
    client.close()


def _squeezed(table: str) -> str:
    return " ".join(table.split())


def test_devices_are_listed_chosen_and_shown(run: Commands) -> None:
    table = run("devices", "list", "--limit", "2", "--sort=-uptime")
    assert "2 of 4 shown; --limit N or --all shows more." in table
    assert table.index("press-1") < table.index("press-2")
    assert [device["id"] for device in run.json("devices", "list", "--label", "site:paris", "--all")["devices"]] == [
        "press-1",
        "press-2",
    ]
    shown = run("devices", "show", "press-2")
    assert "[bold]x | y" in shown
    assert "slots of 1m present (formula uptime/1.1)" in shown
    assert "new   up" in shown
    assert run.json("devices", "show", "oven:1")["interval"] == "5m"
    changes = run("devices", "transitions", "press-1", "--window", "5h")
    assert "new   up" in changes
    assert "1 change of status" in changes


def test_a_device_lives_from_add_to_delete(run: Commands, tmp_path: Path) -> None:
    assert "site:a:b" in run("devices", "add", "late@1", "--label", "site:a:b", "--interval", "10m")
    declared = run.json(
        "devices",
        "set",
        "late@1",
        "--label",
        "hall:7",
        "--remove-label",
        "site",
        "--interval",
        "none",
        "--note",
        "moved",
    )
    assert (declared["labels"], declared["interval"], declared["has_own_interval"], declared["note"]) == (
        {"hall": "7"},
        "1m",
        False,
        "moved",
    )
    relabel = ("devices", "relabel", "--label", "hall:7", "--set", "hall:8", "--remove", "none-such")
    tried = run(*relabel, "--dry-run")
    assert "1 device matched, 1 would be changed." in tried
    assert ["late@1", "hall", "7", "8"] in [line.split() for line in tried.splitlines()]
    done = run.json(*relabel)
    assert (done["matched"], done["changed"], done["dry_run"]) == (1, 1, False)
    assert "paused until" in run("devices", "pause", "late@1", "--for", "2h")
    assert run.json("devices", "resume", "late@1")["status"] == "new"
    run("devices", "export", "--label", "hall:8", "-o", str(tmp_path / "out.csv"))
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert (row["device_id"], row["hall"], row["note"]) == ("late@1", "8", "moved")
    assert "device late@1 is deleted" in run("devices", "delete", "late@1")
    refusal = run("devices", "show", "late@1", status=1)
    assert refusal.startswith("fleetpulse: Device not found: the device late@1 was deleted; its history is answered")


def test_metrics_are_defined_and_asked_for(run: Commands) -> None:
    definition = run.json(
        "metrics", "change", "cpu", "--highest", "none", "--raw-days", "5", "--description", "how busy"
    )
    assert (definition["bounds"], definition["raw_days"], definition["description"]) == ([0, None], 5, "how busy")
    assert "how busy" in run("metrics", "list")
    assert "retention days  365" in run("metrics", "show", "cpu")
    run("metrics", "define", "gone", "--kind", "integer", "--highest", "9223372036854775807")
    assert "no longer taken" in run("metrics", "remove", "gone")
    table = run(
        "metrics",
        "get",
        "press-1",
        "--types",
        "cpu,upload_time",
        "--window",
        "5h",
        "--step",
        "10m",
        "--aggregation",
        "max",
    )
    assert "▁" in table
    assert "cpu  upload_time" in table
    assert (
        run.json("metrics", "get", "press-1", "--types", "cpu", "--window", "5h", "--aggregation", "count")["metrics"][
            "cpu"
        ]["value"]
        == 240
    )
    fleet = run("metrics", "fleet", "--types", "upload_time", "--window", "5h", "--group-by", "site")
    assert "paris 2 upload_time avg 3s" in _squeezed(fleet)


def test_uptime_is_told_with_its_fraction(run: Commands) -> None:
    assert "uptime 75.00000 %, 180 of 240 slots of 1m present" in run("uptime", "device", "press-2", *run.window)
    explained = run("uptime", "device", "oven:1", *run.window, "--explain", "--step", "1h")
    assert "down" in explained
    assert "backfilled" in explained
    fleet = run("uptime", "fleet", "--group-by", "site", "--step", "1h", *run.window)
    assert "paris 2 87.50000 420 480" in _squeezed(fleet)
    assert run.json("uptime", "fleet", "--label", "site:paris", *run.window)["fleet"]["present"] == 420


def test_maintenance_is_declared_and_taken_back(run: Commands) -> None:
    weekly = (
        "--at",
        "02:30",
        "--for",
        "1h",
        "--timezone",
        "Europe/Paris",
        "--on",
        "sunday,saturday",
        "--title",
        "clean",
    )
    again = run.json("maintenance", "add", "--label", "site:paris", *weekly)
    once = run.json("maintenance", "add", "--device", "=odd", "--start", "2020-01-01T00:00:00Z", "--for", "90m")
    assert once["end"] == "2020-01-01T01:30:00Z"
    listed = run("maintenance", "list")
    assert "saturday, sunday at 02:30 Europe/Paris for 1h" in listed
    assert "2020-01-01T00:00:00Z to 2020-01-01T01:30:00Z" in listed
    assert "a window that recurs needs its length" in run("maintenance", "add", "--all", "--at", "02:30", status=1)
    for window in (again, once):
        assert "is deleted" in run("maintenance", "remove", window["id"])


def test_a_report_adds_up_to_what_devices_say_and_tells_how_to_ask_them(run: Commands) -> None:
    report = run.json("report", "uptime", *run.window, "--group-by", "site", "--sla", "75.0", "--devices")
    with ThreadPoolExecutor(2) as pool:
        again = pool.map(lambda line: run.json(*shlex.split(line["reproduce"])[1:]), report["devices"])
        figures_of = {figures["device_id"]: figures for figures in again}
    assert [line["id"] for line in report["devices"]] == ["oven:1", "press-2", "press-1", "=odd"]  # worst first
    assert set(figures_of) == {"press-1", "press-2", "oven:1", "=odd"}
    for line in report["devices"]:
        assert {name: line[name] for name in ("uptime", "present", "expected", "left_out")} == {
            name: figures_of[line["id"]][name] for name in ("uptime", "present", "expected", "left_out")
        }
    for line in [*report["groups"], {**report["fleet"], "group": None}]:
        members = [device["id"] for device in report["devices"] if line["group"] in (None, device["group"])]
        assert (line["present"], line["expected"]) == tuple(
            sum(figures_of[device][name] for device in members) for name in ("present", "expected")
        )
        assert line["uptime"] == (100 * line["present"] / line["expected"] if line["expected"] else None)
    (paris,) = (line for line in report["groups"] if line["group"] == "paris")
    assert (paris["present"], paris["expected"], paris["sla_met"]) == (420, 480, True)
    assert {line["id"]: line["sla_met"] for line in report["devices"]} == {
        "oven:1": False,
        "press-2": True,
        "press-1": True,
        "=odd": None,
    }
    assert report["fleet"]["left_out"]["before first seen"] >= 240
    assert "add up to those of the fleet" in report["method"]["check"]
    assert run.json(*shlex.split(paris["reproduce"])[1:])["fleet"]["present"] == 420


def test_a_report_says_the_same_in_every_format(run: Commands, tmp_path: Path) -> None:
    flags = ("report", "uptime", *run.window, "--group-by", "site", "--sla", "99.9", "--devices")
    table = run(*flags)
    assert "uptime/1.1: 100 × slots present ÷ slots expected" in table
    assert f"fleetpulse uptime device ID --from {flags[3]} --to {flags[5]} --explain --url {run.url}" in table
    assert "paris 2 87.50000 420 480 MISSED" in _squeezed(table)
    run(*flags, "--format", "md", "-o", str(tmp_path / "report.md"))
    page = (tmp_path / "report.md").read_text()
    assert "| paris | 2 | 87.50000 | 420 | 480 | MISSED |" in page
    assert "| ly\\|on |" in page
    rows = list(csv.DictReader(io.StringIO(run(*flags, "--format", "csv"))))
    assert [row["kind"] for row in rows] == ["fleet", *["group"] * 3, *["device"] * 4]
    (odd,) = (row for row in rows if row["id"].endswith("=odd"))
    assert (odd["id"], odd["uptime_percent"], odd["sla_met"]) == ("'=odd", "", "")
    (paris,) = (row for row in rows if row["kind"] == "group" and row["group"] == "paris")
    assert (paris["present_slots"], paris["expected_slots"], paris["sla_met"], paris["formula"]) == (
        "420",
        "480",
        "false",
        "uptime/1.1",
    )
    whole = run.json("report", "uptime", "--window", "1h")
    assert (whole["to"][16:], whole["groups"], "devices" in whole) == (":00Z", [], False)


def test_raw_data_is_written_whole_or_not_at_all(run: Commands, tmp_path: Path) -> None:
    rows = list(
        csv.DictReader(io.StringIO(run("export", "samples", "--types", "cpu", "--window", "5h", "--device", "press-1")))
    )
    assert len(rows) == MINUTES
    file = tmp_path / "presence.parquet"
    run("export", "heartbeats", "--window", "5h", "--label", "site:paris", "-o", str(file))
    assert pq.read_table(file).num_rows == 420
    run("export", "silences", "--window", "5h", "-o", str(tmp_path / "silences.csv"))
    assert "no such metric" in run("export", "samples", "--types", "nope", "-o", str(tmp_path / "none.csv"), status=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["presence.parquet", "silences.csv"]
    ours, theirs = pty.openpty()
    command = [*COMMAND, "export", "presence", "--format", "parquet"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, env=run.environment, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, b"Parquet is not for terminals" in done.stderr) == (1, True)


def test_a_file_that_breaks_off_is_not_kept(run: Commands, tmp_path: Path) -> None:
    """A server that sends half of what it began, as ours does where a block turns out to be damaged."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def half() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

        sent = pool.submit(half)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = run("export", "presence", "-o", str(tmp_path / "half.csv"), "--url", url, status=1)
        sent.result(10)
    assert f"the answer of {url} broke off after 5 bytes" in error
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_says_why_and_what_to_do(run: Commands) -> None:
    error = run("devices", "list", "--url", "http://127.0.0.1:9", status=1)
    assert error.startswith("fleetpulse: http://127.0.0.1:9 cannot be asked: ")
    assert "Start the service (`fleetpulse serve`), or say where it is with --url or FLEETPULSE_URL." in error
    assert "expected something like http://127.0.0.1:6733" in run("devices", "list", "--url", "here", status=1)
    assert run("devices", "list", "--status", "gone", status=1).startswith("fleetpulse: status must be of new, up,")
    assert "unrecognized arguments: --statsu" in run("devices", "show", "x", "--statsu", status=2)
    assert "must be name:value such as site:paris" in run("uptime", "fleet", "--label", "paris", status=2)
