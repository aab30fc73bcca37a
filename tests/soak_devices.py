"""The clients of the soak test: devices that repeat each report until it is answered, and probes of status."""

import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from http_client import Client
from soak_model import MS_PER_MINUTE, DeviceModel, Report
from soak_senders import Sender, Target

API = "/api/v1"
DAYS = 4
MS_PER_DAY = 86_400_000
FLOATS = (21.7, 0.1, -0.3, 1e16, -1e16, 1.0, 1e-9, 3.3e7, -1e-300, 1.7e300, -1.7e300)
PROBE_INTERVAL_S = 1
DOWN_AFTER_S = 2.0
"""A probe's interval and grace."""
BRIEF_S = 0.9
"""A probe that is heard at least so often is never down."""


def iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def iso_ms(at_ms: int) -> str:
    return iso(at_ms // 1000)[:-1] + f".{at_ms % 1000:03d}Z"


def body_of(report: Report, *, names_device: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"device_id": report.device} if names_device else {}
    body["sent_at"] = iso_ms(report.sent_at_ms)
    values = dict(report.values)
    if "upload_time" in values:
        body["upload_time"] = values["upload_time"]
    elif values:
        body["metrics"] = values
    return body


class Devices(threading.Thread):
    """Devices that share a client: a report is repeated until it is answered, then the model has it."""

    def __init__(self, name: str, sender: Sender, *, seed: int, started_s: float) -> None:
        super().__init__(name=name)
        self.models = {f"{name}-{number}": DeviceModel() for number in range(3)}
        self.acknowledged = self.unanswered = self.refused = 0
        self.faults: list[str] = []
        self.stopping = threading.Event()
        self._sender = sender
        self._chance = random.Random(f"{seed} {name}")
        self._until_ms = int(started_s * 1000)
        self._earlier: list[list[Report]] = []

    def run(self) -> None:
        try:
            while not self.stopping.is_set() and not self.faults:
                count = self._chance.choice((1, 1, 1, 1, 1, 1, 30))
                reports = [self._report() for _ in range(count)]
                if self._earlier and self._chance.random() < 0.2:
                    reports = self._chance.choice(self._earlier)  # sent again, as after a lost answer
                self._deliver(reports)
                self._earlier = [*self._earlier[-50:], reports]
                self.stopping.wait(0.01)
        except Exception as error:
            self.faults.append(f"{self.name}: {error!r}")
            raise
        finally:
            self._sender.close()

    def _report(self) -> Report:
        chance = self._chance
        device = chance.choice(list(self.models))
        sent_at_ms = self._until_ms - chance.randrange(DAYS * MS_PER_DAY)
        if chance.random() < 0.5:  # whole minutes, so that times meet
            sent_at_ms -= sent_at_ms % (60 * MS_PER_MINUTE)
        kind = chance.random()
        if kind < 0.4:
            return Report(device, sent_at_ms)
        if kind < 0.6:
            return Report(device, sent_at_ms, (("upload_time", chance.randrange(2**62)),))
        value = chance.choice(FLOATS) * chance.choice((1, 1, 1, chance.random()))
        return Report(device, sent_at_ms, (("temperature", value), ("boots", chance.randrange(-(2**60), 2**60))))

    def _deliver(self, reports: list[Report]) -> None:
        if len(reports) == 1:
            report = reports[0]
            kind = "heartbeat" if not report.values else "metrics" if report.marks_presence else "stats"
            path = f"{API}/devices/{report.device}/{kind}"
            body = json.dumps(body_of(report, names_device=False)).encode()
        else:
            path = f"{API}/events"
            body = b"\n".join(json.dumps(body_of(report, names_device=True)).encode() for report in reports)
        events = sum(max(1, len(report.values)) for report in reports)
        while True:
            answer = self._sender.send(path, body)
            if answer is None:
                self.unanswered += 1
            elif answer[0] in (429, 503):
                self.refused += 1
            elif answer[0] == 204 or (answer[0] == 200 and json.loads(answer[1])["accepted"] == events):
                break
            else:
                self.faults.append(f"{self.name}: {answer} to {path} {body[:300]!r}")
                return
            self.stopping.wait(0.02)
        for report in reports:
            self.models[report.device].add(report)
        self.acknowledged += len(reports)


@dataclass
class Heard:
    """One beat of a probe: received at some moment between, by the clock of this machine."""

    after_s: float
    before_s: float


class Probe(threading.Thread):
    """A device with a short interval, which falls silent now and then: what became of its status must be true."""

    def __init__(self, name: str, target: Target, *, seed: int) -> None:
        super().__init__(name=name)
        self.beats: list[Heard] = []
        self.unclear: list[Heard] = []
        """Beats without an answer, which the service may have received or not."""
        self.stopping = threading.Event()
        self._target = target
        self._chance = random.Random(f"{seed} {name}")

    def run(self) -> None:
        client, port = None, 0
        while not self.stopping.wait(0.3 if self._chance.random() < 0.93 else 3.5):
            after_s = time.time()
            if client is None or port != self._target.port:
                if client is not None:
                    client.close()
                port = self._target.port
                client = Client(port)
            try:
                status, _ = client.ask("POST", f"{API}/devices/{self.name}/heartbeat", {"sent_at": iso(after_s)})
            except (OSError, HTTPException):
                client.close()  # which connects again with the next request
                status = 0
            if status == 204:
                self.beats.append(Heard(after_s, time.time()))
            elif status == 0:
                self.unclear.append(Heard(after_s, time.time()))
        if client is not None:
            client.close()
