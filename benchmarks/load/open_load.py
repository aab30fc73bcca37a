"""An open-loop load of heartbeats on several nodes, from one process that can send 30,000 a second.

A heartbeat is due at its place in time, whatever became of those before it, and its latency counts from then. Each
node has connections of its own, and a device always goes to the same node, as behind a balancer that hashes ids. Of a
node that does not answer, connections are made again and again.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import select
import socket
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

CONNECT_AGAIN_S = 0.1
ROUND_S = 0.001
"""Between two rounds of sending and receiving. Woken for every single answer, the load would take as much of the
machine as what it measures; so a latency may be measured this much too long, and never too short."""
LINGER_S = 3.0
"""How long answers are waited for when the last heartbeat was sent."""
_REQUEST = (
    b"POST /api/v1/devices/dev-%d/heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 38\r\n\r\n{"sent_at":"%b"}'
)


@dataclass
class Tally:
    """What became of a load. Times are those of time.monotonic."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    """Of heartbeats that were acknowledged, but those of the warm-up."""
    acknowledged_s: list[array[float]] = field(default_factory=list)
    """By node, when each acknowledgement came."""
    refused: int = 0
    unanswered: int = 0
    """Heartbeats without an answer: too many waited to be sent, the connection broke, or none came in time."""
    sent: int = 0
    cpu_s: float = 0.0
    """CPU time of the load itself."""

    def silence_s(self, node: int, start_s: float, end_s: float) -> float:
        """The longest time without an acknowledgement of a node within a span."""
        times = [start_s, *(at for at in self.acknowledged_s[node] if start_s < at < end_s), end_s]
        return max(b - a for a, b in itertools.pairwise(times))


@dataclass(eq=False)
class Lane:
    """One connection, with at most one heartbeat under way."""

    node: int
    socket: socket.socket
    due_s: float = 0.0


class OpenLoad:
    """See the module. In a process of its own: `Loading`."""

    def __init__(self, ports: Sequence[int], *, count: int, rate: float, connections: int, warm_s: float) -> None:
        """`count`: of devices, dev-0 and so on; `connections`: to each node; `warm_s`: not in the latencies."""
        self._ports, self._count, self._rate, self._warm_s = ports, count, rate, warm_s
        self.tally = Tally(acknowledged_s=[array("d") for _ in ports])
        self._poll = select.epoll()
        self._lanes: dict[int, Lane] = {}
        self._idle: list[list[Lane]] = [[] for _ in ports]
        self._waiting: list[collections.deque[tuple[float, int]]] = [
            collections.deque(maxlen=4 * connections) for _ in ports
        ]
        self._broken: collections.deque[tuple[float, int]] = collections.deque()
        """When to connect again, and to which node."""
        for node in range(len(ports)):
            for _ in range(connections):
                self._connect(node)

    def _connect(self, node: int) -> None:
        connection = socket.socket()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(1.0)
        try:
            connection.connect(("127.0.0.1", self._ports[node]))
        except OSError:
            connection.close()
            self._broken.append((time.monotonic() + CONNECT_AGAIN_S, node))
            return
        connection.settimeout(0)
        lane = Lane(node, connection)
        self._lanes[connection.fileno()] = lane
        self._poll.register(connection, select.EPOLLIN)
        self._idle[node].append(lane)

    def _break(self, lane: Lane) -> None:
        self._poll.unregister(lane.socket)
        del self._lanes[lane.socket.fileno()]
        lane.socket.close()
        if lane.due_s:
            self.tally.unanswered += 1
        else:
            self._idle[lane.node].remove(lane)
        self._broken.append((time.monotonic() + CONNECT_AGAIN_S, lane.node))

    def run(self, seconds: float, stop: Connection | None = None) -> Tally:
        """Load for so long after the warm-up, or until something comes from `stop`."""
        self._start_s = time.monotonic()
        end_s = self._start_s + self._warm_s + seconds
        while (now_s := time.monotonic()) < end_s and not (stop and stop.poll()):
            self._send_due(now_s)
            self._receive()
            self._mend(now_s)
        end_s = time.monotonic() + LINGER_S
        while len(self._lanes) > sum(map(len, self._idle)) and time.monotonic() < end_s:
            self._receive()
        self.tally.unanswered += sum(lane.due_s > 0 for lane in self._lanes.values())
        self.tally.cpu_s = time.process_time()
        return self.tally

    def _mend(self, now_s: float) -> None:
        while self._broken and self._broken[0][0] < now_s:
            self._connect(self._broken.popleft()[1])

    def _send_due(self, now_s: float) -> None:
        sent, due = self.tally.sent, int((now_s - self._start_s) * self._rate)
        if sent >= due:
            return
        self._at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()).encode()
        for number in range(sent, due):
            device, due_s = number * 7919 % self._count, self._start_s + number / self._rate
            node = device % len(self._ports)
            if self._idle[node]:
                self._send(self._idle[node].pop(), due_s, device)
            else:
                waiting = self._waiting[node]
                self.tally.unanswered += len(waiting) == waiting.maxlen
                waiting.append((due_s, device))
        self.tally.sent = due

    def _send(self, lane: Lane, due_s: float, device: int) -> None:
        lane.due_s = due_s
        try:  # straight, since this is for every heartbeat
            lane.socket.send(_REQUEST % (device, self._at))
        except OSError:
            return  # it is seen when the answer is read

    def _receive(self) -> None:
        tally, warm_s = self.tally, self._start_s + self._warm_s
        time.sleep(ROUND_S)
        for file, _ in self._poll.poll(0, len(self._lanes) or 1):
            lane = self._lanes[file]
            try:
                data = lane.socket.recv(512)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._break(lane)
                continue
            now_s = time.monotonic()
            if data.startswith(b"HTTP/1.1 204"):
                tally.acknowledged_s[lane.node].append(now_s)
                if lane.due_s > warm_s:
                    tally.latencies_s.append(now_s - lane.due_s)
            else:
                tally.refused += 1
            if self._waiting[lane.node]:
                self._send(lane, *self._waiting[lane.node].popleft())
            else:
                lane.due_s = 0.0
                self._idle[lane.node].append(lane)


class Loading:
    """A load in a process of its own, which has the processor before others, as if it were another machine."""

    def __init__(
        self,
        ports: Sequence[int],
        *,
        count: int,
        rate: float,
        seconds: float,
        connections: int = 128,
        warm_s: float = 0.0,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        options = {"count": count, "rate": rate, "connections": connections, "warm_s": warm_s}
        self._process = spawn.Process(target=_run, args=(ports, options, seconds, theirs), daemon=True)
        self._process.start()
        assert self._ours.recv() == "begun"

    def result(self) -> Tally:
        """What became of it, when it is over."""
        tally: Tally = self._ours.recv()
        self._process.join()
        return tally

    def stop(self) -> Tally:
        """End it now."""
        self._ours.send("stop")
        return self.result()


def _run(ports: Sequence[int], options: dict[str, float], seconds: float, pipe: Connection) -> None:
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    load = OpenLoad(ports, **options)  # type: ignore[arg-type]  # of another process, by name
    pipe.send("begun")
    pipe.send(load.run(seconds, pipe))
