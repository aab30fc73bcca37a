"""Any order, duplication and batching of the same events gives the same fleet; snapshot + replay equals pure replay."""

import asyncio
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.app import build
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.fleet import DeviceFigures
from fleetpulse.model.events import EventBatch
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
NOW = 20_000 * DAY + 600 * MINUTE
DEVICES = 3
HEARTBEATS = st.lists(
    st.tuples(st.integers(0, DEVICES - 1), st.integers(-4, 1), st.integers(0, 1439)).map(
        lambda t: (t[0], (20_000 + t[1]) * 1440 + t[2])
    ),
    max_size=40,
)
SAMPLES = st.lists(st.tuples(st.integers(0, DEVICES - 1), st.integers(0, 2**63 - 1)), max_size=20)


class FakeClock:
    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns


class Told:
    def __init__(self) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.outcome.set_result(None)

    def fail(self, error: Exception) -> None:
        self.outcome.set_exception(error)


def batch_of(heartbeats: list[tuple[int, int]], samples: list[tuple[int, int]]) -> EventBatch:
    batch = EventBatch()
    for device, minute in heartbeats:
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(minute * MINUTE + 7)
    for device, value in samples:
        batch.sample_devices.append(device)
        batch.sample_sent_at_ns.append(NOW)
        batch.sample_values.append(value)
        batch.sample_metrics.append(0)
    return batch


async def add(intake: Intake, batch: EventBatch) -> None:
    sender = Told()
    intake.add_batch(batch, sender)
    await sender.outcome


def abandon(service: Service) -> None:
    """What a crash leaves: threads end, nothing is written."""
    service.node._ticker.cancel()
    service.writer._jobs.put(None)
    service.writer._thread.join()
    service.node._close()


def expected(device: int, heartbeats: list[tuple[int, int]], samples: list[tuple[int, int]]) -> tuple[int, ...]:
    minutes = {minute for number, minute in heartbeats if number == device}
    values = [value for number, value in samples if number == device]
    span = (min(minutes), max(minutes)) if minutes else (2**31 - 1, -(2**31))
    beats = sum(number == device for number, _ in heartbeats)
    return (len(minutes), *span, beats, len(values), sum(values))


def as_tuple(figures: DeviceFigures) -> tuple[int, ...]:
    names = ("minutes_present", "first_minute", "last_minute", "heartbeats", "samples", "upload_time_total")
    return tuple(getattr(figures, name) for name in names)


@settings(max_examples=40, deadline=None)
@given(
    HEARTBEATS,
    SAMPLES,
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(["checkpoint", "crash", "day", "stop"]), max_size=5),
)
def test_any_life_ends_in_the_figures_of_the_plain_model(
    heartbeats: list[tuple[int, int]], samples: list[tuple[int, int]], chance: random.Random, lives: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(live(Path(name), heartbeats, samples, chance, lives))


async def live(
    folder: Path,
    heartbeats: list[tuple[int, int]],
    samples: list[tuple[int, int]],
    chance: random.Random,
    lives: list[str],
) -> None:
    devices = folder / "devices.csv"
    devices.write_text("device_id\n" + "".join(f"d{i}\n" for i in range(DEVICES)))
    setup = Settings(data=str(folder), devices=str(devices), checkpoint_s=1e9)
    clock = FakeClock(NOW)
    service = build(setup, clock=clock)
    await service.node.start()
    repeated = heartbeats + [beat for beat in heartbeats if chance.random() < 0.3]
    chance.shuffle(repeated)
    events: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for step in [*lives, None]:
        beats = repeated[: chance.randint(0, len(repeated))] if step else repeated
        others = samples[: chance.randint(0, len(samples))] if step else samples
        del repeated[: len(beats)]
        samples = samples[len(others) :]
        if beats or others:
            await add(service.intake, batch_of(beats, others))
        events[0].extend(beats)
        events[1].extend(others)
        if step == "checkpoint":
            assert await service.housekeeping.checkpoint()
        elif step == "day":
            clock.ns += DAY
            service.fleet.advance(clock.ns // DAY)
        elif step in ("crash", "stop"):
            abandon(service) if step == "crash" else await service.node.stop()
            service = build(setup, clock=clock)
            await service.node.start()
        for device in range(DEVICES):
            assert as_tuple(await service.questions.figures(device)) == expected(device, *events)
    await service.node.stop()


def test_figures_are_whole_while_a_checkpoint_runs(tmp_path: Path) -> None:
    asyncio.run(_during_a_checkpoint(tmp_path))


async def _during_a_checkpoint(folder: Path) -> None:
    devices = folder / "devices.csv"
    devices.write_text("device_id\nd0\n")
    service = build(Settings(data=str(folder), devices=str(devices), checkpoint_s=1e9), clock=FakeClock(NOW))
    await service.node.start()
    late = [(0, 19_990 * 1440 + minute) for minute in range(10)]
    await add(service.intake, batch_of(late, [(0, 5)]))
    assert await service.housekeeping.checkpoint()
    running = asyncio.create_task(service.housekeeping.checkpoint())
    for minute in range(10, 20):
        late.append((0, 19_990 * 1440 + minute))
        await add(service.intake, batch_of(late[-5:], [(0, 5)]))
        assert (await service.questions.figures(0)).minutes_present == len(late)
    assert await running
    assert (await service.questions.figures(0)).minutes_present == len(late)
    await service.node.stop()
