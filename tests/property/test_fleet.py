"""Any order, duplication and batching of the same events gives the same fleet; snapshot + replay equals pure replay."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.app import build
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.figures import DeviceFigures
from fleetpulse.model.events import EventBatch
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
NOW = 20_000 * DAY + 600 * MINUTE
DEVICES = 3
MINUTES = st.tuples(st.integers(0, DEVICES - 1), st.integers(-4, 1), st.integers(0, 1439)).map(
    lambda t: (t[0], (20_000 + t[1]) * 1440 + t[2])
)
HEARTBEATS = st.lists(MINUTES, max_size=40)
REPORTS = st.lists(MINUTES, max_size=40, unique=True)
SAMPLES = st.lists(st.tuples(st.integers(0, DEVICES - 1), st.integers(0, 2**63 - 1)), max_size=20)


class Events(NamedTuple):
    """What devices sent: heartbeats, upload times (device, value), and reports of a metric."""

    heartbeats: list[tuple[int, int]]
    uploads: list[tuple[int, int]]
    reports: list[tuple[int, int]]


class FakeClock:
    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns


class Told:
    def __init__(self) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.outcome.set_result(None)

    def fail(self, error: Exception) -> None:
        self.outcome.set_exception(error)


def batch_of(
    heartbeats: Sequence[tuple[int, int]], uploads: Sequence[tuple[int, int]], reports: Sequence[tuple[int, int]] = ()
) -> EventBatch:
    batch = EventBatch()
    for device, minute in heartbeats:
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(minute * MINUTE + 7)
    samples = [(device, NOW, value, 0) for device, value in uploads]
    for device, at_ns, value, metric in [
        *samples,
        *((device, minute * MINUTE + 9, 5, 1) for device, minute in reports),
    ]:
        batch.sample_devices.append(device)
        batch.sample_sent_at_ns.append(at_ns)
        batch.sample_values.append(value)
        batch.sample_metrics.append(metric)
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


def expected(device: int, events: Events, *, do_reports_mark: bool = True) -> tuple[int, ...]:
    """The figures of a device by a plain model. The control lets only heartbeats mark presence, as it once was."""
    marks = [*events.heartbeats, *(events.reports if do_reports_mark else [])]
    minutes = {minute for number, minute in marks if number == device}
    values = [value for number, value in events.uploads if number == device]
    span = (min(minutes), max(minutes)) if minutes else (2**31 - 1, -(2**31))
    beats = sum(number == device for number, _ in events.heartbeats)
    samples = len(values) + sum(number == device for number, _ in events.reports)
    # All upload times have one sent_at, so each value is one sample however often it was sent; the accounts count all.
    return (len(minutes), *span, beats, samples, sum(set(values)))


def as_tuple(figures: DeviceFigures) -> tuple[int, ...]:
    names = ("minutes_present", "first_minute", "last_minute", "heartbeats", "samples", "upload_time_total")
    return tuple(getattr(figures, name) for name in names)


@settings(max_examples=examples(40), deadline=None)
@given(
    HEARTBEATS,
    SAMPLES,
    REPORTS,
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(["checkpoint", "crash", "day", "stop"]), max_size=5),
)
def test_any_life_ends_in_the_figures_of_the_plain_model(
    heartbeats: list[tuple[int, int]],
    samples: list[tuple[int, int]],
    reports: list[tuple[int, int]],
    chance: random.Random,
    lives: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(live(Path(name), Events(heartbeats, samples, reports), chance, lives))


def test_the_old_rule_that_only_heartbeats_mark_presence_gives_other_figures() -> None:
    with tempfile.TemporaryDirectory() as name:
        events = Events([], [], [(0, 20_000 * 1440)])
        with pytest.raises(AssertionError):
            asyncio.run(live(Path(name), events, random.Random(1), ["checkpoint"], do_reports_mark=False))


async def live(
    folder: Path, planned: Events, chance: random.Random, lives: list[str], *, do_reports_mark: bool = True
) -> None:
    devices = folder / "devices.csv"
    devices.write_text("device_id\n" + "".join(f"d{i}\n" for i in range(DEVICES)))
    metrics = folder / "metrics.json"
    metrics.write_text('[{"name": "load", "kind": "integer"}]')
    setup = Settings(data=str(folder), devices=str(devices), metrics=str(metrics), checkpoint_s=1e9)
    clock = FakeClock(NOW)
    service = build(setup, clock=clock)
    await service.node.start()
    beats = planned.heartbeats + [beat for beat in planned.heartbeats if chance.random() < 0.3]
    chance.shuffle(beats)
    remaining, taken = Events(beats, planned.uploads, planned.reports), Events([], [], [])
    for step in [*lives, None]:
        cuts = [chance.randint(0, len(rows)) if step else len(rows) for rows in remaining]
        now = Events(*(rows[:cut] for rows, cut in zip(remaining, cuts, strict=True)))
        remaining = Events(*(rows[cut:] for rows, cut in zip(remaining, cuts, strict=True)))
        if any(now):
            await add(service.intake, batch_of(*now))
        for rows, new in zip(taken, now, strict=True):
            rows.extend(new)
        if step == "checkpoint":
            assert await service.housekeeping.checkpoint()
        elif step == "day":
            clock.ns += DAY
            service.fleet.advance(clock.ns)
        elif step in ("crash", "stop"):
            abandon(service) if step == "crash" else await service.node.stop()
            service = build(setup, clock=clock)
            await service.node.start()
        for device in range(DEVICES):
            assert as_tuple((await service.questions.lifetime(device)).figures) == expected(
                device, taken, do_reports_mark=do_reports_mark
            )
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
        assert (await service.questions.lifetime(0)).figures.minutes_present == len(late)
    assert await running
    assert (await service.questions.lifetime(0)).figures.minutes_present == len(late)
    await service.node.stop()
