"""What happens to a cluster: a seeded schedule of faults, one at a time and two at once."""

import itertools
import random
import time
from dataclasses import dataclass
from typing import Literal, Self

from world import Cluster

Way = Literal["kill", "pause", "hold", "cut", "delay", "half"]
WAYS: tuple[Way, ...] = ("kill", "pause", "hold", "cut", "delay", "half")
DELAY_S = 0.15


@dataclass(frozen=True)
class Fault:
    """`member` may be `holder` or `leader`: who it is then is found when the fault begins."""

    way: Way
    member: str

    def __str__(self) -> str:
        return f"{self.way} {self.member}"


def all_faults(*, nodes: int = 3, servers: int = 3) -> list[Fault]:
    """Every way for every member. moto keeps all in its memory, so that the S3 API is not killed."""
    members = [f"node{number + 1}" for number in range(nodes)] + [f"nats{number + 1}" for number in range(servers)]
    members += ["holder", "postgres", "s3", *(["leader"] if servers > 1 else [])]
    return [Fault(way, member) for member in members for way in WAYS if (way, member) != ("kill", "s3")]


def all_pairs(seed: int, count: int) -> list[tuple[Fault, ...]]:
    """Some of all pairs of faults of different members."""
    pairs = [pair for pair in itertools.combinations(all_faults(), 2) if pair[0].member != pair[1].member]
    return list(random.Random(seed).sample(pairs, count))


class Disturbance:
    """Faults that last from the beginning to the end of a `with` block."""

    def __init__(self, cluster: Cluster, faults: tuple[Fault, ...]) -> None:
        self._cluster = cluster
        self.faults = tuple(dict.fromkeys(Fault(fault.way, self._who(fault.member)) for fault in faults))
        self.began_s = self.ended_s = 0.0

    def _who(self, member: str) -> str:
        if member == "holder":
            return self._cluster.lease()[0]
        return f"nats{self._cluster.nats.leader() + 1}" if member == "leader" else member

    def __enter__(self) -> Self:
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
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self.faults:
            member = self._cluster.members[fault.member]
            if fault.way == "kill":
                member.start()
            elif fault.way == "pause":
                member.resume()
        for fault in self.faults:  # only when all are alive: a link that is mended resets what has ended
            for link in self._cluster.links.of(fault.member):
                link.mend()
        self.ended_s = time.monotonic()
