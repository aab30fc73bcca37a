"""Secrets that are planted wherever there are any, and then looked for wherever they must not be."""

import http.client
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command import run_command
from conftest import PUBLISHED, Server

DEVICE = PUBLISHED[0]
PASSWORD = "planted+seven+lathes+hum"  # noqa: S105  # planted
CLOUD = "planted/secret/of/the/block/store"
WRONG_KEY = "fp_admin_zz_PlantedPlantedPlantedPlantedPlant"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwbGFudGVkIn0.planted"  # noqa: S105  # planted


class Keyed:
    """Asks with a key, and remembers all answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[str] = []

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            text = response.read()
            self.answers.append(f"{response.headers}{text.decode(errors='replace')}")
            return response.status, text
        finally:
            connection.close()


RECEIVER_SECRETS = ["planted-in-url", "planted-signature", "planted-mail-password", "planted-refused", "planted-path"]
"""They are in the catalog, where the service needs them, and nowhere else."""


def use_receivers(keyed: Keyed, bearer: dict[str, str]) -> None:
    """Declare receivers with secrets, right and wrong ones, send by them, and look at all that is shown of them."""
    path = "/api/v1/alerts/receivers"
    for name, body in {
        "hook": {
            "kind": "webhook",
            "url": "http://127.0.0.1:9/planted-in-url",
            "secret": "planted-signature",
            "private": True,
        },
        "mail": {"kind": "apprise", "url": "json://u:planted-mail-password@127.0.0.1:9/planted-path", "private": True},
        "wrong": {"kind": "webhook", "url": "ftp://planted-refused", "secret": "planted-refused"},
        "none": {"kind": "apprise", "url": "pigeon://planted-refused"},
        "broken": {"kind": "webhook", "url": "https://planted-refused", "body": "{planted"},
    }.items():
        status, text = keyed.ask("PUT", f"{path}/{name}", json.dumps(body).encode(), **bearer)
        assert status == (200 if name in ("hook", "mail") else 422), text
    keyed.ask("PUT", f"{path}/hook", b'{"kind": "webhook", "url": "planted-refused', **bearer)
    for name in ("hook", "mail"):
        assert keyed.ask("POST", f"{path}/{name}/test", **bearer)[0] == 200
        keyed.ask("GET", f"{path}/{name}", **bearer)
        keyed.ask("POST", "/api/v1/alerts/preview", json.dumps({"receiver": name}).encode(), **bearer)
    for listed in ("receivers", "routes", "outbox"):
        assert keyed.ask("GET", f"/api/v1/alerts/{listed}", **bearer)[0] == 200
    keyed.ask("DELETE", f"{path}/mail", **bearer)


def plant(keyed: Keyed, admin: str) -> list[str]:
    """Use every kind of secret, right and wrong, in every place. Returns those that were made."""
    bearer = {"Authorization": f"Bearer {admin}"}
    made = json.loads(keyed.ask("POST", "/api/v1/keys", b'{"role":"read"}', **bearer)[1])["key"]
    person = json.dumps({"name": "alice", "role": "read", "password": PASSWORD}).encode()
    status, text = keyed.ask("POST", "/api/v1/users", person, **bearer)
    assert status in (200, 201), text
    login = json.dumps({"name": "alice", "password": PASSWORD}).encode()
    status, tokens = keyed.ask("POST", "/api/v1/login", login)
    assert status == 200
    badge = json.loads(keyed.ask("POST", "/api/v1/badges", b"{}", **bearer)[1])["token"]
    answered = [*keyed.answers]
    keyed.answers.clear()  # these were to have secrets: the ones that they made
    secrets = [
        made,
        badge,
        *(value for value in json.loads(tokens).values() if isinstance(value, str) and len(value) > 40),
    ]
    assert all(any(secret in answer for answer in answered) for secret in secrets)
    for method in ("GET", "PUT", "HEAD"):
        keyed.ask(method, f"/badge/{badge}")
        keyed.ask(method, f"/badge/{badge}x")
    for secret in [admin, WRONG_KEY, TOKEN, CLOUD, PASSWORD, *secrets]:
        places = [
            {"Authorization": f"Bearer {secret}"}, {"Authorization": f"Basic {secret}"}, {"X-API-Key": secret},
            {"Authorization": secret}, {"Cookie": f"fleetpulse_session={secret}"},
            {"X-API-Key": secret, "Authorization": f"Bearer {secret}"}, {"X-API-Key": secret, "Expect": "100-continue"},
        ]  # fmt: skip
        for place in places:
            for path in (f"/api/v1/devices/{DEVICE}/heartbeat", "/api/v1/events", "/api/v1/keys"):
                keyed.ask("POST", path, b"[" * 3, **place)
            keyed.ask("GET", "/api/v1/devices?nonsense=1", **place)
        keyed.ask("GET", f"/api/v1/devices?api_key={secret}")
        keyed.ask("GET", f"/?token={secret}", Accept="text/html")
        for path in ("/api/v1/login", "/api/v1/refresh", "/api/v1/password"):
            for body in ({"name": "alice", "password": secret}, {"refresh_token": secret}, {"password": [secret]}):
                keyed.ask("POST", path, json.dumps(body).encode(), **bearer)
            keyed.ask("POST", path, f'{{"password": "{secret}", "name": nonsense'.encode())
    use_receivers(keyed, bearer)
    keyed.ask("GET", "/api/v1/audit", **bearer)
    keyed.ask("GET", "/api/v1/keys", **bearer)
    keyed.ask("GET", "/metrics", **bearer)
    return secrets


def test_no_secret_is_anywhere_but_where_it_belongs(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CLOUD)
    server = serve("--auth", "required", "--login-burst", "1000", "--login-per-s", "1000", is_prepared=False)
    admin = (server.folder / "admin.key").read_text().strip()
    keyed = Keyed(server.port)
    secrets = [admin, PASSWORD, CLOUD, WRONG_KEY, TOKEN, *plant(keyed, admin)]
    process = Path(f"/proc/{server.process.pid}")
    shown = [*keyed.answers, (process / "cmdline").read_text(), (process / "comm").read_text()]
    for command in (["devices", "list"], ["keys", "list"], ["whoami"], ["devices", "show", "nobody"]):
        for key in (admin, WRONG_KEY, f"{admin} and more"):
            done = run_command(
                *command, "--url", f"http://127.0.0.1:{server.port}", environment={**os.environ, "FLEETPULSE_KEY": key}
            )
            shown += [done.stdout, done.stderr]
    server.stop(signal.SIGABRT)
    shown.append(server.log.read_text(errors="replace"))
    files = [path for path in server.folder.rglob("*") if path.is_file() and path.name != "admin.key"]
    shown += [path.read_bytes().decode("latin-1") for path in files]
    for secret in secrets:
        assert not [text[:300] for text in shown if secret in text], secret[:20]
    shown = [
        text for text in shown if not text.startswith(("SQLite format 3", "7\x7f\x06"))
    ]  # the catalog, and its log
    for secret in RECEIVER_SECRETS:
        assert not [text[:300] for text in shown if secret in text], secret
