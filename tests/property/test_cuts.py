"""Nodes that take checkpoints, compact, fail, start anew and change the holder answer as one that never checkpoints.

What is declared of devices changes meanwhile, so that a node which starts from a snapshot must find the same gaps.
"""

import asyncio
import math
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, Sender, World
from shared_service import SharedWorld, all_reached, take_lease

MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
DEVICES = 3
reports = st.tuples(
    st.sampled_from(["beat", "upload"]),
    st.integers(0, 1),  # the node that receives it
    st.integers(0, DEVICES - 1),
    st.integers(0, 60),  # hours by which it is late
    st.integers(0, 2),  # the upload time
)
intervals = st.tuples(
    st.just("interval"),
    st.integers(0, 1),  # the node that is asked to change it
    st.integers(0, DEVICES - 1),
    st.sampled_from([5, 3_600, 2 * 3_600, 86_400]),
)
acts = st.tuples(st.sampled_from(["checkpoint", "compact", "failed checkpoint", "change the holder", "restart"]))
lives = st.lists(st.one_of(reports, reports, intervals, acts), min_size=1, max_size=25)


async def report(service: Service, kind: str, device: int, sent_at_ns: int, value: int) -> None:
    sender = Sender()
    if kind == "beat":
        service.intake.add_heartbeat(device, sent_at_ns, sender)
    else:
        service.intake.add_sample(device, sent_at_ns, value, sender)
    await service.writer.drain()
    await sender.outcome


async def started(world: SharedWorld) -> Service:
    """A node that takes the lease only when it is told to."""
    node = await world.started()
    node.lease._tried_at_ns = math.inf
    return node


async def act(world: SharedWorld, nodes: list[Service], what: str) -> None:
    """Do it on the first of the nodes, which is the holder; the other one is started anew."""
    holder = nodes[0]
    if what == "restart":
        await nodes[1].node.stop()
        nodes[1] = await started(world)
    elif what == "change the holder":
        holder.catalog.lease.release(holder.catalog.lease.current().term)
        holder.lease._term = None
        nodes.reverse()
    await take_lease(nodes[0])
    await all_reached(*nodes)
    if what == "checkpoint":
        assert await holder.housekeeping.checkpoint()
    elif what == "compact":
        await holder.housekeeping.compact(is_forced=True)
    elif what == "failed checkpoint":
        cuts = holder.node.shared_cuts
        assert cuts is not None

        async def half_a_checkpoint() -> bool:
            await cuts.frozen(world.clock.ns)
            return False

        assert not await cuts.while_writing(half_a_checkpoint)


async def live(folder: Path, steps: list[tuple[object, ...]]) -> None:
    (folder / "one").mkdir()
    (folder / "shared").mkdir()
    single, world = World(folder / "one"), SharedWorld(folder / "shared")
    names = [f"d{number}" for number in range(DEVICES)]
    model = await single.started(*names)
    nodes = [await started(world), await started(world)]
    nodes[0].catalog.lease.release(nodes[0].catalog.lease.current().term)
    await nodes[0].registry.register_many([Device(name) for name in names])
    await nodes[1].changes.reach(0)
    for step in steps:
        if len(step) == 1:
            await act(world, nodes, str(step[0]))
            continue
        kind, place, device, *rest = step
        number = int(str(device))
        world.clock.ns += 50 * MINUTE
        single.clock.ns = world.clock.ns
        for service in (model, nodes[int(str(place))]):
            if kind == "interval":
                await service.registry.update({number: Device(names[number], interval_s=int(str(rest[0])))})
            else:
                late_h, value = (int(str(one)) for one in rest)
                await report(service, str(kind), number, world.clock.ns - late_h * HOUR, value)
    await all_reached(*nodes)
    for node in nodes:
        await node.changes.reach(0)
        for device in range(DEVICES):
            expected = (await model.questions.lifetime(device)).figures
            assert (await node.questions.lifetime(device)).figures == expected
    if nodes[0].history.manifest == nodes[1].history.manifest:
        assert [node.fleet.policies_of(0) for node in nodes] == [model.fleet.policies_of(0)] * 2
        assert fleet_hash(nodes[0].fleet) == fleet_hash(nodes[1].fleet)
    for service in (*nodes, model):
        await service.node.stop()


@settings(max_examples=12, deadline=None)
@example([("upload", 0, 0, 0, 1), ("upload", 1, 0, 5, 2), ("checkpoint",)])  # one that may be a repeat, and is none
@given(lives)
def test_nodes_answer_as_one_that_never_takes_a_checkpoint(steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder), steps))
