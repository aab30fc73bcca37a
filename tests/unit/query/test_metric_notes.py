"""What retention has deleted in a window, and what stands in for samples."""

from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR
from fleetpulse.query.metric_notes import buckets_note, expired_samples
from fleetpulse.query.metrics import MetricResult
from fleetpulse.query.window import Window

EXPIRED = {1: {5: 10, 6: 20, 9: 40}, 2: {5: 0}}


def test_the_days_that_a_window_touches_are_counted() -> None:
    window = Window(6 * NS_PER_DAY + 1, 8 * NS_PER_DAY)
    found = expired_samples(EXPIRED, 1, window)
    assert found is not None
    assert (found.count, found.until_ns) == (20, 7 * NS_PER_DAY)
    assert "20 samples" in found.note and "1970-01-08T00:00:00Z" in found.note
    assert expired_samples(EXPIRED, 1, Window(7 * NS_PER_DAY, 9 * NS_PER_DAY)) is None
    assert expired_samples(EXPIRED, 3, window) is None


def test_what_could_not_be_counted_is_noted_without_a_number() -> None:
    found = expired_samples(EXPIRED, 2, Window(0, 9 * NS_PER_DAY))
    assert found is not None and "has deleted samples of" in found.note


def test_buckets_that_stand_in_are_named_with_their_span() -> None:
    result = MetricResult([1.0], [1], ["hour"], True, coarse=["hour"], span=Window(0, 2 * NS_PER_HOUR))
    window = Window(5, NS_PER_HOUR + 5)
    assert "whole buckets of hour stand in, so figures are of 1970-01-01T00:00:00Z to 1970-01-01T02:00:00Z" in (
        buckets_note(result, window)
    )
    stepped = Window(5, NS_PER_HOUR + 5, 1)
    assert buckets_note(result, stepped).endswith("a bucket counts in the step in which it begins")
    result.span = None
    assert "count in the step in which they begin" in buckets_note(result, stepped)
