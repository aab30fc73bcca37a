"""Samples are a set: any order, repetition and division of the same samples gives the answers of a plain Python set.

A life mixes batches of samples, most of them sent again later, with checkpoints, compaction, crashes and new days.
"""

import asyncio
import tempfile
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from examples import examples
from fleetpulse.live.figures import count_uploads
from fleetpulse.live.reported_samples import ReportedSamples
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.metric import UPLOAD_TIME, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.pipeline.service import Service
from fleetpulse.query.export import Selection, export_samples
from fleetpulse.query.metrics import DeviceSelection, MetricResult, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from memory_service import DAY, NOON, SECOND, Sender, World

DEVICES = ("d0", "d1", "d2")
CPU = MetricDefinition(name="cpu")
MINUTE = 60 * SECOND
Sample = tuple[int, int, int, int]
"""Device, metric, sent_at in ns, value: a whole number, so that sums of doubles are exact in any order."""
SAMPLES = st.tuples(
    st.integers(0, len(DEVICES) - 1),
    st.integers(0, 1),
    # Few times, at edges of buckets too, so that many samples share one; some are ahead of the clock.
    st.sampled_from([-3 * DAY, -3 * DAY + 1, -2 * DAY, -DAY - 7, -MINUTE, -1, 0, 1, 30 * SECOND, MINUTE])
    | st.integers(-3 * DAY, MINUTE),
    st.integers(0, 3),
).map(lambda sample: (sample[0], sample[1], NOON + sample[2], sample[3]))
BATCH = st.lists(st.tuples(SAMPLES, st.floats(0, 1)), max_size=8)
STEPS = st.lists(
    BATCH | st.sampled_from(["checkpoint", "compact", "crash", "stop", "day", "half a checkpoint"]), max_size=8
)


def batch_of(samples: Sequence[Sample]) -> EventBatch:
    values = [
        value if metric == UPLOAD_TIME else int(np.float64(value).view(np.int64)) for _, metric, _, value in samples
    ]
    return EventBatch(
        sample_devices=array("I", [sample[0] for sample in samples]),
        sample_metrics=array("H", [sample[1] for sample in samples]),
        sample_sent_at_ns=array("q", [sample[2] for sample in samples]),
        sample_values=array("q", values),
    )


def abandon(service: Service) -> None:
    """What a crash leaves: threads end, nothing is written."""
    service.node._ticker.cancel()
    service.writer._jobs.put(None)
    service.writer._thread.join()
    service.node._close()


class Life:
    """A service over its restarts, and what it was sent."""

    def __init__(self, folder: Path, samples: Callable[[], ReportedSamples] = ReportedSamples) -> None:
        self.world = World(folder)
        self.sent: list[Sample] = []
        self.samples = samples

    async def start(self) -> None:
        self.service = service = self.world.service()
        service.fleet.samples = self.samples()
        await service.node.start()
        if not service.registry.numbers:
            await service.registry.register_many([Device(name) for name in DEVICES])
            await service.metric_definitions.add(CPU)

    async def send(self, samples: Sequence[Sample]) -> None:
        sender = Sender()
        self.service.intake.add_batch(batch_of(samples), sender)
        await self.service.writer.drain()
        await sender.outcome
        self.sent += samples

    async def step(self, step: str, more: Sequence[Sample]) -> None:
        service = self.service
        if step == "checkpoint":
            assert await service.housekeeping.checkpoint()
        elif step == "half a checkpoint":
            running = asyncio.create_task(service.housekeeping.checkpoint())
            await asyncio.sleep(0)
            await self.send(more)
            await self.check()
            assert await running
        elif step == "compact":
            while await service.housekeeping.compact(is_forced=True):
                pass
        elif step == "day":
            self.world.clock.ns += DAY
            service.follower.advance(self.world.clock.ns)
        else:
            abandon(service) if step == "crash" else await service.node.stop()
            await self.start()

    async def check(self) -> None:
        """Every answer is that of a plain set; the accounts are those of what was acknowledged."""
        distinct, questions = set(self.sent), self.service.questions
        for device, name in enumerate(DEVICES):
            figures = (await questions.lifetime(device)).figures
            uploads = [value for owner, metric, _, value in distinct if (owner, metric) == (device, UPLOAD_TIME)]
            assert (figures.uploads, figures.upload_time_total) == (len(uploads), sum(uploads))
            audit = questions.account(device)
            acknowledged = sum(owner == device for owner, _, _, _ in self.sent)
            assert (audit.accepted, audit.applied, audit.pending, audit.samples) == (
                acknowledged,
                acknowledged,
                0,
                acknowledged,
            )
            assert (await questions.stats(name)).avg_upload_time == f"{sum(uploads) // max(1, len(uploads))}ns".replace(
                "0ns", "0s"
            )
        now_ns = self.world.clock.ns
        for metric, definition in ((UPLOAD_TIME, self.service.metric_definitions.metrics[UPLOAD_TIME]), (1, CPU)):
            for window in (
                Window(NOON - 5 * DAY, now_ns + DAY, DAY),
                Window(NOON - 3 * DAY, NOON + 1),
                Window(NOON - MINUTE, NOON + 2 * MINUTE, MINUTE),
            ):
                for whom in (None, *range(len(DEVICES))):
                    selection = (
                        DeviceSelection(whom) if whom is not None else DeviceSelection(None, np.zeros(3, np.int32))
                    )
                    found = {
                        aggregation: await questions.samples(
                            partial(
                                ask,
                                number=metric,
                                metric=definition,
                                aggregation=aggregation,
                                selection=selection,
                                window=window,
                            ),
                            cost_ms=0.0,
                        )
                        for aggregation in ("count", "sum", "p50")
                    }
                    mine = [one for one in distinct if one[1] == metric and whom in (None, one[0])]
                    check_cells(found, mine, window)
            exported = await questions.samples(partial(export, number=metric, metric=definition), cost_ms=0.0)
            assert sorted(exported) == sorted(one for one in distinct if one[1] == metric)


def ask(where: Samples, **question: Any) -> MetricResult:
    return find(where, **question)


def export(where: Samples, *, number: int, metric: MetricDefinition) -> list[Sample]:
    """All samples of a metric, as an export has them."""
    selection = Selection(str, np.ones(3, bool), 100)
    pieces = export_samples(where, selection, [(number, metric)], start_ns=NOON - 9 * DAY, end_ns=NOON + 9 * DAY)
    columns = [(piece["device_id"].tolist(), piece["sent_at"], piece["value"]) for piece in pieces if piece]
    return [
        (int(device), number, int(at_ns), int(value))
        for rows in columns
        for device, at_ns, value in zip(*rows, strict=True)
    ]


def check_cells(found: dict[str, MetricResult], samples: Sequence[Sample], window: Window) -> None:
    cells: list[list[int]] = [[] for _ in range(window.buckets)]
    for _, _, at_ns, value in samples:
        if window.start_ns <= at_ns < window.end_ns:
            cells[0 if window.step_ns is None else (at_ns - window.origin_ns) // window.step_ns].append(value)
    assert not found["count"].missing
    assert found["count"].values == [len(cell) for cell in cells]
    assert found["sum"].values == [sum(cell) if cell else None for cell in cells]
    medians = [pytest.approx(sorted(cell)[(len(cell) + 1) // 2 - 1], rel=0.01) if cell else None for cell in cells]
    assert found["p50"].values == medians


async def live(life: Life, steps: Sequence[Any]) -> None:
    await life.start()
    await life.check()
    for place, step in enumerate(steps):
        if isinstance(step, str):
            await life.step(step, [*life.sent[-3:], (0, place % 2, NOON + place, 1)])
        else:
            # With a chance that each sample carries, one that was sent before takes its place.
            again = life.sent[:]
            samples = [
                again[int(chance * 2 * len(again))] if again and chance < 0.5 else sample for sample, chance in step
            ]
            if samples:
                await life.send(samples)
        await life.check()
    await life.service.node.stop()


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_any_life_answers_as_a_plain_set(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(live(Life(Path(name)), steps))


class EachAcknowledgementCounts(ReportedSamples):
    """The rule of before: every sample is taken for a new one."""

    def apply(self, samples: SampleColumns, columns: dict[str, NDArray[Any]]) -> None:
        self.certain.add(samples)
        is_upload = samples.metrics == UPLOAD_TIME
        np.add.at(columns["other_samples"], samples.devices[~is_upload], 1)
        count_uploads(columns, samples.where(is_upload))


SAMPLE = (0, UPLOAD_TIME, NOON - MINUTE, 3)
LATER = (0, UPLOAD_TIME, NOON, 5)


@pytest.mark.parametrize(
    "steps",
    [
        [[(SAMPLE, 1.0), (SAMPLE, 1.0)]],
        [[(SAMPLE, 1.0)], [(SAMPLE, 1.0)]],
        [[(SAMPLE, 1.0), (LATER, 1.0)], "checkpoint", [(SAMPLE, 1.0)]],
        [[(SAMPLE, 1.0)], "checkpoint", "compact", "stop", [(SAMPLE, 1.0)], "checkpoint", "compact"],
    ],
    ids=["one batch", "two batches", "before and after a checkpoint", "before and after compaction"],
)
def test_the_rule_of_before_fails_where_this_one_holds(steps: list[Any], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    asyncio.run(live(Life(tmp_path / "set"), steps))
    with pytest.raises(AssertionError):
        asyncio.run(live(Life(tmp_path, EachAcknowledgementCounts), steps))
