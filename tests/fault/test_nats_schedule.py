"""Any order of faults between nodes and three NATS servers, by a seed, while the stream is cut again and again."""

import random
import time
from collections.abc import Callable

import pytest

from journal_nodes import FollowingNode, close, compare
from nats_server import NatsCluster, nats_cluster

__all__ = ["nats_cluster"]
STEPS = 14


class Schedule:
    """Faults by chance. Each mends what the one before it has done to servers, so that two never add up to a stop."""

    def __init__(self, cluster: NatsCluster, nodes: list[FollowingNode], chance: random.Random) -> None:
        self._cluster, self._nodes, self._chance = cluster, nodes, chance
        self._mend: Callable[[], None] = lambda: None
        self.steps: list[str] = []

    def step(self) -> None:
        """Do one of them."""
        faults = (
            self._reset,
            self._lose_answers,
            self._delay,
            self._kill,
            self._pause,
            self._isolate,
            self._cut,
            self._cut,
        )
        fault = self._chance.choice(faults)
        self.steps.append(fault.__name__)
        if fault not in (self._cut, self._reset):
            self.mend()
        fault()

    def mend(self) -> None:
        """Let all servers run and be reached."""
        self._mend()
        self._mend = lambda: None

    def _number(self) -> int:
        return self._chance.randrange(len(self._cluster.servers))

    def _reset(self) -> None:
        self._cluster.links[self._number()].reset()

    def _lose_answers(self) -> None:
        for link in self._cluster.links:
            link.hold("back")
        time.sleep(self._chance.uniform(0, 0.3))
        for link in self._cluster.links:
            link.reset()
            link.mend()

    def _delay(self) -> None:
        """What is sent to one server arrives when it was given up, and sent again by another."""
        link = self._cluster.links[self._number()]
        link.hold("there")
        self._mend = link.mend

    def _kill(self) -> None:
        server = self._cluster.servers[self._number()]
        server.kill()

        def start() -> None:
            server.start()
            server.wait_ready()

        self._mend = start

    def _pause(self) -> None:
        server = self._cluster.servers[self._number()]
        server.pause()
        self._mend = server.resume

    def _isolate(self) -> None:
        number = self._number()
        self._cluster.isolate(number)
        self._mend = lambda: self._cluster.join(number)

    def _cut(self) -> None:
        """As a checkpoint does, up to what all nodes have followed."""
        through = min(node.followed[-1][0] for node in self._nodes) - self._chance.randrange(3)
        self._nodes[0].do_between(lambda journal: journal.drop(through=through, entries_max=1_000_000))


@pytest.mark.parametrize("seed", range(2))
def test_whatever_fails_each_entry_is_there_once_and_each_ack_is_true(nats3: NatsCluster, seed: int) -> None:
    chance = random.Random(seed)
    nodes = [FollowingNode(nats3.journal(f"seed{seed}"), f"node{number}") for number in range(3)]
    schedule = Schedule(nats3, nodes, chance)
    try:
        for node in nodes:
            node.begin()
            node.wait_for_more()
        for _ in range(STEPS):
            schedule.step()
            chance.choice(nodes).wait_for_more(chance.randrange(1, 15))
        schedule.mend()
        for node in nodes:
            node.wait_for_more()
            node.end()
        compare(nodes)
    finally:
        print(f"\nseed {seed}: {' '.join(schedule.steps)}")
        print([(len(node.acknowledged), len(node.unknown)) for node in nodes])
        schedule.mend()
        close(nodes)
