"""The links of a cluster: every connection between two of its processes goes through one, and can be spoiled there."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

Mode = Literal["pass", "cut", "hang", "delay", "half"]
"""See link_server.py."""


class Links:
    """All links, by names such as `node1-nats2`: who connects, then to whom."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "link_server.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()
        self.ports: dict[str, int] = {}

    def open(self, name: str, *, to: int) -> int:
        """The port by which `name` reaches the port `to`."""
        self.ports[name] = int(self._order(do="open", link=name, to=to)["port"])
        return self.ports[name]

    def set(self, name: str, mode: Mode, delay_s: float = 0.0) -> int:
        """How many connections' ends it concerned."""
        return int(self._order(do="set", link=name, mode=mode, delay_s=delay_s)["connections"])

    def of(self, member: str) -> list[str]:
        """The names of all links of a process."""
        return [name for name in self.ports if member in name.split("-")]

    def set_all(self, member: str, mode: Mode, delay_s: float = 0.0) -> None:
        for name in self.of(member):
            self.set(name, mode, delay_s)

    def _order(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            done: dict[str, Any] = json.loads(self._process.stdout.readline())
            return done

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
