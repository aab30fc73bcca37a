"""A whole service, whatever beats come in which order: its gaps are those of the set of beats, also on the disk."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beat_days import rows_of
from examples import examples
from fleetpulse.aggregate.beat_gaps import divide, join_backfill
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.model.device_spans import join_device_spans, sort_device_spans
from fleetpulse.pipeline.service import Service
from memory_service import DAY, NOON, SECOND, Sender, World

DEVICES = ("d0", "d1", "d2")
KEPT_NS = 90 * SECOND
"""A longer stretch without a beat is a gap, for devices that beat each minute."""
BEATS = st.lists(st.tuples(st.integers(0, 2), st.integers(-3 * 1440, -1)), min_size=1, max_size=9)
NEAR = st.lists(st.tuples(st.integers(0, 2), st.integers(-40, -1)), min_size=1, max_size=9)
STEPS = st.lists(
    BEATS
    | NEAR
    | st.sampled_from(["checkpoint", "checkpoint", "compact", "restart", "tomorrow"])
    | st.tuples(st.just("forget"), st.integers(0, 2), st.integers(-3 * 1440, -1)),
    max_size=25,
)


class Life:
    """A service, and the set of beats that it was sent."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.beats: dict[int, set[int]] = {device: set() for device in range(len(DEVICES))}

    async def live(self, steps: list[object]) -> None:
        self.service = await self.world.started(*DEVICES)
        for step in steps:
            match step:
                case "checkpoint":
                    assert await self.service.housekeeping.checkpoint()
                case "compact":
                    while await self.service.housekeeping.compact(is_forced=True):
                        pass
                case "restart":
                    await self.service.node.stop()
                    self.service = await self.world.started()
                case "tomorrow":
                    self.world.clock.ns += DAY
                    self.service.node.tick()
                case ("forget", int(device), int(minute)):
                    await self.forget(device, self.world.clock.ns + minute * 60 * SECOND)
                case list():
                    await self.send(step)
            await self.service.follower.caught_up()
            assert found(self.service) == self.expected()
        await self.service.node.stop()

    async def send(self, beats: list[tuple[int, int]]) -> None:
        senders = []
        for device, minute in beats:
            senders.append(Sender())
            at_ns = self.world.clock.ns + minute * 60 * SECOND
            self.service.intake.add_heartbeat(self.service.registry.numbers[DEVICES[device]], at_ns, senders[-1])
            self.beats[device].add(at_ns)
        await self.service.writer.drain()
        for sender in senders:
            await sender.outcome

    async def forget(self, device: int, before_ns: int) -> None:
        text = str(np.datetime64(before_ns, "ns")) + "Z"
        assert (await self.service.forgetting.forget(DEVICES[device], text, is_dry=False)).done
        self.beats[device] = {at_ns for at_ns in self.beats[device] if at_ns >= before_ns}

    def expected(self) -> list[tuple[int, int, int]]:
        return [
            (device, start_ns, end_ns)
            for device, beats in self.beats.items()
            for start_ns, end_ns in zip(sorted(beats), sorted(beats)[1:], strict=False)
            if end_ns - start_ns > KEPT_NS
        ]


def found(service: Service) -> list[tuple[int, int, int]]:
    """The gaps that blocks and memory hold."""
    view = service.follower.fleet.view(range(len(DEVICES)), from_day=0)
    late = join_backfill(join_device_spans(view.backfill), lambda devices, _start, _end: np.ones(len(devices), bool))
    stored = read_beat_gaps(service.history, service.history.manifest, start_day=0, end_day=2**31, backfill=late)
    live = divide(sort_device_spans(join_device_spans(view.beat_gaps)), late)
    return sorted(row for row in rows_of(join_device_spans([*stored, live])) if row[2] - row[1] > KEPT_NS)


@settings(max_examples=examples(30), deadline=None)
@given(STEPS)
def test_the_gaps_of_a_service_are_those_of_the_set_of_beats(steps: list[object]) -> None:
    assert NOON % (60 * SECOND) == 0
    with TemporaryDirectory() as folder:
        asyncio.run(Life(Path(folder)).live(steps))
