"""nginx and HAProxy by the configurations of deploy/, run by Debian's own before the real server."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from authority import Authority
from command import COMMAND, run_command
from conftest import ROOT, Server

DEPLOY = ROOT / "deploy"
PROXIES = [
    pytest.param(kind, marks=pytest.mark.skipif(shutil.which(kind) is None, reason=f"needs {kind} (Debian: {kind})"))
    for kind in ("nginx", "haproxy")
]
MAIN = "error_log stderr;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\ninclude {site};\n}}\n"


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Proxy:
    """nginx or HAProxy by the configuration that is shipped, with ports and files of a test."""

    def __init__(self, kind: str, folder: Path, *, backend: int, **texts: str) -> None:
        self.port, self.authority = free_port(), Authority(folder)
        certificate = self.authority.issue("server", common_name="server", ip="127.0.0.1")
        key = certificate.with_suffix(".key")
        (folder / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        texts |= {
            "127.0.0.1:6733": f"127.0.0.1:{backend}",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "bind :443 ssl": f"bind 127.0.0.1:{self.port} ssl",
            "/etc/ssl/fleetpulse/fullchain-and-key.pem": str(folder / "both.pem"),
            "/etc/ssl/fleetpulse/fullchain.pem": str(certificate),
            "/etc/ssl/fleetpulse/key.pem": str(key),
        }
        configuration = (DEPLOY / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]).read_text()
        for text, replacement in texts.items():
            configuration = configuration.replace(text, replacement)
        path = folder / f"{kind}.conf"
        path.write_text(configuration)
        if kind == "nginx":
            (folder / "main.conf").write_text(MAIN.format(folder=folder, site=path))
            words = ["nginx", "-p", str(folder), "-c", str(folder / "main.conf"), "-e", "stderr"]
            check, run = [*words, "-t"], [*words, "-g", "daemon off;"]
        else:
            check, run = ["haproxy", "-c", "-f", str(path)], ["haproxy", "-db", "-f", str(path)]
        checked = subprocess.run(check, capture_output=True, text=True, check=False)
        assert (checked.returncode, "warn" in checked.stderr.lower()) == (0, False), checked.stdout + checked.stderr
        with (folder / f"{kind}.log").open("w") as log:
            self.process = subprocess.Popen(run, stdout=log, stderr=log)
        end_s = time.monotonic() + 20
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                break
            assert time.monotonic() < end_s, (folder / f"{kind}.log").read_text()
            time.sleep(0.05)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority.path)

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context())

    def tls_socket(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.context().wrap_socket(plain, server_hostname="127.0.0.1")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def command_of(folder: Path, port: int) -> list[str]:
    words = ["serve", "--port", str(port), "--data", str(folder), "--devices", str(ROOT / "devices.csv")]
    return [*COMMAND, *words, "--trusted-proxies", "127.0.0.1", "--ready-wait-s", "5", "--log-format", "json"]


def gateway_key(server: Server) -> str:
    """A key with which reports of all devices are sent."""
    words = ["keys", "add", "--role", "ingest", "--json", "--key-file", str(server.folder / "admin.key")]
    words += ["--url", f"http://127.0.0.1:{server.port}"]
    made = run_command(*words)
    made.check_returncode()
    return str(json.loads(made.stdout)["key"])
