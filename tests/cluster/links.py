"""The links of a cluster: every connection between two of its processes goes through one, and can be spoiled there.

They are those of `tcp_proxy.py`, in a process of their own.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Link:
    """One proxy, with the calls of TcpProxy."""

    def __init__(self, links: "Links", port: int) -> None:
        self.port, self.address = port, f"127.0.0.1:{port}"
        self._links = links

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._links.call("cut", self.port)

    def hold(self) -> None:
        """Pass nothing on, as a network that loses packets."""
        self._links.call("hold", self.port)

    def delay(self, seconds: float) -> None:
        """Let everything take so much longer, each way."""
        self._links.call("delay", self.port, seconds)

    def half_close(self) -> None:
        """End the way to the server of the connections that are there, once."""
        self._links.call("half_close", self.port)

    def mend(self) -> None:
        """Let everything pass again."""
        self._links.call("mend", self.port)


class Links:
    """All links, by names such as `node1-nats2`: who connects, then to whom."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "link_server.py"
        paths = os.pathsep.join([str(script.parent.parent), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._lock = threading.Lock()
        self.named: dict[str, Link] = {}

    def to(self, port: int, name: str) -> Link:
        """A link to a port; `name` says between whom."""
        self.named[name] = Link(self, int(self._ask({"call": "to", "port": port})["port"]))
        return self.named[name]

    def of(self, member: str, other: str = "") -> list[Link]:
        """All links of a process; `other`: only those to whose names begin so."""
        return [
            link
            for name, link in self.named.items()
            if member in (ends := name.split("-")) and any(end.startswith(other) for end in ends if end != member)
        ]

    def call(self, name: str, port: int, *arguments: object) -> None:
        """What a proxy shall do."""
        self._ask({"call": name, "link": port, "arguments": arguments})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
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
        self._process.wait(20)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
