"""The simulated fleet: planned from a seed alone, and its figures by hand."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from fleetpulse.simulation.beating import Beating
from fleetpulse.simulation.plan import (
    HEARTBEAT,
    PUBLISHED_MINUTES,
    PUBLISHED_PRESENT,
    Behaviour,
    plan_fleet,
    plan_published,
)

STEADY = Behaviour(outage_share=0, link_outage_share=0, duplicate_share=0, jitter_s=0, skewed_share=0, skew_s=0)
START_NS = 1_800_000_000 * 10**9


def test_the_same_seed_plans_the_same_fleet_and_another_seed_another() -> None:
    def moments(seed: int) -> list[list[int]]:
        fleet = plan_fleet(["a", "b"], start_ns=START_NS, hours=3, behaviour=Behaviour(), seed=seed)
        return [plan.sent_at_ns.tolist() for plan in fleet]

    assert moments(1) == moments(1)
    assert moments(1) != moments(2)


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
    (steady,) = plan_fleet(["a"], start_ns=START_NS, hours=24, behaviour=STEADY, seed=3)
    assert steady.uptime_percent() == 100


def test_the_published_run_has_the_published_minutes() -> None:
    for plan in plan_published(seed=9):
        assert plan.uptime_percent() == Fraction(100 * PUBLISHED_PRESENT[plan.device_id], PUBLISHED_MINUTES)


def test_devices_beat_as_described() -> None:
    def distances_s(beating: Beating, **changes: float) -> list[float]:
        (plan,) = plan_fleet(
            ["a"],
            start_ns=START_NS + 7,
            hours=3,
            behaviour=replace(STEADY, upload_every_s=1e9, **changes),
            beating=beating,
            seed=3,
        )
        beats = plan.sent_at_ns[plan.upload_time_ns == HEARTBEAT]
        if beating.phase == "edge":
            assert (beats % (beating.interval_s * 10**9) == 0).all()
        assert beats[-1] < START_NS + 7 + int((3 * 3600 - beating.silent_s) * 1e9)
        return sorted({round(distance, 3) for distance in (np.diff(beats) / 1e9).tolist()})

    assert distances_s(Beating()) == [60.0]
    assert distances_s(Beating(period_s=60.2, silent_s=3600)) == [60.2]
    assert distances_s(Beating(interval_s=300, phase="edge")) == [300.0]
    assert distances_s(Beating(drift_ppm=1000)) == [60.06]
    assert distances_s(Beating(gap_every=3)) == [60.0, 120.0]
    assert distances_s(Beating(), missed_share=0.3)[:2] == [60.0, 120.0]
