"""The beats of a generated fleet: each is made for exactly one day, in whatever pieces days and devices are made."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, S_PER_DAY
from fleetpulse.simulation.beating import Beating
from fleetpulse.simulation.history_beats import MS_PER_DAY, MS_PER_MINUTE, HistoryBeats, Outages

DEVICES, DAYS, FIRST_DAY = 7, 3, 20_000
NONE = np.zeros(DEVICES, np.int64)
NO_OUTAGES = Outages(NONE, NONE, NONE.astype(bool))


def history(beating: Beating, *, days: int = DAYS, jitter_s: float = 0.0, missed_share: float = 0.0) -> HistoryBeats:
    start_ns = FIRST_DAY * NS_PER_DAY
    return HistoryBeats(
        beating,
        devices=DEVICES,
        start_ns=start_ns,
        end_ns=start_ns + days * NS_PER_DAY,
        jitter_s=jitter_s,
        missed_share=missed_share,
        chance=np.random.default_rng(1),
    )


def beats_of(beats: HistoryBeats, device: int, *, days: int = DAYS) -> NDArray[np.int64]:
    """All beats of a device, ms since the start."""
    of_days = [beats.of_day(FIRST_DAY + day, device, 1, NO_OUTAGES).at_ms + day * MS_PER_DAY for day in range(days)]
    return np.concatenate(of_days)


@pytest.mark.parametrize(
    ("beating", "jitter_s"),
    [
        (Beating(), 0.05),
        (Beating(phase="edge"), 0.5),
        (Beating(period_s=60.2), 2.0),
        (Beating(interval_s=300, phase="edge", drift_ppm=1000), 2.0),
        (Beating(interval_s=10), 0.0),
        (Beating(interval_s=S_PER_DAY, phase="edge"), 3_600.0),
    ],
)
def test_every_beat_comes_once_and_within_the_jitter_of_its_time(beating: Beating, jitter_s: float) -> None:
    beats = history(beating, jitter_s=jitter_s)
    for device in range(DEVICES):
        at_ms = beats_of(beats, device)
        steps_ms = np.diff(at_ms)
        assert (np.abs(steps_ms - beating.step_s * 1000) <= 2 * jitter_s * 1000 + 1).all()
        assert abs(len(at_ms) - DAYS * S_PER_DAY / beating.step_s) <= 1.5
        if jitter_s:
            assert len(np.unique(steps_ms)) > 1


def test_a_spread_fleet_is_in_every_minute_and_one_at_the_edge_is_not() -> None:
    spread, edge = (
        history(Beating(phase=phase), jitter_s=0.5).of_day(FIRST_DAY + 1, 0, DEVICES, NO_OUTAGES)
        for phase in ("spread", "edge")
    )
    assert (count_minutes(spread.presence(DEVICES)) == MINUTES_PER_DAY).all()
    assert (count_minutes(edge.presence(DEVICES)) < 0.8 * MINUTES_PER_DAY).all()
    assert (np.minimum(edge.at_ms % MS_PER_MINUTE, -edge.at_ms % MS_PER_MINUTE) <= 500).all()


def test_pieces_of_the_fleet_have_the_same_beats_as_all_of_it() -> None:
    beats = history(Beating(), jitter_s=3.0, missed_share=0.1)
    day = beats.of_day(FIRST_DAY + 1, 0, DEVICES, NO_OUTAGES)
    for device in range(DEVICES):
        piece = beats.of_day(FIRST_DAY + 1, device, 1, NO_OUTAGES)
        np.testing.assert_array_equal(piece.at_ms, day.at_ms[day.devices == device])
    assert len(day.at_ms) == pytest.approx(0.9 * DEVICES * MINUTES_PER_DAY, rel=0.02)


def test_a_flapping_fleet_leaves_out_every_nth_beat_and_a_silent_one_its_end() -> None:
    flapping = beats_of(history(Beating(gap_every=2)), 0)
    assert (np.diff(flapping) == 2 * MS_PER_MINUTE).all()
    silent = beats_of(history(Beating(silent_s=S_PER_DAY)), 0)
    assert silent.max() < (DAYS - 1) * MS_PER_DAY <= silent.max() + MS_PER_MINUTE


def test_beats_of_a_month_apart_come_in_their_months() -> None:
    days = 100
    beats = history(Beating(interval_s=S_PER_DAY, period_s=31 * S_PER_DAY), days=days)
    at_ms = beats_of(beats, 3, days=days)
    assert 3 <= len(at_ms) <= 4
    assert (np.diff(at_ms) == 31 * MS_PER_DAY).all()


def test_an_outage_of_the_link_keeps_the_beats_and_any_other_loses_them() -> None:
    hour_ms = 60 * MS_PER_MINUTE
    outages = Outages(NONE + hour_ms, NONE + 2 * hour_ms, np.arange(DEVICES) % 2 == 1)
    day = history(Beating()).of_day(FIRST_DAY + 1, 0, DEVICES, outages)
    is_out = (day.at_ms >= hour_ms) & (day.at_ms < 2 * hour_ms)
    assert np.bincount(day.devices[is_out], minlength=DEVICES).tolist() == [0, 60] * 3 + [0]
    np.testing.assert_array_equal(day.is_in_time, ~is_out)
