"""However the gaps of a life are cut into checkpoints and merged by compaction, all answers are the same to the bit."""

import asyncio
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.app import build_parts
from fleetpulse.pipeline.exports import ExportRequest
from fleetpulse.pipeline.service import Service
from fleetpulse.query.fleet import fleet_uptime
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from fleetpulse.settings import Settings
from memory_service import NOON, SECOND, World, beat

DEVICES = ("d0", "d1", "d2")
Step = tuple[int, int, str]
"""A device, minutes that pass before it beats, and what happens afterwards: nothing, a checkpoint, and compaction."""
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 900), st.sampled_from(["", "", "checkpoint", "compaction"])),
    min_size=1,
    max_size=40,
)


async def answers(service: Service, world: World) -> dict[str, bytes]:
    """What is answered about the whole life, as bytes; the export of gaps as the set of its lines."""
    window = Window(NOON - SECOND, world.clock.ns + 1)
    found = {}
    for device in DEVICES:
        for question in (partial(device_transitions, limit=10_000), partial(device_uptime, is_explained=True)):
            about = partial(question, device_id=device, window=window)
            answer = await service.questions.device(device, about, start_ns=window.start_ns)
            found[f"{device} {type(answer).__name__}"] = msgspec.json.encode(answer)
    about = partial(fleet_uptime, by="", labels=(), window=window)
    found["fleet"] = msgspec.json.encode(await service.questions.fleet(about, start_ns=window.start_ns))
    fields = {"window": window, "labels": (), "device_ids": (), "metrics": ()}
    request = ExportRequest(what="reception_gaps", file_format="csv", **fields)  # type: ignore[arg-type]  # one struct
    body = (await build_parts(Settings(), service).exports.file(request)).body
    lines = b"".join([piece async for piece in body]).splitlines()
    assert len(set(lines)) == len(lines), "each gap is in one file"
    found["export"] = b"\n".join(sorted(lines))
    return found


async def live(folder: Path, steps: list[Step], *, is_cut: bool) -> dict[str, bytes]:
    world = World(folder)
    service = await world.started(*DEVICES)
    for device, minutes, then in steps:
        world.clock.ns += minutes * 60 * SECOND
        service.node.tick()
        await beat(service, DEVICES[device])
        if is_cut and then:
            assert await service.housekeeping.checkpoint()
            while then == "compaction" and await service.housekeeping.compact():
                pass
    assert await service.housekeeping.checkpoint()
    found = await answers(service, world)
    while await service.housekeeping.compact():
        pass
    assert await answers(service, world) == found
    await service.node.stop()
    return found


@settings(max_examples=examples(15), deadline=None)
@given(STEPS)
def test_any_cut_into_checkpoints_and_any_compaction_give_the_answers_of_one_checkpoint(steps: list[Step]) -> None:
    found = []
    for is_cut in (False, True):
        with TemporaryDirectory() as folder:
            found.append(asyncio.run(live(Path(folder), steps, is_cut=is_cut)))
    assert found[0] == found[1]
