"""The simulated fleet: planned from a seed alone, and its figures by hand."""

from fractions import Fraction

import numpy as np
import pytest

from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.simulation.plan import (
    HEARTBEAT,
    PUBLISHED_MINUTES,
    PUBLISHED_PRESENT,
    Behaviour,
    DevicePlan,
    plan_fleet,
    plan_published,
)
from fleetpulse.simulation.verdict import judge, parse_duration

START_NS = 1_800_000_000 * 10**9


def device(minutes: list[int], uploads: list[int]) -> DevicePlan:
    said = np.array([minute * NS_PER_MINUTE for minute in minutes] + [0] * len(uploads), np.int64)
    return DevicePlan("d", said, said, np.array([HEARTBEAT] * len(minutes) + uploads, np.int64))


def test_the_same_seed_plans_the_same_fleet_and_another_seed_another() -> None:
    def said(seed: int) -> list[list[int]]:
        fleet = plan_fleet(["a", "b"], start_ns=START_NS, hours=3, behaviour=Behaviour(), seed=seed)
        return [plan.sent_at_ns.tolist() for plan in fleet]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_fleet_has_outages_backlogs_duplicates_disorder_and_wrong_clocks() -> None:
    behaviour = Behaviour(outage_share=0.1, link_outage_share=0.1, duplicate_share=0.2, skewed_share=1.0)
    (plan,) = plan_fleet(["a"], start_ns=START_NS, hours=24, behaviour=behaviour, seed=3)
    beats = plan.upload_time_ns == HEARTBEAT
    sent, send = plan.sent_at_ns[beats], plan.send_at_ns[beats]
    assert plan.uptime_percent() < 100
    assert len(np.unique(sent)) < len(sent)
    assert (np.diff(sent) < 0).any()
    assert (send - sent).max() > 60 * 10**9
    assert (np.diff(send) >= 0).all()
    (steady,) = plan_fleet(["a"], start_ns=START_NS, hours=24, behaviour=Behaviour(0, 0, 600, 0, 0, 0, 0, 300), seed=3)
    assert steady.uptime_percent() == 100


def test_the_published_run_has_the_published_minutes() -> None:
    for plan in plan_published(seed=9):
        assert plan.uptime_percent() == Fraction(100 * PUBLISHED_PRESENT[plan.device_id], PUBLISHED_MINUTES)


def test_a_figure_that_is_off_by_a_nanosecond_or_a_minute_is_a_mismatch() -> None:
    plan = device([0, 1, 3], [10, 11])
    assert judge(plan, {"uptime": 100.0, "avg_upload_time": "10ns"}, []).is_right
    assert not judge(plan, {"uptime": 100.0, "avg_upload_time": "11ns"}, []).is_right
    assert not judge(plan, {"uptime": 99.99, "avg_upload_time": "10ns"}, []).is_right
    assert not judge(plan, {"uptime": 100.0, "avg_upload_time": "nonsense"}, []).is_right


def test_a_sample_that_broke_off_may_count_once_or_twice_and_not_otherwise() -> None:
    plan = device([0], [10, 40])
    answers = {
        average: judge(plan, {"uptime": 100.0, "avg_upload_time": average}, [40]).is_right
        for average in ("25ns", "30ns", "32ns")
    }
    assert answers == {"25ns": True, "30ns": True, "32ns": False}


@pytest.mark.parametrize(
    "ns", [0, 1, 999, 1_500, 1_000_001, 999_999_999, 10**9, 209_226_522_788, 3_600_500_000_000, 2**63 - 1]
)
def test_a_duration_reads_back(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns
