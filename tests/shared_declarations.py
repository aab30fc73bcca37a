"""What people declare, of every kind: by which request, and where another node shows it."""

from itertools import chain
from typing import Any, NamedTuple

from shared_nodes import Node

PASSPHRASE = "seven lathes hum"  # noqa: S105  # of a test


class Step(NamedTuple):
    """A request to one node, and what another one is asked before and after it: the answers must differ."""

    method: str
    path: str
    body: Any
    shown_at: str


DEVICE = {"id": "press", "labels": {"site": "paris"}, "interval": "30s"}
DEVICES = Step("POST", "/api/v1/devices", DEVICE, "/api/v1/devices")
METRIC = Step("POST", "/api/v1/metrics/definitions", {"name": "cpu", "unit": "%"}, "/api/v1/metrics/definitions")
WINDOW = {"start": "2024-10-04T11:00:00Z", "end": "2024-10-04T13:00:00Z", "labels": {"site": "paris"}, "title": "belts"}
RULE = {"kind": "device_down", "for": "10m", "severity": "critical"}
RECEIVER = {"kind": "webhook", "url": "https://example.org/hook"}
ROUTE = {"receivers": ["night"], "rules": ["device-offline"]}
SILENCE = {"labels": {"site": "paris"}, "end": "2024-10-05T12:00:00Z", "comment": "belts"}
ALICE = {"name": "alice", "role": "read", "password": PASSPHRASE}
PEOPLE = Step("POST", "/api/v1/users", ALICE, "/api/v1/users")
ALERTS = "/api/v1/alerts"

KINDS: dict[str, list[Step]] = {
    "devices": [
        DEVICES,
        Step("PATCH", "/api/v1/devices/press", {"labels": {"site": "rome"}}, "/api/v1/devices?label=site:rome"),
        Step("DELETE", "/api/v1/devices/press", None, "/api/v1/devices"),
        DEVICES,
    ],
    "intervals": [Step("PATCH", "/api/v1/devices/press", {"grace": "10m"}, "/api/v1/devices/press")],
    "pauses": [
        Step("POST", "/api/v1/devices/press/pause", {}, "/api/v1/devices/press"),
        Step("POST", "/api/v1/devices/press/resume", None, "/api/v1/devices/press"),
    ],
    "maintenance": [
        Step("POST", "/api/v1/maintenance", WINDOW, "/api/v1/maintenance"),
        Step("DELETE", "/api/v1/maintenance/{id}", None, "/api/v1/devices/press"),
    ],
    "metrics": [
        METRIC,
        Step("PATCH", "/api/v1/metrics/definitions/cpu", {"retention_days": 9}, METRIC.shown_at),
        Step("DELETE", "/api/v1/metrics/definitions/cpu", None, METRIC.shown_at),
    ],
    "people": [
        PEOPLE,
        Step("PATCH", "/api/v1/users/alice", {"role": "operate"}, PEOPLE.shown_at),
        Step("DELETE", "/api/v1/users/alice", None, PEOPLE.shown_at),
    ],
    "rules": [
        Step("PUT", f"{ALERTS}/rules/mine", RULE, f"{ALERTS}/rules"),
        Step("DELETE", f"{ALERTS}/rules/mine", None, f"{ALERTS}/rules"),
        Step("DELETE", f"{ALERTS}/rules/device-offline", None, f"{ALERTS}/rules"),
    ],
    "receivers": [
        Step("PUT", f"{ALERTS}/receivers/night", RECEIVER, f"{ALERTS}/receivers"),
        Step("PUT", f"{ALERTS}/routes/nights", ROUTE, f"{ALERTS}/routes"),
        Step("DELETE", f"{ALERTS}/routes/nights", None, f"{ALERTS}/routes"),
        Step("DELETE", f"{ALERTS}/receivers/night", None, f"{ALERTS}/receivers"),
    ],
    "silences": [
        Step("POST", f"{ALERTS}/silences", SILENCE, f"{ALERTS}/silences"),
        Step("DELETE", f"{ALERTS}/silences/1", None, f"{ALERTS}/silences"),
    ],
}


async def see_all_kinds(one: Node, other: Node) -> None:
    """Declare everything on one node; the other one must show it, and not have shown it before."""
    made: dict[str, Any] = {}
    for step in chain.from_iterable(KINDS.values()):
        before = await other.ask("GET", step.shown_at)
        done = await one.ask(step.method, step.path.format(id=made.get("id")), step.body)
        assert done.status_code < 300, (step, done.text)
        await other.catch_up()
        after = await other.ask("GET", step.shown_at)
        assert after.text != before.text, step
        assert after.text == (await one.ask("GET", step.shown_at)).text, step
        made = done.json() if done.content else {}
