"""Answers about metrics: names that a question gives, what retention leaves, and the shape of the answer."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import UNSET

from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.manifest import RAW, Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.groups import Groups
from fleetpulse.query.metric_answers import (
    MetricQuestion,
    device_metrics,
    fleet_metrics,
    read_aggregation,
    split_types,
    within_retention,
)
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, SampleBlocks, columns_of

START = DAY * NS_PER_DAY
NOW = START + NS_PER_DAY
METRIC = MetricDefinition(name="cpu", unit="%", retention_days=2)
SAMPLES = Samples(
    [columns_of([(CPU, 0, 1, 1.0), (CPU, 0, 2, 3.0), (CPU, 1, 70, 8.0)])],
    Manifest(),
    History(MemoryBlockStore(), Manifest()),
)
WINDOW = Window(START, START + 2 * NS_PER_HOUR)


def test_names_are_split_and_each_counts_once() -> None:
    assert split_types("cpu,memory,,cpu", (), types_max=2) == ["cpu", "memory"]
    with pytest.raises(Malformed, match="defined are: cpu"):
        split_types(",", ["cpu"], types_max=2)
    with pytest.raises(OutOfRange):
        split_types("a,b,c", (), types_max=2)


def test_an_aggregation_is_one_of_the_known_ones() -> None:
    assert (read_aggregation("p95"), read_aggregation(None)) == ("p95", None)
    with pytest.raises(OutOfRange, match="mean"):
        read_aggregation("mean")


def test_retention_cuts_a_window_at_the_start_of_a_day() -> None:
    window = Window(NOW - 9 * NS_PER_DAY, NOW)
    assert within_retention(window, METRIC, NOW + NS_PER_HOUR).start_ns == NOW - 2 * NS_PER_DAY
    assert within_retention(WINDOW, METRIC, NOW) == WINDOW
    assert within_retention(WINDOW, METRIC, NOW + 9 * NS_PER_DAY).start_ns == WINDOW.end_ns - 1


def test_a_device_has_a_value_and_with_steps_those_that_have_samples() -> None:
    questions = [MetricQuestion(CPU, METRIC, "avg")]
    for step_ns, value, times in ((None, 2.0, None), (NS_PER_MINUTE, UNSET, ["00:01:00", "00:02:00"])):
        window = Window(WINDOW.start_ns, WINDOW.end_ns, step_ns)
        answer = device_metrics(SAMPLES, questions, device_id="d0", device=0, window=window, now_ns=NOW).metrics["cpu"]
        assert (answer.unit, answer.value, answer.count, answer.kept_from) == ("%", value, 2, UNSET)
        series = None if answer.series is UNSET else [point.at[11:19] for point in answer.series]
        assert series == times


def test_a_fleet_has_a_figure_for_each_group_in_order_of_name() -> None:
    groups = Groups(np.array([0, 1], np.int32), ["paris", "lyon"], [1, 1])
    answer = fleet_metrics(
        SAMPLES, [MetricQuestion(CPU, METRIC, "max")], groups=groups, by="site", window=WINDOW, now_ns=NOW
    )
    assert [(group.group, group.metrics["cpu"].value) for group in answer.groups] == [("lyon", 8.0), ("paris", 3.0)]
    assert (answer.group_by, answer.metrics["cpu"].tiers) == ("site", ["live"])


def test_what_retention_took_stays_known_after_it_is_raised_again() -> None:
    question = MetricQuestion(CPU, replace(METRIC, retention_days=365), "avg")
    manifest = Manifest(expired={CPU: {DAY - 3: 100, DAY - 2: 50}})
    samples = Samples(SAMPLES.live, manifest, SAMPLES.history)
    window = Window(START - 4 * NS_PER_DAY, NOW)
    device = device_metrics(samples, [question], device_id="a", device=0, window=window, now_ns=NOW).metrics["cpu"]
    groups = Groups(np.array([0, 0], np.int32), [""], [2])
    fleet = fleet_metrics(samples, [question], groups=groups, by="", window=window, now_ns=NOW).metrics["cpu"]
    for method in (device, fleet):
        assert (method.expired, method.kept_from) == (150, format_rfc3339(START - NS_PER_DAY))
        assert "retention has deleted 150 samples" in str(method.note)
    assert (device.value, device.count) == (2.0, 2)
    later = Window(START, NOW)
    answer = device_metrics(samples, [question], device_id="a", device=0, window=later, now_ns=NOW).metrics["cpu"]
    assert (answer.expired, answer.kept_from, answer.note) == (UNSET, UNSET, UNSET)


def test_a_null_beyond_all_doubles_is_explained() -> None:
    samples = Samples([columns_of([(CPU, 0, 1, 1.7e308), (CPU, 0, 2, 1.7e308)])], Manifest(), SAMPLES.history)
    question = MetricQuestion(CPU, METRIC, "sum")
    answer = device_metrics(samples, [question], device_id="a", device=0, window=WINDOW, now_ns=NOW).metrics["cpu"]
    assert (answer.value, answer.count) == (None, 2)
    assert "beyond the largest double" in str(answer.note)


def test_a_null_that_roll_ups_alone_cause_is_explained() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 0, 5, 1.0), (CPU, 0, 6, 5.0))
    for is_gone in (False, True):
        tiers = {tier: file for tier, file in part.files.items() if not (is_gone and tier == RAW)}
        manifest = Manifest(samples=(replace(part, files=tiers),))
        samples = Samples([], manifest, History(blocks.store, manifest))
        question = MetricQuestion(CPU, METRIC, "stddev")
        answer = device_metrics(samples, [question], device_id="a", device=0, window=WINDOW, now_ns=NOW).metrics["cpu"]
        assert (answer.value, answer.count) == (None if is_gone else 2.0, 2)
        assert answer.method == "of the population, from every sample"
        assert (answer.note is UNSET) is not is_gone
        assert is_gone is False or "stddev needs every sample" in str(answer.note)
