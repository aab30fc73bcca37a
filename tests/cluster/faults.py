"""What happens to a cluster: a seeded schedule of faults, one at a time and two at once, for moments and for longer."""

import itertools
import random
import time
from dataclasses import dataclass
from typing import Literal, Self

from world import Cluster, until

Way = Literal["kill", "pause", "hold", "cut", "delay", "half", "away", "cut nats"]
"""`away`: a node stands still and is cut off from NATS, until the stream has dropped what it must apply next.
`cut nats`: a node is cut off from NATS alone, so it still reaches PostgreSQL and could renew the lease for ever."""
WAYS: tuple[Way, ...] = ("kill", "pause", "hold", "cut", "delay", "half")
DELAY_S = 0.15
LONG_S = 14.0
"""Beyond the lease, and beyond what a leader of NATS may be silent."""
AWAY_S_MAX = 90.0


@dataclass(frozen=True)
class Fault:
    """`member` may be `holder`, `leader` or `follower`: who it is then is found when the fault begins."""

    way: Way
    member: str
    seconds: float = 0.0
    """How long it lasts; 0: moments."""

    def __str__(self) -> str:
        return f"{self.way} {self.member}" + (f" for {self.seconds:.0f} s" if self.seconds else "")


def all_faults() -> list[Fault]:
    """Every way for everything."""
    members = ["holder", "node1", "node2", "node3", "leader", "follower", "postgres", "s3"]
    return [Fault(way, member) for member in members for way in WAYS]


def long_faults() -> list[Fault]:
    """Those of which others take over, or which the rest must outlast."""
    ways: list[tuple[str, tuple[Way, ...]]] = [
        ("holder", ("kill", "pause", "hold", "cut", "cut nats")),
        ("leader", ("kill", "pause", "hold")),
        ("follower", ("pause",)),
        ("postgres", ("kill", "pause", "hold")),
        ("s3", ("kill", "pause")),
    ]
    found = [Fault(way, member, LONG_S) for member, each in ways for way in each]
    return [*found, Fault("away", "node1"), Fault("away", "node3")]


def all_pairs(seed: int, count: int) -> list[tuple[Fault, ...]]:
    """Some of all pairs of faults of different members."""
    pairs = [pair for pair in itertools.combinations(all_faults(), 2) if pair[0].member != pair[1].member]
    return list(random.Random(seed).sample(pairs, count))


class Disturbance:
    """Faults that last from the beginning to the end of a `with` block.

    What two names mean may be one member: then it meets with the first of the faults only.
    """

    def __init__(self, cluster: Cluster, faults: tuple[Fault, ...]) -> None:
        self._cluster = cluster
        self._plan = faults
        self.faults = tuple(
            {
                member: Fault(fault.way, member, fault.seconds)
                for fault in reversed(faults)
                for member in (self._who(fault.member),)
            }.values()
        )
        self.term = cluster.lease()
        """Who had the lease before, and its epoch."""
        self.began_s = self.ended_s = 0.0

    def _who(self, member: str) -> str:
        match member:
            case "holder":
                return self._cluster.lease()[0]
            case "leader":
                return f"nats{self._cluster.nats.leader() + 1}"
            case "follower":
                return f"nats{(self._cluster.nats.leader() + 1) % 3 + 1}"
            case _:
                return member

    def wait(self, moments_s: float) -> float:
        """Let it last; how long it took until another node had the lease, where the holder is concerned, else 0."""
        taken_s = 0.0
        if self._plan[0].member == "holder" and self._plan[0].seconds:
            epoch = self.term[1]
            until(lambda: self._cluster.lease()[1] > epoch, lambda: f"nobody took over from {self.term}", 60)
            taken_s = time.monotonic() - self.began_s
        for fault in self.faults:
            if fault.way == "away":
                self._cluster.await_dropped(self._position, AWAY_S_MAX)
        seconds = max(fault.seconds for fault in self.faults) or moments_s
        time.sleep(max(0.0, self.began_s + seconds - time.monotonic()))
        return taken_s

    def __enter__(self) -> Self:
        self._position = max(report.get("position", 0) for report in self._cluster.reports())
        self._cluster.check_alive()
        self.began_s = time.monotonic()
        for fault in self.faults:
            member, links = self._cluster.members[fault.member], self._cluster.links.of(fault.member)
            match fault.way:
                case "kill":
                    member.kill()
                case "pause":
                    member.pause()
                case "hold":
                    [link.hold() for link in links]
                case "cut":
                    [link.cut() for link in links]
                case "delay":
                    [link.delay(DELAY_S) for link in links]
                case "half":
                    [link.half_close() for link in links]
                case "cut nats":
                    [link.cut() for link in self._cluster.links.of(fault.member, "nats")]
                case "away":
                    member.pause()
                    [link.cut() for link in self._cluster.links.of(fault.member, "nats")]
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self.faults:
            member = self._cluster.members[fault.member]
            if fault.way == "kill":
                member.start()
            elif fault.way in {"pause", "away"}:
                member.resume()
        for fault in self.faults:  # only when all are alive: a link that is mended resets what has ended
            for link in self._cluster.links.of(fault.member):
                link.mend()
        self.ended_s = time.monotonic()
