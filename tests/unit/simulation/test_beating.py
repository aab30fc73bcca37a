"""When devices beat, as people describe it: what is refused says which flag is wrong."""

import math
from dataclasses import asdict, replace

import pytest

from fleetpulse.model.units import NS_PER_S
from fleetpulse.simulation.beating import Beating, check_behaviour

STEADY = Beating()


@pytest.mark.parametrize(
    ("beating", "step_s"),
    [
        (STEADY, 60),
        (Beating(interval_s=300), 300),
        (Beating(period_s=60.2), 60.2),
        (Beating(drift_ppm=100), 60.006),
        (Beating(period_s=61, drift_ppm=-1_000), 60.939),
    ],
)
def test_the_time_between_two_beats_is_the_period_and_the_drift(beating: Beating, step_s: float) -> None:
    beating.check()
    assert beating.step_s == pytest.approx(step_s)


def test_edges_are_whole_multiples_of_the_interval() -> None:
    beating = Beating(interval_s=300)
    assert [beating.first_edge_ns(second * NS_PER_S) // NS_PER_S for second in (0, 1, 299, 300)] == [0, 300, 300, 300]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interval_s", 0),
        ("interval_s", 10**9),
        ("period_s", 0.5),
        ("period_s", math.nan),
        ("drift_ppm", 1e6),
        ("gap_every", 1),
        ("silent_s", -1),
        ("silent_s", math.inf),
    ],
)
def test_what_cannot_be_is_refused_with_the_flag(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"--{field.replace('_', '-')}"):
        replace(STEADY, **{field: value}).check()
    assert asdict(STEADY).keys() >= {field}


def test_shares_are_at_most_1_and_nothing_is_below_0() -> None:
    check_behaviour({"outage_share": 1, "outage_s": 1e9})
    with pytest.raises(ValueError, match=r"--outage-share 1\.1"):
        check_behaviour({"outage_share": 1.1})
    with pytest.raises(ValueError, match="--jitter-s -1"):
        check_behaviour({"jitter_s": -1})
