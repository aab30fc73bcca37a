"""Which interval beats suggest: regular, late, irregular, and too few of them; by minutes and exactly."""

import numpy as np
import pytest

from fleetpulse.aggregate.distances import Distances
from fleetpulse.aggregate.interval_fit import fit_intervals, nice_interval_s
from fleetpulse.model.heartbeat_policy import INTERVAL_HIGHEST_S
from fleetpulse.model.interval_fit import VERDICTS

S = 1_000


def fitted(beats: list[tuple[int, int, bool]], interval_s: int) -> tuple[str, int]:
    """The verdict on an interval and the suggested one. Args: beats: ms, how often, and whether exact."""
    ms, counts, is_exact = (np.array(column) for column in zip(*beats, strict=True))
    fit = fit_intervals(
        Distances.of(np.zeros(len(ms), np.int64), ms, counts, is_exact=is_exact.astype(bool)),
        interval_s=np.array([interval_s]),
        gap_after_ms=np.array([interval_s * 1_500]),
    )
    return VERDICTS[fit.verdicts[0]], int(fit.suggested_s[0])


@pytest.mark.parametrize(
    ("beats", "interval_s", "verdict", "suggested_s"),
    [
        ([(60 * S, 1_000, False)], 60, "fits", 60),
        ([(60 * S, 1_000, False)], 10, "fits", 10),  # beats may be 10 s apart: minutes do not tell
        ([(60 * S, 740, False), (120 * S, 260, False)], 60, "fits", 60),  # around the full minute
        ([(60 * S, 1_000, False)], 3_600, "too_long", 60),
        ([(60 * S, 500, False), (120 * S, 500, False)], 600, "too_long", 90),
        ([(300 * S, 1_000, True)], 60, "too_short", 300),
        ([(300_200, 1_000, True)], 60, "too_short", 300),
        ([(60_200, 1_000, True)], 30, "too_short", 60),
        ([(300 * S, 980, True), (600 * S, 20, True)], 60, "too_short", 300),
        ([(60 * S, 500, True), (180 * S, 500, True)], 30, "too_short", 120),
        ([(86_460 * S, 20, True)], 3_600, "too_short", 86_400),
        ([(60 * S, 4, False)], 3_600, "too_few", 0),
    ],
)
def test_the_verdict_holds_for_all_that_the_distances_may_be(
    beats: list[tuple[int, int, bool]], interval_s: int, verdict: str, suggested_s: int
) -> None:
    assert fitted(beats, interval_s) == (verdict, suggested_s)
    if suggested_s and verdict != "fits":
        assert fitted(beats, suggested_s)[0] == "fits"


def test_intervals_are_suggested_as_people_declare_them() -> None:
    seconds = np.array([1.0, 9.4, 58.9, 60.2, 61.0, 131.0, 299.9, 3_620.0, 80_000.0, 1e9])
    nice_s = [1, 10, 60, 60, 60, 130, 300, 3_600, 80_100, INTERVAL_HIGHEST_S]
    assert nice_interval_s(seconds).tolist() == nice_s
