"""Figures of a device compared with its plan: exact."""

import numpy as np
import pytest

from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.simulation.plan import HEARTBEAT, DevicePlan
from fleetpulse.simulation.verdict import judge, parse_duration


def device(minutes: list[int], uploads: list[int]) -> DevicePlan:
    sent = np.array([minute * NS_PER_MINUTE for minute in minutes] + [0] * len(uploads), np.int64)
    return DevicePlan("d", sent, sent, np.array([HEARTBEAT] * len(minutes) + uploads, np.int64))


def test_a_figure_that_is_off_by_a_nanosecond_or_a_minute_is_a_mismatch() -> None:
    plan = device([0, 1, 3], [10, 11])
    assert judge(plan, {"uptime": 100.0, "avg_upload_time": "10ns"}).is_right
    assert not judge(plan, {"uptime": 100.0, "avg_upload_time": "11ns"}).is_right
    assert not judge(plan, {"uptime": 99.99, "avg_upload_time": "10ns"}).is_right
    assert not judge(plan, {"uptime": 100.0, "avg_upload_time": "nonsense"}).is_right


@pytest.mark.parametrize(
    "ns", [0, 1, 999, 1_500, 1_000_001, 999_999_999, 10**9, 209_226_522_788, 3_600_500_000_000, 2**63 - 1]
)
def test_a_duration_reads_back(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.parametrize("text", ["", "5", "1d", "3x", "1m2h"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None
