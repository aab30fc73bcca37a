"""The contract's answer about one device."""

from dataclasses import replace

import msgspec

from fleetpulse.live.figures import DeviceFigures
from fleetpulse.query.stats import device_stats

NOTHING = DeviceFigures(
    minutes_present=0,
    first_minute=2**31 - 1,
    last_minute=-(2**31),
    heartbeats=0,
    samples=0,
    uploads=0,
    upload_time_total=0,
)


def test_before_any_data_uptime_is_zero_and_so_is_the_upload_time() -> None:
    assert msgspec.json.encode(device_stats(NOTHING)) == b'{"uptime":0.0,"avg_upload_time":"0s"}'


def test_the_average_is_the_floor_of_a_sum_that_may_exceed_64_bits() -> None:
    figures = replace(NOTHING, uploads=3, upload_time_total=3 * 2**64 + 2)
    assert (
        device_stats(figures).avg_upload_time
        == device_stats(replace(figures, uploads=1, upload_time_total=2**64)).avg_upload_time
    )


def test_uptime_is_minutes_present_over_the_span_of_them() -> None:
    assert device_stats(replace(NOTHING, minutes_present=3, first_minute=10, last_minute=14)).uptime == 75.0
