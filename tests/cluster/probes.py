"""Devices that fall silent once each, and what becomes of their alerts: none lost, none twice, each told by one key."""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from members import Node
from world import until

from receiving_server import HookServer

API = "/api/v1"
INTERVAL_S, GRACE_S = 1, 5
BEAT_S = 0.5
BEATERS = 3
ANSWER_S = 5.0


class Probes:
    """Threads that beat for all devices that are not silent, and a webhook that is told of their alerts.

    There are several, each of which beats for all, since one that waits for a node that stands still is silent.
    """

    def __init__(self, port: int, count: int) -> None:
        """`port`: the balancer's."""
        self.devices = [f"probe-{number}" for number in range(count)]
        self.silent: set[str] = set()
        self.hooks = HookServer()
        self._port = port
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._beat, name="probes") for _ in range(BEATERS)]

    def start(self) -> None:
        hook = {"kind": "webhook", "url": self.hooks.url, "private": True}
        self._send("PUT", f"{API}/alerts/receivers/hook", json.dumps(hook).encode())
        for device in self.devices:
            body = {"id": device, "interval": f"{INTERVAL_S}s", "grace": f"{GRACE_S}s"}
            self._send("POST", f"{API}/devices", json.dumps(body).encode())
        self._beat_once()
        for thread in self._threads:
            thread.start()

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_S):
            with contextlib.suppress(OSError, HTTPException):  # the next one says as much
                self._beat_once(timeout_s=ANSWER_S)

    def _beat_once(self, *, timeout_s: float = 20.0) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        beating = [device for device in self.devices if device not in self.silent]
        lines = [json.dumps({"device_id": device, "sent_at": now}) for device in beating]
        if lines:
            self._send("POST", f"{API}/events", "\n".join(lines).encode(), timeout_s=timeout_s)

    def _send(self, method: str, path: str, body: bytes, *, timeout_s: float = 20.0) -> None:
        request = Request(
            f"http://127.0.0.1:{self._port}{path}", body, {"Content-Type": "application/json"}, method=method
        )
        with urlopen(request, timeout=timeout_s) as answer:
            answer.read()

    def alerts(self, node: Node, device: str) -> list[dict[str, Any]]:
        """The alerts of a device by the word of one node, the oldest first; none where it does not answer."""
        found, before = list[dict[str, Any]](), ""
        while True:
            status, answer = node.get(f"{API}/alerts?state=all&limit=1000&device_id={device}{before}")
            if status != 200:
                return []
            found += answer["alerts"]
            if not answer.get("next_cursor"):
                break
            before = f"&cursor={answer['next_cursor']}"
        fired = [alert for alert in found if alert["first_fired_at"]]
        return sorted(fired, key=lambda alert: int(alert["number"]))

    def await_state(self, node: Node, device: str, state: str) -> None:
        def is_so() -> bool:
            return [alert["state"] for alert in self.alerts(node, device)][-1:] == [state]

        until(is_so, lambda: f"{device} is not {state}: {self.alerts(node, device)}", 60)

    def faults(self, nodes: Iterable[Node], fallen: Iterable[str]) -> list[str]:
        """What is wrong with the alerts in the end; `fallen` are the devices that were silent once."""
        faults, keys, nodes = list[str](), self.keys(), list(nodes)
        for node in nodes:
            for device in fallen:
                alerts = self.alerts(node, device)
                if alerts != self.alerts(nodes[0], device):
                    faults.append(f"{node.name} and {nodes[0].name} have other alerts of {device}")
                if not alerts:
                    faults.append(f"{node.name}: {device} was silent, and has no alert")
                for one, two in itertools.pairwise(alerts):
                    if not one["resolved_at"] or one["resolved_at"] > two["first_fired_at"]:
                        faults.append(f"{node.name}: {device} has two alerts at once: {one['number']}, {two['number']}")
                for alert in alerts:
                    sent = keys.get((alert["number"], "firing"), set())
                    if len(sent) > alert["times"]:
                        faults.append(f"alert {alert['number']} fired {alert['times']} times, and was sent as {sent}")
        return faults

    def keys(self) -> dict[tuple[int, str], set[str]]:
        """By the number of an alert and its state, the keys of the messages that tell of it."""
        found: dict[tuple[int, str], set[str]] = {}
        for body in self.hooks.bodies():
            for alert in body["alerts"]:
                found.setdefault((alert["number"], alert["state"]), set()).add(body["key"])
        return found

    def await_delivered(self, keys: set[str]) -> None:
        """Wait until the webhook has had all messages with these keys."""

        def left() -> set[str]:
            return keys - {body["key"] for body in self.hooks.bodies()}

        until(lambda: not left(), lambda: f"messages that were not sent: {left()}", 60)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.hooks.close()
