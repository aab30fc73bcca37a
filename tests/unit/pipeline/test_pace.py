"""How slowly a client may read."""

import pytest

from fleetpulse.errors import BrokenOff
from fleetpulse.pipeline.pace import PATIENCE_S, Pace


def pieces_read(rate: int, *, pause_s: float) -> int:
    """How many of 100 pieces of 200 bytes a client reads that pauses after each."""
    now_s = 0.0
    pace = Pace(rate, "lowest_rate", lambda: now_s)
    for piece in range(100):
        pace.give(200)
        now_s += pause_s
        try:
            pace.take()
        except BrokenOff:
            return piece
    return 100


def test_a_client_below_the_lowest_rate_is_cut_when_the_grace_is_over() -> None:
    assert pieces_read(100, pause_s=1.0) == 100
    assert PATIENCE_S <= pieces_read(100, pause_s=5.0) * 5.0 < 2 * PATIENCE_S
    assert pieces_read(0, pause_s=5.0) == 100, "0 is no limit"


def test_the_error_names_the_setting() -> None:
    times = iter([0.0, 100.0])
    pace = Pace(100, "lowest_rate", lambda: next(times))
    pace.give(1)
    with pytest.raises(BrokenOff, match=r"read 1 bytes in 100 s, less than 100 a second \(lowest_rate\)"):
        pace.take()
