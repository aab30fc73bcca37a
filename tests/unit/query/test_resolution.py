"""Buckets at the edges of a window and of its steps."""

import numpy as np

from fleetpulse.model.manifest import HOUR, MINUTE
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.resolution import SAMPLE_NS, EdgeBuckets, Resolution
from fleetpulse.query.window import Window

HOURS_MINUTES_SAMPLES = Resolution(5, np.array([NS_PER_HOUR, NS_PER_MINUTE, SAMPLE_NS]))


def test_each_day_has_buckets_of_its_own() -> None:
    at_ns = np.array([5, 6, 7]) * NS_PER_DAY + NS_PER_HOUR + NS_PER_MINUTE + 1
    assert (at_ns - HOURS_MINUTES_SAMPLES.begins(at_ns)).tolist() == [NS_PER_MINUTE + 1, 1, 0]
    assert [HOURS_MINUTES_SAMPLES.bucket_ns(day) for day in (4, 5, 7, 8)] == [NS_PER_HOUR, NS_PER_HOUR, 1, 1]
    assert not HOURS_MINUTES_SAMPLES.is_fine
    assert Resolution(0, np.array([SAMPLE_NS])).is_fine


def test_a_window_is_widened_to_the_buckets_of_the_days_of_its_edges() -> None:
    window = Window(5 * NS_PER_DAY + 1, 6 * NS_PER_DAY + 1, NS_PER_HOUR)
    widened = HOURS_MINUTES_SAMPLES.widened(window)
    assert widened == Window(5 * NS_PER_DAY, 6 * NS_PER_DAY + NS_PER_MINUTE, NS_PER_HOUR)
    fine = Window(7 * NS_PER_DAY + 1, 7 * NS_PER_DAY + 5)
    assert HOURS_MINUTES_SAMPLES.widened(fine) == fine


def test_only_buckets_that_stick_out_are_noted() -> None:
    window = Window(5 * NS_PER_DAY + NS_PER_MINUTE, 6 * NS_PER_DAY)
    edges, starts_ns = EdgeBuckets(window, HOURS_MINUTES_SAMPLES), np.array([5 * NS_PER_DAY + NS_PER_HOUR])
    widened = HOURS_MINUTES_SAMPLES.widened(window)
    assert edges.note(starts_ns, starts_ns + NS_PER_HOUR)
    assert (edges.tiers(), edges.span(widened)) == ([], None)
    edges.note(starts_ns - NS_PER_HOUR, starts_ns)
    assert (edges.tiers(), edges.span(widened)) == ([HOUR], Window(5 * NS_PER_DAY, 6 * NS_PER_DAY))


def test_a_bucket_that_a_step_cuts_is_noted() -> None:
    window = Window(6 * NS_PER_DAY, 7 * NS_PER_DAY, NS_PER_MINUTE // 2)
    edges, starts_ns = EdgeBuckets(window, HOURS_MINUTES_SAMPLES), np.array([6 * NS_PER_DAY])
    edges.note(starts_ns, starts_ns + NS_PER_MINUTE)
    assert (edges.tiers(), edges.span(window)) == ([MINUTE], None)


def test_where_all_samples_are_kept_nothing_is_noted() -> None:
    window = Window(0, 5)
    edges = EdgeBuckets(window, Resolution(0, np.array([SAMPLE_NS])))
    assert not edges.note(np.array([-1]), np.array([9]))
    assert (edges.tiers(), edges.span(window)) == ([], None)
