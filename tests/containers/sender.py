"""Devices in a container of their own, which send until SIGTERM, and repeat each report until it is acknowledged.

A heartbeat and an upload time follow each other; upload times are numbered, so that each can be found again.

    python sender.py URL DEVICES_JSON [PAUSE_S]     DEVICES_JSON: {"device id": "key or empty", …}

Prints at the end, as JSON: the values whose heartbeat and upload time were acknowledged, by device, and the longest
time that both together took. It needs the standard library only.
"""

import http.client
import json
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

PAUSE_S, RETRY_S, TIMEOUT_S = 0.05, 0.1, 5.0
_has_ended = threading.Event()


class Device(threading.Thread):
    """One device on a connection of its own, which it makes anew whenever it breaks."""

    def __init__(self, address: str, device_id: str, key: str, pause_s: float) -> None:
        super().__init__()
        self.address, self.device_id, self.pause_s = address, device_id, pause_s
        self.headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.acknowledged: list[int] = []
        self.longest_s = 0.0
        self.failures: dict[str, int] = {}
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        value = 0
        while not _has_ended.is_set():
            value += 1
            now = datetime.now(UTC).isoformat()
            began_s = time.monotonic()
            for kind, body in (("heartbeat", {"sent_at": now}), ("stats", {"sent_at": now, "upload_time": value})):
                while not self._send(kind, json.dumps(body)):
                    time.sleep(RETRY_S)
            self.acknowledged.append(value)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            time.sleep(self.pause_s)

    def _send(self, kind: str, body: str) -> bool:
        """Whether the report was acknowledged."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
            self._connection.request("POST", f"/api/v1/devices/{self.device_id}/{kind}", body, self.headers)
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status == 204:
                return True
            self._note(f"{answer.status} {text[:200]!r}")
            return False
        except (OSError, http.client.HTTPException) as error:
            self._note(type(error).__name__)
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return False

    def _note(self, failure: str) -> None:
        self.failures[failure] = self.failures.get(failure, 0) + 1


def main() -> None:
    """Send until SIGTERM, then print the ledger."""
    signal.signal(signal.SIGTERM, lambda *_: _has_ended.set())
    address, pause_s = urlsplit(sys.argv[1]).netloc, float(sys.argv[3]) if sys.argv[3:] else PAUSE_S
    devices = [Device(address, device_id, key, pause_s) for device_id, key in json.loads(sys.argv[2]).items()]
    for device in devices:
        device.start()
    _has_ended.wait()
    for device in devices:
        device.join()
    ledger = {
        "acknowledged": {device.device_id: device.acknowledged for device in devices},
        "longest_s": max(device.longest_s for device in devices),
        "failures": {device.device_id: device.failures for device in devices},
    }
    print(json.dumps(ledger))


if __name__ == "__main__":
    main()
