"""kill -9 while keys are made, rotated and revoked: what was answered holds, on both HTTP paths."""

import http.client
import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from conftest import Server

ROUNDS = 2
BEAT = b'{"sent_at": "2026-11-24T08:30:00Z"}'


class Owner:
    """Makes and revokes keys until the server is gone, and knows which answers came."""

    def __init__(self, port: int, admin: str, chance: random.Random) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
        self.chance = chance
        self.live: dict[int, str] = {}
        self.revoked: list[str] = []
        self.has_worked = threading.Event()
        self.unclear: set[int] = set()
        """Keys of which a revocation was not answered."""

    def ask(self, method: str, path: str, body: object = None) -> Any:
        raw = None if body is None else json.dumps(body)
        self.connection.request(method, f"/api/v1/{path}", raw, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), text
        return json.loads(text)

    def run(self) -> None:
        try:
            while True:
                made = self.ask("POST", "keys", {"role": "device", "device_id": "press-07"})
                self.live[made["number"]] = made["key"]
                number = self.chance.choice(list(self.live))
                if self.chance.random() < 0.5:
                    self.unclear.add(number)
                    self.ask("DELETE", f"keys/{number}")
                    self.revoked.append(self.live.pop(number))
                    self.unclear.discard(number)
                if min(len(self.live), len(self.revoked)) > 3:
                    self.has_worked.set()
        except (OSError, http.client.HTTPException):
            self.connection.close()


def beat(connection: http.client.HTTPConnection, key: str) -> tuple[int, int]:
    """The statuses of a heartbeat at the front door, and of a question that the ASGI path answers."""
    statuses = []
    for method, path, body in (("POST", "/api/v1/devices/press-07/heartbeat", BEAT), ("GET", "/api/v1/whoami", None)):
        connection.request(method, path, body, {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    return statuses[0], statuses[1]


def test_what_was_answered_of_keys_holds_after_every_crash(tmp_path: Path) -> None:
    devices = tmp_path / "devices.csv"
    devices.write_text("device_id\npress-07\n")
    chance = random.Random(1)
    live: dict[int, str] = {}
    revoked: list[str] = []
    for _ in range(ROUNDS):
        server = Server(tmp_path / "data", "--auth", "required", "--device-burst", "100000", devices=devices)
        admin = (tmp_path / "data" / "admin.key").read_text().strip()
        owner = Owner(server.port, admin, chance)
        thread = threading.Thread(target=owner.run)
        thread.start()
        assert owner.has_worked.wait(60)
        time.sleep(chance.uniform(0, 0.05))
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        thread.join(30)
        assert not live.keys() & owner.live.keys()  # no number is given twice
        live |= {number: key for number, key in owner.live.items() if number not in owner.unclear}
        revoked += owner.revoked
    server = Server(tmp_path / "data", "--auth", "required", "--device-burst", "100000", devices=devices)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    found = {beat(connection, key) for key in live.values()}
    refused = {beat(connection, key) for key in revoked}
    connection.close()
    server.stop()
    assert min(len(live), len(revoked)) > 3
    assert (found, refused) == ({(204, 200)}, {(401, 401)})
