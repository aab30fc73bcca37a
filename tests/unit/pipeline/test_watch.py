"""The marks that say in the journal when the service was running, and when it was blind."""

import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.pipeline.watch import Watch
from memory_service import NOON, SECOND, FakeClock


class Watched:
    """A watch that has begun, and the marks that it writes."""

    def __init__(self, alive_at_ns: int = 0) -> None:
        self.clock = FakeClock()
        self.intake = Intake(
            numbers={}, metrics=KnownMetrics(report_metrics_max=1), events_waiting_max=10, wake=lambda: None
        )
        self.intake.open()
        self.watch = Watch(clock=self.clock, intake=self.intake)
        self.watch.begin(alive_at_ns=alive_at_ns)

    def marks(self) -> tuple[int, list[int]]:
        """How many marks were written since the last call, and the blind times in them."""
        batch = self.intake.take()
        return len(batch.waiters), list(batch.blind_ns)

    def turns(self, seconds: int) -> None:
        """A turn a second."""
        for _ in range(seconds):
            self.clock.ns += SECOND
            self.watch.turn()


def test_a_first_start_was_never_blind() -> None:
    assert Watched().marks() == (1, [])


def test_a_restart_was_blind_since_the_journal_was_last_written_to() -> None:
    assert Watched(alive_at_ns=NOON - 500 * SECOND).marks() == (1, [NOON - 500 * SECOND, NOON])


def test_a_journal_from_the_future_is_no_blind_time() -> None:
    assert Watched(alive_at_ns=NOON + SECOND).marks() == (1, [])


def test_a_mark_is_written_once_a_minute() -> None:
    watched = Watched()
    watched.marks()
    watched.turns(59)
    assert watched.marks() == (0, [])
    watched.turns(1)
    assert watched.marks() == (1, [])


def test_a_suspended_process_was_blind_since_its_last_turn() -> None:
    watched = Watched()
    watched.turns(10)
    watched.marks()
    asleep_ns = watched.clock.ns
    watched.clock.ns += 3_600 * SECOND
    watched.watch.turn()
    assert watched.marks() == (1, [asleep_ns, asleep_ns + 3_600 * SECOND])


def test_a_slow_turn_is_not_blind() -> None:
    watched = Watched()
    watched.marks()
    watched.clock.ns += 59 * SECOND
    watched.watch.turn()
    assert watched.marks() == (0, [])


def test_a_clock_that_was_set_back_is_marked_at_once() -> None:
    watched = Watched()
    watched.marks()
    watched.clock.ns -= 3_600 * SECOND
    watched.watch.turn()
    assert watched.marks() == (1, [])


def test_an_orderly_stop_is_marked() -> None:
    watched = Watched()
    watched.marks()
    watched.turns(5)
    watched.watch.end()
    assert watched.marks() == (1, [])


def test_nothing_is_marked_where_nothing_can_be_written() -> None:
    watched = Watched()
    watched.marks()
    watched.intake.close(NotAccepting("read-only", reason="read_only"))
    watched.turns(100)
    watched.watch.end()
    assert watched.marks() == (0, [])


def test_the_watch_goes_on_after_a_missed_turn_a_leap_ahead_and_a_clock_that_is_set_right() -> None:
    watched = Watched(alive_at_ns=NOON - 100 * SECOND)

    def turn(second: int) -> tuple[int, list[int]]:
        watched.clock.ns = NOON + second * SECOND
        watched.watch.turn()
        count, blind_ns = watched.marks()
        return count, [(at_ns - NOON) // SECOND for at_ns in blind_ns]

    assert watched.marks() == (1, [NOON - 100 * SECOND, NOON])
    assert turn(59) == (0, [])
    assert turn(60) == (1, [])
    assert turn(119) == (0, [])
    assert turn(179) == (1, [119, 179])  # a minute without a turn
    assert turn(3_800) == (1, [179, 3_800])  # the clock leaps ahead
    assert turn(3_801) == (0, [])
    assert turn(200) == (1, [])  # and is set right
    assert turn(201) == (0, [])
    assert turn(260) == (1, [])


@pytest.mark.parametrize(("before", "blind_s"), [(0, []), (500, []), (-1, [-1, 0])])
def test_the_watch_begins_blind_since_the_last_sign_of_life(before: int, blind_s: list[int]) -> None:
    marks, blind_ns = Watched(alive_at_ns=NOON + before * SECOND).marks()
    assert (marks, [(at_ns - NOON) // SECOND for at_ns in blind_ns]) == (1, blind_s)
