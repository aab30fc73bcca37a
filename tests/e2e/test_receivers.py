"""Receivers for real: webhooks, an SMTP server, Debian's Alertmanager; from a quiet device to the message."""

import contextlib
import email
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from command import run_command
from conftest import Server
from receiving_server import hook_server, status

Serve = Callable[..., Server]
DEVICE = "60-6b-44-84-dc-64"


class Mailbox:
    """Keeps what an SMTP server is sent."""

    def __init__(self) -> None:
        self.letters: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as aiosmtpd has it
        self.letters.append(email.message_from_bytes(envelope.content))
        return "250 taken"


@contextlib.contextmanager
def mail_server() -> Generator[tuple[Mailbox, int], None, None]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = int(unused.getsockname()[1])
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def eventually(condition: Callable[[], Any], *, within_s: float = 30.0) -> Any:
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.05)
    return found


def beat(server: Server, device: str) -> None:
    url = f"http://127.0.0.1:{server.port}/api/v1/devices/{device}/heartbeat"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = json.dumps({"sent_at": now}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).close()


@pytest.fixture
def alerts(serve: Serve, tmp_path: Path) -> Callable[..., str]:
    """Runs `fleetpulse alerts …` against a service whose devices are down after a few seconds."""
    server = serve(
        *("--interval-s", "1", "--grace-s", "1", "--receivers-private", "--common-cause-wait-s", "0"),
        *("--external-url", "http://127.0.0.1:1", "--alert-interval-s", "0.2", "--delivery-retry-s", "0.2"),
    )
    url = f"http://127.0.0.1:{server.port}"

    def run(*words: str, expected: int = 0) -> str:
        done = run_command("alerts", *words, "--url", url)
        assert done.returncode == expected, done.stdout + done.stderr
        assert "planted" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    run.server = server  # type: ignore[attr-defined]  # for tests that ask it
    return run


def secret_file(folder: Path, text: str) -> str:
    path = folder / f"{abs(hash(text))}.secret"
    path.write_text(text + "\n")
    return str(path)


def test_a_device_that_goes_quiet_and_returns_is_told_of_twice(alerts: Any, tmp_path: Path) -> None:
    server = alerts.server
    with hook_server(status(503), status(200)) as hook:
        path = secret_file(tmp_path, f"{hook.url}/planted")
        alerts("receivers", "set", "hook", "--kind", "webhook", "--url-from", path)
        alerts("routes", "set", "all", "--receiver", "hook", "--group-wait", "0s", "--group-interval", "0s")
        alerts("rules", "set", "quiet", "--kind", "device_down", "--severity", "critical", "--for", "0s")
        alerts("rules", "remove", "device-offline")
        beat(server, DEVICE)
        first = hook.wait(1)[0]
        assert first["kind"] == "firing" and first["alerts"][0]["subject"] == DEVICE
        assert hook.wait(2)[1]["key"] == first["key"], "a repeat has the same key"
        assert "token=" in first["acknowledge_url"] and "since" in first["text"]

        def endings() -> list[dict[str, Any]]:
            beat(server, DEVICE)
            return [body for body in hook.bodies() if body["kind"] == "resolved"]

        ended = eventually(endings)
        assert ended[0]["alerts"][0]["resolution"] in ("recovered", "ran")
        assert len({body["key"] for body in hook.bodies() if body["kind"] == "firing"}) == 1
    listed = alerts("outbox", "list")
    assert listed.count("delivered") >= 2 and "hook" in alerts("receivers", "list")


def test_mail_is_delivered_by_apprise_and_what_it_refuses_is_said(alerts: Any, tmp_path: Path) -> None:
    with mail_server() as (box, port):
        url = f"mailto://127.0.0.1:{port}/?from=fleet@example.com&to=ops@example.com&mode=insecure"
        alerts("receivers", "set", "mail", "--kind", "apprise", "--url-from", secret_file(tmp_path, url))
        assert "mail: delivered" in alerts("test", "mail")
        (letter,) = box.letters
        assert "[TEST] This is a test of the receiver" in letter["Subject"] and letter["To"] == "ops@example.com"
    assert "mail: not delivered" in alerts("test", "mail", expected=1)
    assert alerts("outbox", "list").count("\n") < 5, "tests go past the outbox"


@contextlib.contextmanager
def alertmanager(folder: Path) -> Generator[str, None, None]:
    (folder / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    command = [
        *("prometheus-alertmanager", f"--config.file={folder / 'am.yml'}", f"--storage.path={folder / 'am'}"),
        *(f"--web.listen-address={address}", "--cluster.listen-address="),
    ]
    with (folder / "am.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def firing(url: str) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found
    return []


def test_alerts_are_forwarded_to_an_alertmanager_until_they_end(alerts: Any, tmp_path: Path) -> None:
    server = alerts.server
    with alertmanager(tmp_path) as url:
        alerts("receivers", "set", "am", "--kind", "alertmanager", "--url-from", secret_file(tmp_path, url))
        alerts("routes", "set", "all", "--receiver", "am", "--group-wait", "0s", "--group-interval", "0s")
        eventually(lambda: "am: delivered" in run_test(alerts, "am"))
        alerts("rules", "set", "quiet", "--kind", "device_down", "--severity", "critical", "--for", "0s")
        alerts("rules", "remove", "device-offline")
        beat(server, DEVICE)
        quiet = eventually(lambda: [one for one in firing(url) if one["labels"]["alertname"] == "quiet"])[0]
        assert quiet["labels"]["subject"] == DEVICE and quiet["labels"]["severity"] == "critical"

        def is_over() -> bool:
            beat(server, DEVICE)
            return "quiet" not in {one["labels"]["alertname"] for one in firing(url)}

        eventually(is_over)


def run_test(alerts: Any, name: str) -> str:
    with contextlib.suppress(AssertionError):
        return str(alerts("test", name))
    return ""


def test_what_people_do_with_receivers_and_routes(alerts: Any, tmp_path: Path) -> None:
    path = secret_file(tmp_path, "https://hook.example/planted")
    assert "(hidden)" in alerts("receivers", "set", "hook", "--kind", "webhook", "--url-from", path)
    body = tmp_path / "body.txt"
    body.write_text("{what} at {group.site}")
    assert "press-07" in alerts("preview", "--receiver", "hook", "--body-from", str(body))
    assert "{what} at" in alerts("receivers", "set", "hook", "--body-from", str(body), "--no-resolved")
    body.write_text("{nonsense}")
    assert "is not known; known are" in alerts("receivers", "set", "hook", "--body-from", str(body), expected=1)
    assert "--kind" in alerts("receivers", "set", "other", "--body-from", str(body), expected=1)
    assert "not declared" in alerts("routes", "list")
    alerts("routes", "set", "paris", "--receiver", "hook", "--match", "site:paris", "--severity", "critical")
    shown = alerts("routes", "show", "paris", "--json")
    body.write_text(shown)
    assert "site=paris" in alerts("routes", "set", "again", "--from", str(body))
    assert "--receiver" in alerts("routes", "set", "new", expected=1)
    alerts("routes", "remove", "again")
    alerts("routes", "remove", "paris")
    assert "not delivered" in alerts("test", "hook", expected=1)
    alerts("receivers", "show", "hook")
    assert "0 messages will be sent again" in alerts("outbox", "retry", "--receiver", "hook")
    alerts("receivers", "remove", "hook")
