"""What the soak test does to a service while its clients report, and what must be so afterwards."""

import csv
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from command import COMMAND
from conftest import Server
from fleetpulse.simulation.verdict import parse_duration
from http_client import Client
from soak_devices import API, BRIEF_S, DAYS, DOWN_AFTER_S, Probe, iso
from soak_model import Declared, DeviceModel, figure
from soak_senders import Target

AGGREGATIONS = ("count", "sum", "avg", "min", "max", "latest")
METRICS = [
    {"name": "temperature", "unit": "celsius", "aggregation": "avg"},
    {"name": "boots", "kind": "integer", "aggregation": "sum"},
]


@dataclass
class Seen:
    """What the service answered about the past of one device, which must never change."""

    device: str
    question: str
    transitions: list[Any]


@dataclass
class Soak:
    """The service, what disturbs it, and what it is expected to know."""

    folder: Path
    seed: int
    target: Target
    chance: random.Random
    started_s: float
    declared: dict[str, Declared] = field(default_factory=dict)
    disturbed: list[tuple[float, float]] = field(default_factory=list)
    """When something was done to the service, by the clock of this machine: its probes prove nothing then."""
    seen: list[Seen] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    server: Server | None = None

    def __post_init__(self) -> None:
        self.step(0.0)
        for number in range(6):
            fields = {"site": f"site-{number % 2}", "note": "", "interval": "60s"}
            self.declared[f"declared-{number}"] = Declared({"site": fields["site"]}, fields)
        self.write_devices()

    def step(self, seconds: float) -> None:
        """Set the service's clock ahead of ours, or back."""
        new = self.folder / "step.new"
        new.write_text(str(seconds))
        new.replace(self.folder / "step")

    def write_devices(self) -> None:
        lines = ["device_id,site", *(f"{device},{of.in_file['site']}" for device, of in self.declared.items())]
        new = self.folder / "devices.new"
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.folder / "devices.csv")

    def start(self, *, await_ready: bool = True) -> None:
        settings = self.folder / "settings.toml"
        settings.write_text(
            f'data = "{self.folder / "data"}"\ndevices = "{self.folder / "devices.csv"}"\nport = 0\n'
            f'metrics = "{self.folder / "metrics.json"}"\ncheckpoint_s = 0.5\nlog_format = "json"\n'
        )
        script = Path(__file__).parent / "fault" / "serve_under_clock.py"
        command = [sys.executable, str(script), str(self.folder / "step"), str(settings)]
        log = self.folder / f"log-{time.monotonic_ns()}"
        self.server = Server.run(command, log=log, folder=self.folder / "data", await_ready=await_ready)
        self.target.port = self.server.port

    def client(self) -> Client:
        return Client(self.target.port)

    def when_ready(self) -> None:
        """Wait until the service takes events."""
        deadline = time.monotonic() + 60
        client = self.client()
        while client.ask("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline, self.server.log.read_text() if self.server else ""
            time.sleep(0.02)
        client.close()

    # What happens to it

    def restart(self) -> None:
        self.stop(signal.SIGTERM)
        self.start()

    def kill(self) -> None:
        self.stop(signal.SIGKILL)
        self.start()

    def stop(self, number: int) -> None:
        assert self.server is not None
        status = self.server.stop(number)
        assert status == (0 if number == signal.SIGTERM else -number), self.server.log.read_text()[-3000:]
        assert "by a defect of ours" not in self.server.log.read_text()

    def clock_back(self) -> None:
        """The clock goes back for a moment, as when a board's own clock is read again."""
        self.step(-self.chance.choice((30.0, 2400.0, 4 * 86_400.0)))
        time.sleep(self.chance.uniform(0.2, 1.5))
        self.step(0.0)
        self.when_ready()

    def boot_in_the_past(self) -> None:
        """A board without a clock: it starts in 1970, or half an hour behind, and is set right seconds later."""
        self.stop(self.chance.choice((signal.SIGTERM, signal.SIGKILL)))
        self.step(self.chance.choice((-1800.0, -time.time() + 5)))
        self.start(await_ready=False)
        time.sleep(self.chance.uniform(0.5, 2.0))
        self.step(0.0)
        self.when_ready()

    def clock_ahead(self) -> None:
        """The clock is an hour ahead for a moment, and the operator accepts the right one."""
        self.step(3600.0)
        time.sleep(self.chance.uniform(0.3, 1.0))
        self.step(0.0)
        time.sleep(0.3)
        self.accept_clock()
        self.when_ready()

    def accept_clock(self) -> None:
        command = [*COMMAND, "clock", "accept", "--yes", "--url", self.target.url("")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def lock(self) -> None:
        """A backup that holds the lock of a database for a while."""
        name = self.chance.choice(("journal.sqlite", "catalog.sqlite"))
        database = sqlite3.connect(self.folder / "data" / name, isolation_level=None, timeout=5)
        try:
            database.execute(self.chance.choice(("BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN")))
            database.execute("SELECT count(*) FROM sqlite_master").fetchall()
            time.sleep(self.chance.uniform(0.1, 1.5))
            database.execute("ROLLBACK")
        finally:
            database.close()

    def edit_file(self) -> None:
        device = self.chance.choice(list(self.declared))
        self.declared[device].edit_file("site", f"site-{self.chance.randrange(1000)}")
        self.write_devices()
        assert self.server is not None
        self.server.process.send_signal(signal.SIGHUP)
        self.await_declared(device)

    def await_declared(self, device: str) -> None:
        """Wait until the service has read the file."""
        deadline = time.monotonic() + 30
        while True:
            faults = self.wrong_declarations([device])
            if not faults:
                return
            assert time.monotonic() < deadline, faults
            time.sleep(0.05)

    def edit_by_api(self) -> None:
        device = self.chance.choice([device for device, of in self.declared.items() if not of.is_deleted])
        name, value = self.chance.choice(
            (("note", f"note {self.chance.randrange(1000)}"), ("site", f"api-{self.chance.randrange(1000)}"),
             ("interval", f"{self.chance.randrange(2, 60)}s"))
        )  # fmt: skip
        body = {"labels": {"site": value}} if name == "site" else {name: value}
        assert self.persist("PATCH", f"{API}/devices/{device}", body) == 200
        self.declared[device].edit(name, value)

    def delete(self) -> None:
        living = [device for device, of in self.declared.items() if not of.is_deleted]
        if len(living) > 2:
            device = self.chance.choice(living)
            assert self.persist("DELETE", f"{API}/devices/{device}", None) in (200, 404)
            self.declared[device].delete()

    def persist(self, method: str, path: str, body: object) -> int:
        """Repeat a request until the service answers other than that it is busy."""
        deadline = time.monotonic() + 60
        while True:
            client = self.client()
            status, _ = client.ask(method, path, body)
            client.close()
            if status not in (429, 503):
                return status
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def look(self) -> None:
        """Ask for the past of a probe, and whether what was answered about its past is the same still."""
        client = self.client()
        device = f"probe-{self.chance.randrange(2)}"
        question = f"{API}/devices/{device}/transitions?from={iso(self.started_s)}&to={iso(time.time() - 4)}"
        status, answer = client.ask("GET", question)
        if status == 200:
            self.seen.append(Seen(device, question, answer["transitions"]))
        client.close()

    def run(self, seconds: float) -> None:
        """Disturb the service in each way at least once, and then for as long as is left.

        Now and then comes a rest, in which the probes prove something.
        """
        quiet = (self.edit_file, self.edit_by_api, self.delete, self.look, self.look)
        loud = (self.restart, self.kill, self.clock_back, self.boot_in_the_past, self.lock, self.clock_ahead)
        end = time.monotonic() + seconds
        order: list[Callable[[], None]] = []
        every_way = {way.__name__ for way in (*loud, *quiet, self.rest)}
        while time.monotonic() < end or not every_way <= self.done.keys():
            if not order:
                order = [*loud, *quiet, *quiet, self.rest]
                self.chance.shuffle(order)
            action = order.pop()
            before_s = time.time()
            action()
            if action in loud:
                self.disturbed.append((before_s, time.time()))
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
            if self.chance.random() < 0.1:
                self.rest()
            else:
                time.sleep(self.chance.uniform(0.0, 0.8))

    def rest(self) -> None:
        """Leave the service alone for longer than a probe takes to be down."""
        time.sleep(7.0)

    # What must be so

    def wrong_declarations(self, devices: list[str]) -> list[str]:
        faults = []
        client = self.client()
        for device in devices:
            of = self.declared[device]
            status, answer = client.ask("GET", f"{API}/devices/{device}")
            if of.is_deleted:
                faults += [f"{device} was deleted: {status} {answer}"] if status != 404 else []
                continue
            if status != 200:
                faults.append(f"{device}: {status} {answer}")
                continue
            found = {"site": answer["labels"].get("site"), "note": answer["note"], "interval": answer["interval"]}
            expected = {**of.fields, "interval": of.fields["interval"].replace("60s", "1m")}
            faults += [f"{device}: {found} is not {expected}"] if found != expected else []
        client.close()
        return faults

    def wrong_history(self) -> list[str]:
        client = self.client()
        faults = []
        for seen in self.seen:
            status, answer = client.ask("GET", seen.question)
            assert status == 200, answer
            if answer["transitions"] != seen.transitions:
                faults.append(f"{seen.question}: {answer['transitions']} was {seen.transitions}")
        client.close()
        return faults

    def wrong_probes(self, probes: list[Probe]) -> tuple[int, list[str]]:
        """How many silences proved something, and what they disprove."""
        client = self.client()
        proved, faults = 0, []
        for probe in probes:
            question = f"{API}/devices/{probe.name}/transitions?from={iso(self.started_s)}&to={iso(time.time())}"
            status, answer = client.ask("GET", question)
            assert status == 200, answer
            downs = [parse_time(change["at"]) for change in answer["transitions"] if change["to"] == "down"]
            for one, two in zip(probe.beats, probe.beats[1:], strict=False):
                start_s, end_s = one.after_s, two.before_s
                others = [*self.disturbed, *((beat.after_s, beat.before_s) for beat in probe.unclear)]
                if any(since_s < end_s + 1 and until_s > start_s - 1 for since_s, until_s in others):
                    continue
                if two.after_s - one.before_s > DOWN_AFTER_S + 0.1:
                    proved += 1
                    earliest_s, latest_s = one.after_s + DOWN_AFTER_S, one.before_s + DOWN_AFTER_S
                    if sum(earliest_s - 1e-3 <= at <= latest_s + 1e-3 for at in downs) != 1:
                        faults.append(f"{probe.name} was silent from {iso(one.before_s)}, and down at {downs}")
                elif two.before_s - one.after_s < BRIEF_S and any(start_s < at < end_s for at in downs):
                    faults.append(f"{probe.name} was down between {iso(start_s)} and {iso(end_s)}, and was heard")
        client.close()
        return proved, faults

    def wrong_figures(self, models: dict[str, DeviceModel]) -> list[str]:
        client = self.client()
        window = f"from={iso(self.started_s - (DAYS + 1) * 86_400)}&to={iso(self.started_s + 1)}"
        faults = []
        for device, model in models.items():
            status, stats = client.ask("GET", f"{API}/devices/{device}/stats")
            expected = (200, model.lifetime_uptime, model.average_upload_time)
            found = (status, stats["uptime"], parse_duration(stats["avg_upload_time"]))
            faults += [f"{device}: {found} is not {expected}"] if found != expected else []
            for aggregation in AGGREGATIONS:
                path = f"{API}/devices/{device}/metrics?types=temperature,boots&aggregation={aggregation}&{window}"
                status, answer = client.ask("GET", path)
                assert (status, answer["missing"]) == (200, []), answer
                for metric in ("temperature", "boots"):
                    right = figure(model.samples.get(metric, set()), aggregation)
                    value = answer["metrics"][metric]["value"]
                    if repr(value) != repr(right):
                        faults.append(f"{device}: {aggregation} of {metric} is {value!r}, not {right!r}")
        every = [model.samples.get("temperature", set()) for model in models.values()]
        status, answer = client.ask("GET", f"{API}/fleet/metrics?types=temperature&aggregation=sum&{window}")
        assert status == 200, answer
        found = answer["groups"][0]["metrics"]["temperature"]["value"]
        right = figure(
            {(place, value) for place, value in enumerate(value for one in every for _, value in one)}, "sum"
        )
        faults += [f"the fleet's sum is {found!r}, not {right!r}"] if repr(found) != repr(right) else []
        client.close()
        return [*faults, *self.wrong_minutes(models, window)]

    def wrong_minutes(self, models: dict[str, DeviceModel], window: str) -> list[str]:
        client = self.client()
        faults = []
        for device, model in models.items():
            client.connection.request("GET", f"{API}/export?what=presence&device={quote(device)}&{window}")
            response = client.connection.getresponse()
            lines = list(csv.DictReader(response.read().decode().splitlines()))
            found = {int(parse_time(line["minute"]) // 60) for line in lines}
            if found != model.minutes or len(lines) != len(found):
                faults.append(f"{device}: minutes differ: {sorted(found ^ model.minutes)[:5]}")
        client.close()
        return faults


def parse_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
