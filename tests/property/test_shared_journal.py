"""Nodes that follow one journal hold the same fleet, whatever they took in, and however its entries come to them."""

import asyncio
import contextlib
import tempfile
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.report import Report
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, Sender
from shared_service import SharedWorld, all_reached, pump

DEVICES = ("a", "b", "c")
AHEAD_NS = (0, 2 * SECOND, -3 * SECOND)
"""By how much the clocks of the nodes differ, within the limit."""
NODES_MAX = 5
Step = tuple[Any, ...]
nodes, devices = st.integers(0, 2), st.sampled_from(DEVICES)
ago_s = st.one_of(st.integers(-30, 600), st.integers(0, 3 * 86_400))
steps = st.one_of(
    st.tuples(st.just("beat"), nodes, devices, ago_s),
    st.tuples(st.just("upload"), nodes, devices, ago_s, st.integers(1, 3)),
    st.tuples(st.just("report"), nodes, devices, ago_s, st.integers(1, 3)),
    st.tuples(st.just("pass"), st.sampled_from((1, 9, 15, 40, 400, 4_000, 90_000))),
    st.tuples(st.just("tick"), nodes),
    st.tuples(st.just("pump"), nodes, st.integers(1, 4)),
    st.tuples(st.just("read"), nodes),
    st.tuples(
        st.just("change"), nodes, devices, st.sampled_from((None, 1, 5, 20, 300)), st.sampled_from((None, 0, 30))
    ),
    st.tuples(st.just("correct"), nodes, devices, st.sampled_from((1, 5, 300)), st.sampled_from((1, 60, 4_000))),
    st.tuples(st.just("see"), nodes),
    st.tuples(st.just("join")),
)


@dataclass
class Lives:
    """Nodes, and what is done with them."""

    world: SharedWorld
    nodes: list[Service] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)

    async def do(self, step: Step) -> None:
        await getattr(self, f"_{step[0]}")(*step[1:])

    async def _beat(self, node: int, device: str, ago: int) -> None:
        service = self.nodes[node]
        sender = Sender()
        number, at_ns = service.registry.numbers[device], service.clock.now_ns() - ago * SECOND
        service.intake.add_heartbeat(number, at_ns, sender)
        await self._written(service, sender)

    async def _upload(self, node: int, device: str, ago: int, value: int) -> None:
        service = self.nodes[node]
        sender = Sender()
        number, at_ns = service.registry.numbers[device], self.world.clock.now_ns() - ago * SECOND
        service.intake.add_sample(number, at_ns, value, sender)
        await self._written(service, sender)

    async def _report(self, node: int, device: str, ago: int, value: int) -> None:
        service = self.nodes[node]
        sender = Sender()
        number, at_ns = service.registry.numbers[device], self.world.clock.now_ns() - ago * SECOND
        service.intake.add_report(number, Report(at_ns, array("H", [1]), value.to_bytes(8, "little"), 0), sender)
        await self._written(service, sender)

    async def _written(self, service: Service, sender: Sender) -> None:
        await service.writer.drain()
        await sender.outcome

    async def _pass(self, seconds: int) -> None:
        self.world.clock.ns += seconds * SECOND

    async def _tick(self, node: int) -> None:
        service = self.nodes[node]
        service.watch.turn()
        service.follower.move_on(service.clock.now_ns())
        await service.writer.drain()

    async def _pump(self, node: int, entries: int) -> None:
        await pump(self.nodes[node], entries)

    async def _read(self, node: int) -> None:
        await self.nodes[node].follower.caught_up()

    async def _change(self, node: int, device: str, interval_s: int | None, grace_s: int | None) -> None:
        """Declare an interval and a grace by one node; the others may know of it long before their entries say so."""
        registry = self.nodes[node].registry
        await registry.update({registry.numbers[device]: Device(device, interval_s=interval_s, grace_s=grace_s)})

    async def _correct(self, node: int, device: str, interval_s: int, ago: int) -> None:
        registry, since_ns = self.nodes[node].registry, self.nodes[node].clock.now_ns() - ago * SECOND
        changed = {registry.numbers[device]: Device(device, interval_s=interval_s)}
        await registry.update(changed, since_ns=since_ns)

    async def _see(self, node: int) -> None:
        """Let a node see what is in the catalog now, if it can be read in time."""
        with contextlib.suppress(NotAccepting):
            await self.nodes[node].changes.reach(0)

    async def _join(self) -> None:
        """A node starts, and takes in all of the stream at once."""
        if len(self.nodes) < NODES_MAX:
            self.nodes.append(await self.world.started(header_s=1e6, body_s=1e6))


async def live(folder: Path, done: list[Step]) -> None:
    world = SharedWorld(folder, is_pumped=True)
    lives = Lives(world)
    for ahead_ns in AHEAD_NS:
        lives.nodes.append(await world.started(ahead_ns=ahead_ns, header_s=1e6, body_s=1e6))
    await lives.nodes[0].registry.register_many([Device(device) for device in DEVICES])
    await lives.nodes[0].metric_definitions.define([MetricDefinition(name="load", kind="integer")])
    for node in lives.nodes[1:]:
        await node.changes.reach(0)
    for step in done:
        await lives.do(step)
    lives.nodes.append(await world.started())  # it takes all of the stream at once
    await all_reached(*lives.nodes)
    hashes = {fleet_hash(node.fleet) for node in lives.nodes}
    assert len(hashes) == 1
    stats = [[await node.questions.stats(device) for device in DEVICES] for node in lives.nodes]
    assert all(one == stats[0] for one in stats[1:])
    accepted = sum(node.counters.events_accepted for node in lives.nodes)
    assert all(node.counters.events_followed == accepted for node in lives.nodes)
    for node in lives.nodes:
        await node.node.stop()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=40))
def test_nodes_at_one_position_hold_the_same(done: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder), done))
