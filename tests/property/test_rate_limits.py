"""Rate limits against a plain model in exact numbers: a bucket that fills by `per_s` and holds `burst`."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.access.device_limits import DeviceLimits, Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_buckets import RateBuckets
from fleetpulse.access_errors import TooManyRequests

RATES = st.builds(Rate, st.sampled_from([0.5, 1.0, 2.0, 8.0, 256.0]), st.integers(1, 20))
NOW_NS = 10
PAUSES = st.lists(st.integers(0, 40), min_size=1, max_size=120)
"""Eighths of a second between requests."""


class Bucket:
    """The model: what is left, in requests; a body may take it below nothing."""

    def __init__(self, rate: Rate) -> None:
        self.per_s, self.burst = Fraction(rate.per_s), rate.burst
        self.left = Fraction(rate.burst)

    def wait(self, seconds: Fraction) -> None:
        self.left = min(Fraction(self.burst), self.left + seconds * self.per_s)

    def take(self) -> bool:
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Time:
    def __init__(self) -> None:
        self.eighths = 8_000_000

    def __call__(self) -> float:
        return self.eighths / 8


def limits_of(lanes: Lanes, time: Time) -> DeviceLimits:
    limits = DeviceLimits(lambda _device: lanes, monotonic_s=time)
    limits.backlog_before_ns = NOW_NS
    return limits


def report(limits: DeviceLimits, *, is_backlog: bool = False) -> int:
    """0: it was taken; else the seconds of Retry-After."""
    try:
        if 0 in limits.spent:
            limits.check(0)
        limits.charge(0, NOW_NS - is_backlog)
    except TooManyRequests as refused:
        return refused.retry_after_s
    return 0


@given(RATES, PAUSES)
def test_a_sender_is_taken_exactly_when_its_bucket_holds_a_request(rate: Rate, pauses: list[int]) -> None:
    time, model = Time(), Bucket(rate)
    buckets = RateBuckets(10, monotonic_s=time)
    for pause in pauses:
        time.eighths += pause
        model.wait(Fraction(pause, 8))
        assert (buckets.take("one", rate) is None) == model.take()


@given(RATES, RATES, st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=120))
def test_a_backlog_never_takes_from_the_beats_and_beats_never_from_the_backlog(
    beats: Rate, backlog: Rate, requests: list[tuple[int, bool]]
) -> None:
    time = Time()
    limits = limits_of(Lanes(beats, backlog), time)
    models = Bucket(beats), Bucket(backlog)
    for pause, is_backlog in requests:
        time.eighths += pause
        for model in models:
            model.wait(Fraction(pause, 8))
        assert (report(limits, is_backlog=is_backlog) == 0) == models[is_backlog].take()


@given(RATES, PAUSES)
def test_after_the_seconds_of_retry_after_a_report_is_taken_and_a_second_earlier_it_is_not(
    rate: Rate, pauses: list[int]
) -> None:
    time = Time()
    limits = limits_of(Lanes(rate, rate), time)
    for pause in pauses:
        time.eighths += pause
        wait_s = report(limits)
        if wait_s > 1:
            time.eighths += (wait_s - 1) * 8
            assert report(limits) == 1
            wait_s = 1
        if wait_s:
            time.eighths += 8
            assert report(limits) == 0


@given(RATES, st.lists(st.tuples(st.integers(0, 200), st.integers(1, 400)), min_size=1, max_size=60))
def test_bulk_bodies_are_taken_whole_and_paid_for_afterwards(rate: Rate, bodies: list[tuple[int, int]]) -> None:
    time, model = Time(), Bucket(rate)
    limits = limits_of(Lanes(rate, rate), time)
    for pause, lines in bodies:
        time.eighths += pause
        model.wait(Fraction(pause, 8))
        try:
            limits.check_bulk(3)
        except TooManyRequests:
            assert model.left < 1
        else:
            assert model.left > Fraction(99, 100)
            limits.charge_bulk(3, lines)
            model.left -= Fraction(lines, 10)
        assert limits._beats[3] == 0  # the lane of the beats is untouched
