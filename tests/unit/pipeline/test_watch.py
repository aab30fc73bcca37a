"""The marks that say in the journal when the service was running, and when it was blind."""

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
