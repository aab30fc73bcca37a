"""HAProxy by the configuration that is shipped, before nodes on loopback."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from conftest import ROOT
from quiet_ports import quiet_port

CONFIGURATION = ROOT / "deploy" / "haproxy.scale.cfg"


class Balancer:
    """`ports[n]` is where node n + 1 is reached; `port` is where devices and people come."""

    def __init__(self, folder: Path, ports: list[int], **texts: str) -> None:
        self.port, self._socket = quiet_port(), folder / "haproxy.sock"
        texts |= {"bind :6733": f"bind 127.0.0.1:{self.port}", "/tmp/haproxy.sock": str(self._socket)}  # noqa: S108  # replaced
        texts |= {f"node{number}:6733": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)}
        configuration = CONFIGURATION.read_text()
        for text, replacement in texts.items():
            assert text in configuration, text
            configuration = configuration.replace(text, replacement)
        path, self.log = folder / "haproxy.cfg", folder / "haproxy.log"
        path.write_text(configuration)
        checked = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
        assert (checked.returncode, "warn" in checked.stderr.lower()) == (0, False), checked.stdout + checked.stderr
        with self.log.open("w") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", str(path)], stdout=log, stderr=log)
        self._await(lambda: self.control("show info") != "")

    def control(self, order: str) -> str:
        """What HAProxy answers to an order on its socket; empty where it does not listen yet."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self._socket))
            except OSError:
                return ""
            connection.sendall(order.encode() + b"\n")
            answer = b""
            while piece := connection.recv(65_536):
                answer += piece
            return answer.decode()

    def states(self) -> dict[str, str]:
        """By server of the backend `reports`, its state, such as UP or DOWN."""
        lines = [line.split(",") for line in self.control("show stat").splitlines() if line.startswith("reports,")]
        return {line[1]: line[17].split()[0] for line in lines if line[1].startswith("node")}

    def retries(self) -> int:
        """How often requests were sent again, to the same node or to another one."""
        lines = [line.split(",") for line in self.control("show stat").splitlines()]
        return sum(int(line[15] or 0) + int(line[16] or 0) for line in lines if line[1:2] == ["BACKEND"])

    def await_states(self, *states: str, timeout_s: float = 30.0) -> None:
        self._await(lambda: list(self.states().values()) == list(states), timeout_s)

    def _await(self, is_so: Callable[[], bool], timeout_s: float = 20.0) -> None:
        end_s = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < end_s, (self.states(), self.log.read_text())
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
