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

from command import COMMAND, run_command
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
        done = run_command(*arguments, environment=self.environment)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if status else done.stdout

    def json(self, *arguments: str) -> Any:
        """What `--json` prints."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands, and a server with 4 h of four devices: press-2 misses each fourth minute, oven:1 stops half-way."""
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
        is_on = (start_s // 60 + minute) // 5 % 2 == 1 and minute < MINUTES // 2
        there = ["press-1", *(["press-2"] if minute % 4 != 3 else []), *(["oven:1"] if is_on else [])]
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
    assert "(formula uptime/2)" in shown
    assert "new   up" in shown
    assert run.json("devices", "show", "oven:1")["interval"] == "5m"
    assert "its interval of 5m fits" in run("devices", "fit", "oven:1", "--window", "5h")
    assert run.json("devices", "fit", "--window", "5h", "--limit", "2")["total"] == 4
    # Where an interval is 80 s, beats that are two minutes apart leave no gap.
    assert run("devices", "fit", "--window", "5h", "-o", "-") == "device_id,interval\r\npress-2,1m20s\r\n"
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
    of_one = ("uptime", "device", "press-2", *run.window)
    assert "uptime 75.00000 %, up 3h of 4h (formula uptime/2), 60 gaps, the longest 2m" in run(*of_one)
    slots = run(*of_one, "--formula", "uptime/1")
    assert "uptime 75.00000 %, 180 of 240 slots of 1m present (formula uptime/1.1)" in slots
    explained = run("uptime", "device", "oven:1", *run.window, "--explain", "--step", "1h")
    assert "down" in explained
    assert "backfilled" in explained
    fleet = run("uptime", "fleet", "--group-by", "site", "--step", "1h", *run.window)
    assert "paris 2 87.50000 7h 8h" in _squeezed(fleet)
    assert run.json("uptime", "fleet", "--label", "site:paris", *run.window)["fleet"]["up_s"] == 25_200.0


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
    day = run.json("maintenance", "add", "--device", "=odd", "--start", "2020-01-01", "--for", "1d")
    assert (day["start"], day["end"]) == ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")
    assert "names no day" in run("maintenance", "add", "--all", "--at", "02:30", "--for", "1h", "--on", "", status=1)
    assert "there is no day" in run("maintenance", "add", "--all", "--start", "2020-02-30", "--for", "1h", status=1)
    for window in (again, once, day):
        assert "is deleted" in run("maintenance", "remove", window["id"])


def test_a_rule_of_alerts_is_declared_changed_and_removed(run: Commands) -> None:
    rules = ("alerts", "rules")
    assert "--kind" in run(*rules, "set", "hot", status=1)
    condition = ("--kind", "metric", "--condition", "cpu avg over 600s > 90", "--label", "site:paris")
    made = run.json(*rules, "set", "hot", *condition, "--annotation", "summary={device} is hot")
    assert (made["condition"], made["labels"], made["origin"]) == ("cpu avg over 10m > 90", {"site": "paris"}, "api")
    changed = run.json(*rules, "set", "hot", "--for", "5m", "--all", "--disable", "--annotation", "summary=")
    assert (changed["for"], changed["labels"], changed["enabled"], changed["annotations"]) == ("5m", {}, False, {})
    assert "cpu avg over 10m > 90" in run(*rules, "list")
    assert "condition: expected" in run(*rules, "set", "hot", "--condition", "cpu > 90", status=1)
    drift = run.json(*rules, "set", "hot", "--kind", "drift", "--condition", "drift > 9s", "--enable")
    assert (drift["condition"], drift["enabled"], drift["for"]) == ("drift > 9s", True, "5m")
    assert "would fire now: 0" in run(*rules, "try", "hot", "--condition", "drift > 9d")
    assert "service  firing" in run(*rules, "try", "--kind", "service", "--condition", "disk_free < 100 %")
    assert "give its name, or --kind" in run(*rules, "try", status=1)
    assert "is removed" in run(*rules, "remove", "hot")
    assert "device-offline" in run(*rules, "show", "hot", status=1)


def test_a_report_adds_up_to_what_devices_say_and_tells_how_to_ask_them(run: Commands) -> None:
    report = run.json("report", "uptime", *run.window, "--group-by", "site", "--sla", "75.0", "--devices")
    with ThreadPoolExecutor(2) as pool:
        again = pool.map(lambda line: run.json(*shlex.split(line["reproduce"])[1:]), report["devices"])
        figures_of = {figures["device_id"]: figures for figures in again}
    assert [line["id"] for line in report["devices"]] == ["oven:1", "press-2", "press-1", "=odd"]  # worst first
    assert set(figures_of) == {"press-1", "press-2", "oven:1", "=odd"}
    for line in report["devices"]:
        assert {name: line[name] for name in ("uptime", "up_s", "accountable_s", "left_out_s")} == {
            name: figures_of[line["id"]][name] for name in ("uptime", "up_s", "accountable_s", "left_out_s")
        }
        assert line["gaps"]["count"] == figures_of[line["id"]]["gaps"]["count"]
    for line in [*report["groups"], {**report["fleet"], "group": None}]:
        members = [device["id"] for device in report["devices"] if line["group"] in (None, device["group"])]
        assert (line["up_s"], line["accountable_s"]) == tuple(
            pytest.approx(sum(figures_of[device][name] for device in members)) for name in ("up_s", "accountable_s")
        )
        share = 100 * line["up_s"] / line["accountable_s"] if line["accountable_s"] else None
        assert line["uptime"] == (None if share is None else pytest.approx(share))
    (paris,) = (line for line in report["groups"] if line["group"] == "paris")
    assert (paris["up_s"], paris["accountable_s"], paris["sla_met"]) == (420 * 60, 480 * 60, True)
    # Every fourth minute is missed, so that after each gap the device is up for three minutes.
    assert (paris["mean_repair_s"], paris["gaps"]["count"]) == (60, 60)
    assert {line["id"]: line["sla_met"] for line in report["devices"]} == {
        "oven:1": False,
        "press-2": True,
        "press-1": True,
        "=odd": None,
    }
    assert report["fleet"]["left_out_s"]["before_first_seen"] >= 240 * 60
    assert "add up to those of the fleet" in report["method"]["check"]
    assert run.json(*shlex.split(paris["reproduce"])[1:])["fleet"]["up_s"] == 420 * 60


def test_a_report_says_the_same_in_every_format(run: Commands, tmp_path: Path) -> None:
    flags = ("report", "uptime", *run.window, "--group-by", "site", "--sla", "99.9", "--devices")
    table = run(*flags)
    assert "uptime/2: 100 × seconds up ÷ seconds accountable" in table
    assert f"fleetpulse uptime device ID --from {flags[3]} --to {flags[5]} --explain --url {run.url}" in table
    assert "paris 2 87.50000 1h 8h MISSED 60 2m 1m 7m" in _squeezed(table)
    run(*flags, "--format", "md", "-o", str(tmp_path / "report.md"))
    page = (tmp_path / "report.md").read_text()
    assert "| paris | 2 | 87.50000 | 1h | 8h | MISSED |" in page
    assert "| ly\\|on |" in page
    rows = list(csv.DictReader(io.StringIO(run(*flags, "--format", "csv"))))
    assert [row["kind"] for row in rows] == ["fleet", *["group"] * 3, *["device"] * 4]
    (odd,) = (row for row in rows if row["id"].endswith("=odd"))
    assert (odd["id"], odd["uptime_percent"], odd["sla_met"]) == ("'=odd", "", "")
    (paris,) = (row for row in rows if row["kind"] == "group" and row["group"] == "paris")
    names = ("up_s", "accountable_s", "downtime_s", "gaps", "sla_met", "formula")
    assert [paris[name] for name in names] == ["25200.0", "28800.0", "3600.0", "60", "false", "uptime/2"]
    listed = run.json(*flags, "--downtimes", "--step", "1h", "--sla-on", "availability")
    # Nothing was received in these hours.
    assert {step["percent"] for step in listed["fleet"]["steps"]} == {None}
    assert listed["downtimes"] == []
    press = [one for one in run.json(*flags, "--downtimes")["downtimes"] if one["id"] == "press-2"]
    assert (len(press), {one["seconds"] for one in press}) == (60, {60})
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


def test_people_are_let_in_with_passwords_from_files(run: Commands, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("seven lathes hum\n")
    file = ("--password-file", str(tmp_path / "password"))
    added = run("users", "add", "alice", "--role", "read", "--scope", "site:paris", *file)
    assert "alice" in added and "seven" not in added
    assert "there is a person alice already" in run("users", "add", "alice", "--role", "read", *file, status=1)
    assert "no terminal" in run("users", "set-password", "alice", status=1)
    run("users", "set-password", "alice", *file)
    assert run.json("users", "change", "alice", "--role", "operate", "--all")["scope"] == []
    assert "disabled" in run("users", "disable", "alice")
    assert "disabled" not in run("users", "enable", "alice")
    assert [one["role"] for one in run.json("users", "list")["people"]] == ["operate"]
    assert "alice is removed" in run("users", "remove", "alice")
    assert "Nobody may sign in" in run("users", "list")
