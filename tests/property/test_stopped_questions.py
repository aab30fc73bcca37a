"""A question that is stopped ends at its next look whether it is to be stopped, wherever it is, and holds nothing more.

Each dear question is stopped at the first look, at the second and so on, until it is answered; and each is refused by
the name of the limit where it may hold almost nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fleetpulse.errors import QuestionStopped, TooDear
from fleetpulse.model.manifest import Manifest
from fleetpulse.query.budget import Budget
from fleetpulse.query.devices import Filter, Order, list_devices
from fleetpulse.query.fleet import fleet_glance, fleet_uptime, upload_times
from fleetpulse.query.groups import Groups
from fleetpulse.query.metric_answers import MetricQuestion, device_metrics, fleet_metrics
from fleetpulse.query.reads import Samples
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet
from sample_blocks import CPU, DAY, SampleBlocks, columns_of

MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
LOOKS_MAX = 200


def fleet() -> OneFleet:
    """Three devices over three days, two of which are in blocks; with a pause and a maintenance window."""
    one = OneFleet(devices=3)
    for day in (11, 12, 14):
        for device in range(3):
            one.hear(f"2026-05-{day}T10:00:00", f"2026-05-{day}T11:00:00", device=device)
    one.checkpoint()
    one.pause("2026-05-12T00:00:00", "2026-05-12T12:00:00", device=1)
    one.maintain("2026-05-12T06:00:00", "2026-05-13T06:00:00")
    one.hear("2026-05-14T12:00:00")
    return one


ONE = fleet()
START_NS = ONE.at("2026-05-11T00:00:00")
HOURS = Window(START_NS, ONE.now, HOUR)
BLOCKS = SampleBlocks()
METRIC_HOURS = Window(DAY * 86_400 * SECOND, (DAY + 1) * 86_400 * SECOND, HOUR)
PARTS = tuple(BLOCKS.part(*((CPU, device, minute, 1.0) for minute in range(0, 1_440, 30))) for device in (0, 1))
LIVE = [columns_of([(CPU, 0, 100.5, 2.0), (CPU, 1, 200.5, 2.0)])]


def samples(budget: Budget) -> Samples:
    manifest = Manifest(samples=PARTS)
    return Samples(LIVE, manifest, BLOCKS.history, LIVE, DAY + 1, budget=budget)


def metrics(aggregation: str) -> list[MetricQuestion]:
    return [MetricQuestion(CPU, BLOCKS.metrics[CPU], aggregation)]  # type: ignore[arg-type]  # names of the table below


GROUPS = Groups(np.array([0, 0, 1], np.int32), ["a", "b"], [2, 1])
NOW_NS = METRIC_HOURS.end_ns
Ask = Callable[[Budget], Any]
QUESTIONS: dict[str, Ask] = {
    "uptime of the fleet by step": lambda budget: fleet_uptime(
        ONE.views.fleet_from(START_NS, budget=budget)(), HOURS, by="", labels=()
    ),
    "the fleet at a glance": lambda budget: fleet_glance(
        ONE.views.fleet_from(START_NS, budget=budget)(), HOURS, labels=()
    ),
    "devices by uptime": lambda budget: list_devices(
        ONE.views.fleet_from(START_NS, budget=budget)(),
        ONE.listing(),
        Filter(uptime_below=99.0, uptime_window_ns=ONE.now - START_NS),
        Order("uptime"),
        limit=10,
        cursor=None,
    ),
    "uptime of a device": lambda budget: device_uptime(
        ONE.views.device("d0", 0, start_ns=START_NS, budget=budget)(), "d0", HOURS, is_explained=True
    ),
    "changes of a device": lambda budget: device_transitions(
        ONE.views.device("d0", 0, start_ns=START_NS, budget=budget)(), "d0", HOURS, limit=10_000
    ),
    "metrics of a device": lambda budget: device_metrics(
        samples(budget), metrics("avg"), device_id="d0", device=0, window=METRIC_HOURS, now_ns=NOW_NS
    ),
    **{
        f"{aggregation} of the fleet": lambda budget, aggregation=aggregation: fleet_metrics(
            samples(budget), metrics(aggregation), groups=GROUPS, by="site", window=METRIC_HOURS, now_ns=NOW_NS
        )
        for aggregation in ("avg", "p99", "stddev")
    },
    "upload times": lambda budget: upload_times(
        samples(budget), BLOCKS.metrics[0], METRIC_HOURS.since(METRIC_HOURS.start_ns), np.ones(3, bool)
    ),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_ends_at_whatever_look_it_is_stopped(ask: Ask) -> None:
    for stopped_at in range(LOOKS_MAX):
        looks = 0

        def is_gone(stopped_at: int = stopped_at) -> bool:
            nonlocal looks
            looks += 1
            return looks > stopped_at

        budget = Budget(is_gone=is_gone)
        try:
            ask(budget)
        except QuestionStopped:
            assert looks == stopped_at + 1, "the first refusal must end it"
            budget.close()
            continue
        break
    assert 2 <= stopped_at < LOOKS_MAX, "a question looks several times, and the last one is answered"


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_that_may_hold_almost_nothing_is_refused_by_name(ask: Ask) -> None:
    budget = Budget()
    ask(budget)
    assert budget.peak_bytes > 100
    with pytest.raises(TooDear, match=r"\(question_memory_max\): ask for a longer step, a shorter window"):
        ask(Budget(question_memory_max=50))
