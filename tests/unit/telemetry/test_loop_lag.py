import asyncio

from fleetpulse.telemetry.loop_lag import BUCKETS_S, LoopLag


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_delay_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    lag = LoopLag(now_s=FakeClock())
    for delay_s in (-0.001, 0.001, 0.0011, 5.0, 5.1):
        lag.record(delay_s, at_s=1000.0)
    assert lag.counts == [2, 1, *[0] * (len(BUCKETS_S) - 3), 1, 1]
    assert (round(lag.sum_s, 4), lag.longest_s) == (10.1021, 5.1)


def test_the_longest_delay_of_the_last_minute_is_forgotten_and_that_since_the_start_is_not() -> None:
    clock = FakeClock()
    lag = LoopLag(now_s=clock)
    lag.record(2.0, at_s=clock.now_s)
    clock.now_s += 49
    lag.record(0.5, at_s=clock.now_s)
    assert lag.longest_recent_s() == 2.0
    clock.now_s += 11
    assert (lag.longest_recent_s(), lag.longest_s) == (0.5, 2.0)
    clock.now_s += 600
    assert lag.longest_recent_s() == 0.0


def test_a_callback_that_holds_the_loop_is_seen_as_a_delay_of_its_timer() -> None:
    clock = FakeClock()
    lag = LoopLag(now_s=clock)

    async def hold() -> None:
        lag.start()
        clock.now_s += 0.2  # as if a callback ran for that long
        while not sum(lag.counts):
            await asyncio.sleep(0)
        lag.stop()

    asyncio.run(hold())
    assert 0.18 < lag.longest_s < 0.2


def test_nothing_is_measured_before_the_start_and_stopping_twice_is_harmless() -> None:
    lag = LoopLag()
    assert (lag.longest_recent_s(), lag.longest_s) == (0.0, 0.0)
    lag.stop()
