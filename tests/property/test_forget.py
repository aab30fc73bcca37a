"""Whatever happens around it, what was forgotten is gone everywhere, and nothing else: as a plain model says."""

import asyncio
import random
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.app import build
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import EventBatch
from fleetpulse.notation.exact_seconds import exact_seconds
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.pipeline.verify import verify
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from fleetpulse.settings import Settings
from memory_service import DAY, SECOND, FakeClock, Sender

MINUTE = 60 * SECOND
NOW = 20_000 * DAY + 600 * MINUTE
DEVICES = 3
FIRST_MINUTE = NOW // MINUTE - 4 * 1440
WINDOW = Window(NOW - 4 * DAY, NOW)
MINUTES = st.integers(FIRST_MINUTE, NOW // MINUTE - 1)
EVENTS = st.lists(
    st.tuples(st.integers(0, DEVICES - 1), MINUTES, st.sampled_from(["beat", "upload", "report"])),
    max_size=40,
    unique=True,
)
STEPS = st.lists(
    st.sampled_from(["events", "checkpoint", "compact", "crash", "stop", "day"])
    | st.tuples(st.integers(0, DEVICES - 1), MINUTES),
    max_size=10,
)
Event = tuple[int, int, str]
"""Device, minute and kind. The value of a sample is its minute, and its time is some ns after its begin."""


@dataclass
class Model:
    """What was sent, and what of it is forgotten. The control believes a wrong clock for good: it forgets nothing."""

    does_forget: bool = True
    accepted: list[Event] = field(default_factory=list)
    kept: list[Event] = field(default_factory=list)
    firsts: set[tuple[int, int]] = field(default_factory=set)
    """Devices, and the minutes of their first beats after what was forgotten."""

    def take(self, events: list[Event]) -> None:
        self.accepted += events
        self.kept += events

    def forget(self, device: int, before_minute: int) -> tuple[int, int]:
        """How many minutes and samples of the device are gone."""
        gone = [event for event in self.kept if event[0] == device and event[1] < before_minute]
        if self.does_forget:
            self.kept = [event for event in self.kept if event not in gone]
        minutes = {minute for _, minute, kind in gone if kind != "upload"}
        self.firsts |= {(device, min(self.minutes(device), default=0))}
        return len(minutes), sum(kind != "beat" for _, _, kind in gone)

    def minutes(self, device: int) -> set[int]:
        return {minute for number, minute, kind in self.kept if number == device and kind != "upload"}

    def settled(self, device: int) -> list[tuple[Decimal, Decimal]]:
        """(up, accountable) of the window: a minute after each beat is up, and all of what is no gap.

        Of the first beat after what was forgotten perhaps only the minute is known: as if there were one at its start.
        """
        after = {"beat": 7, "report": 9}
        beats = {at * MINUTE + after[kind] for one, at, kind in self.kept if one == device and kind in after}
        starts = [at for one, at in sorted(self.firsts) if one == device and at in self.minutes(device)]
        found = []
        for count in range(len(starts) + 1):
            for chosen in combinations(starts, count):
                at_ns = sorted({*beats, *(at * MINUTE for at in chosen)})
                lengths = [end - start for start, end in pairwise([*at_ns, NOW])] if at_ns else []
                up_ns = sum(MINUTE if length > MINUTE * 3 // 2 else length for length in lengths)
                found.append((exact_seconds(up_ns), exact_seconds(sum(lengths))))
        return found

    def values(self, device: int, kind: str) -> list[int]:
        return [minute for number, minute, one in self.kept if (number, one) == (device, kind)]

    def figures(self, device: int) -> tuple[int, ...]:
        minutes, uploads = self.minutes(device), self.values(device, "upload")
        span = (min(minutes), max(minutes)) if minutes else (2**31 - 1, -(2**31))
        accounts = [kind for number, _, kind in self.accepted if number == device]
        beats = accounts.count("beat")
        return (len(minutes), *span, beats, len(accounts) - beats, len(uploads), sum(uploads))


def batch_of(events: list[Event]) -> EventBatch:
    batch = EventBatch()
    for device, minute, kind in events:
        if kind == "beat":
            batch.heartbeat_devices.append(device)
            batch.heartbeat_sent_at_ns.append(minute * MINUTE + 7)
        else:
            batch.sample_devices.append(device)
            batch.sample_sent_at_ns.append(minute * MINUTE + 9)
            batch.sample_values.append(minute)
            batch.sample_metrics.append(kind == "report")
    return batch


async def check(service: Service, model: Model) -> None:
    names = ("minutes_present", "first_minute", "last_minute", "heartbeats", "samples", "uploads", "upload_time_total")
    for device in range(DEVICES):
        figures = (await service.questions.lifetime(device)).figures
        assert tuple(getattr(figures, name) for name in names) == model.figures(device)
        question = partial(device_slot_uptime, device_id=f"d{device}", window=WINDOW, is_explained=False)
        answer = await service.questions.device(f"d{device}", question, start_ns=WINDOW.start_ns)
        expected = NOW // MINUTE - min(model.minutes(device), default=NOW // MINUTE)
        assert (answer.present, answer.expected, answer.missing) == (len(model.minutes(device)), expected, [])
        settled = partial(device_uptime, device_id=f"d{device}", window=WINDOW, is_explained=False)
        by_time = await service.questions.device(f"d{device}", settled, start_ns=WINDOW.start_ns)
        assert (by_time.up_s, by_time.accountable_s) in model.settled(device)
        for number, kind in enumerate(("upload", "report")):
            values = model.values(device, kind)
            assert await total(service, number, DeviceSelection(device)) == (len(values), sum(values))
    for number, kind in enumerate(("upload", "report")):
        whole = DeviceSelection(None, np.zeros(DEVICES, np.int32), 1)
        everyone = [value for device in range(DEVICES) for value in model.values(device, kind)]
        assert await total(service, number, whole) == (len(everyone), sum(everyone))


async def total(service: Service, number: int, selection: DeviceSelection) -> tuple[int, int]:
    metric = service.metric_definitions.metrics[number]
    question = partial(find, number=number, metric=metric, aggregation="sum", selection=selection, window=WINDOW)
    found = await service.questions.samples(question, cost_ms=0.0)
    return found.counts[0], int(found.values[0] or 0)


@settings(max_examples=examples(40), deadline=None)
@given(EVENTS, STEPS, st.randoms(use_true_random=False))
def test_what_is_forgotten_is_gone_everywhere_and_nothing_else_is(
    events: list[Event], steps: list[str | tuple[int, int]], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(live(Path(name), events, steps, chance, Model()))


@pytest.mark.parametrize("step", ["events", "checkpoint", "crash"])
def test_the_old_rule_that_believes_a_wrong_clock_for_good_gives_other_figures(step: str) -> None:
    events: list[Event] = [(0, FIRST_MINUTE, "beat"), (0, FIRST_MINUTE + 5_000, "report")]
    steps = ["all", step, (0, FIRST_MINUTE + 1)]
    with tempfile.TemporaryDirectory() as name:
        life = live(Path(name), events, steps, random.Random(1), Model(does_forget=False))
        with pytest.raises(AssertionError):
            asyncio.run(life)


async def live(
    folder: Path, events: list[Event], steps: list[str | tuple[int, int]], chance: random.Random, model: Model
) -> None:
    (folder / "devices.csv").write_text("device_id\n" + "".join(f"d{number}\n" for number in range(DEVICES)))
    (folder / "metrics.json").write_text('[{"name": "load", "kind": "integer"}]')
    flags = {name: str(folder / f"{name}.{end}") for name, end in (("devices", "csv"), ("metrics", "json"))}
    setup = Settings(data=str(folder), checkpoint_s=1e9, **flags)
    clock = FakeClock(NOW)
    service = build(setup, clock=clock)
    await service.node.start()
    remaining = list(events)
    try:
        for step in [*steps, "all"]:
            if isinstance(step, tuple):
                await forget(service, model, *step)
            elif step in ("events", "all"):
                now = remaining[: len(remaining) if step == "all" else chance.randint(0, len(remaining))]
                del remaining[: len(now)]
                if now:
                    sender = Sender()
                    service.intake.add_batch(batch_of(now), sender)
                    await sender.outcome
                    model.take(now)
            elif step == "checkpoint":
                assert await service.housekeeping.checkpoint()
            elif step == "compact":
                while await service.housekeeping.compact(is_forced=True):
                    pass
            elif step == "day":
                clock.ns += DAY
                service.fleet.advance(clock.ns)
            else:
                abandon(service) if step == "crash" else await service.node.stop()
                service = build(setup, clock=clock)
                await service.node.start()
            await check(service, model)
    except AssertionError:
        abandon(service)  # its threads would look for the folder, which is gone soon
        raise
    await service.node.stop()
    check_verified(folder, service)


def abandon(service: Service) -> None:
    """What a crash leaves: threads end, nothing is written."""
    service.node._ticker.cancel()
    service.writer._jobs.put(None)
    service.writer._thread.join()
    service.node._close()


async def forget(service: Service, model: Model, device: int, before_minute: int) -> None:
    before = format_rfc3339(before_minute * MINUTE + 59 * 10**9)  # seconds are cut off
    dry = await service.forgetting.forget(f"d{device}", before, is_dry=True)
    done = await service.forgetting.forget(f"d{device}", before, is_dry=False)
    assert (done.before, done.done, dry.done) == (format_rfc3339(before_minute * MINUTE), True, False)
    assert (dry.minutes, dry.samples) == (done.minutes, done.samples) == model.forget(device, before_minute)


def check_verified(folder: Path, service: Service) -> None:
    journal, catalog = SqliteJournal(folder / "journal.sqlite"), SqliteCatalog(folder / "catalog.sqlite")
    findings = verify(journal, catalog, service.history.store)
    assert [finding for finding in findings if not finding.is_good] == []
    journal.close()
    catalog.close()
