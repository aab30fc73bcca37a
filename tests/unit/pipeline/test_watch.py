"""The watch: marks that say when the service was running, when it was blind, and what its clock did."""

import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.limits import ClockLimits
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.watch import Watch, wrong_since_ns
from fleetpulse.telemetry.counters import Counters
from memory_service import NOON, SECOND, FakeClock

HOUR_S = 3_600


class Watched:
    """A watch that has begun, and a writer that commits what it marks."""

    def __init__(self, *, alive_s: int | None = None, snapshot_s: int | None = None) -> None:
        """`alive_s`: the time of the last entry; `snapshot_s`: that of the manifest. Both in s after noon."""
        self.machine = FakeClock()
        self.intake = Intake(
            numbers={}, metrics=KnownMetrics(report_metrics_max=1), events_waiting_max=10, wake=lambda: None
        )
        self.follower = Follower(Fleet(policy=HeartbeatPolicy(60, 240)), Counters())
        self.position = 0
        if alive_s is not None:
            self.follower.fleet.alive_at_ns = NOON + alive_s * SECOND
        mark_ns = 0 if snapshot_s is None else NOON + snapshot_s * SECOND
        clock = ServiceClock(self.machine, ClockLimits(), mark_ns=mark_ns, earliest_ns=SECOND)
        self.watch = Watch(clock=clock, intake=self.intake, follower=self.follower, limits=ClockLimits())
        self.watch.begin()
        self.watch.open()

    @property
    def is_open(self) -> bool:
        return self.intake.closed_by is None

    def commit(self) -> tuple[int, list[int], list[int]]:
        """Write what waits: how many waiters were answered, and blind time and leap of the entry, in s after noon."""
        batch = self.intake.take()
        waiters = len(batch.waiters)
        if waiters and self.watch.stamp(batch) is None:
            self.position += 1
            self.follower.follow(batch, self.position)
            self.follower.catch_up()
            return waiters, seconds(batch.blind_ns), seconds(batch.leap_ns)
        return 0, [], []

    def turn(self, second: int, *, step_s: int = 0) -> tuple[int, list[int], list[int]]:
        """Time goes on until `second`; of it, the clock is stepped by `step_s`."""
        self.machine.ns = NOON + (second - step_s) * SECOND
        self.machine.step(step_s * SECOND)
        self.watch.turn()
        return self.commit()

    def accept(self) -> list[int]:
        """Accept the clock; what it corrects, in s after noon."""
        self.watch.add_acceptance(Nobody())
        batch = self.intake.batch
        self.commit()
        return seconds(batch.correction_ns)


class Nobody:
    def acknowledge(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        pass


def seconds(times_ns: object) -> list[int]:
    return [(at_ns - NOON) // SECOND for at_ns in times_ns]  # type: ignore[attr-defined]  # an array of integers


def test_a_first_start_was_never_blind() -> None:
    watched = Watched()
    assert (watched.commit(), watched.is_open) == ((1, [], []), True)


@pytest.mark.parametrize(
    ("alive_s", "blind_s", "leap_s"), [(-1, [-1, 0], []), (-60, [-60, 0], []), (-61, [-61, 0], [-61, 0])]
)
def test_a_restart_was_blind_since_the_journal_was_last_written_to(
    alive_s: int, blind_s: list[int], leap_s: list[int]
) -> None:
    assert Watched(alive_s=alive_s).commit() == (1, blind_s, leap_s)


def test_a_mark_is_written_once_a_minute() -> None:
    watched = Watched()
    watched.commit()
    assert [watched.turn(second)[0] for second in range(1, 60)] == [0] * 59
    assert watched.turn(60) == (1, [], [])
    assert watched.turn(119) == (0, [], [])
    assert watched.turn(120) == (1, [], [])


def test_a_suspended_process_was_blind_since_its_last_turn_and_its_clock_did_not_leap() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(10)
    assert watched.turn(HOUR_S) == (1, [10, HOUR_S], [])


def test_an_entry_that_is_written_before_the_next_turn_tells_of_the_blind_time_too() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(10)
    watched.machine.ns = NOON + HOUR_S * SECOND
    batch = EventBatch()
    assert watched.watch.stamp(batch) is None
    assert seconds(batch.blind_ns) == [10, HOUR_S]


def test_a_clock_that_leaps_ahead_is_blind_time_and_a_leap() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(10)
    assert watched.turn(HOUR_S, step_s=HOUR_S - 11) == (1, [10, HOUR_S], [10, HOUR_S])


@pytest.mark.parametrize(("back_s", "received_s"), [(0, 20), (3, 20), (5, 20)])
def test_a_small_step_back_changes_nothing_and_no_entry_is_before_the_mark(back_s: int, received_s: int) -> None:
    watched = Watched()
    watched.turn(20)
    watched.turn(20 - back_s, step_s=-back_s)
    batch = EventBatch()
    assert watched.watch.stamp(batch) is None
    assert (seconds([batch.received_at_ns]), list(batch.blind_ns), watched.is_open) == ([received_s], [], True)


def test_while_the_clock_is_behind_nothing_is_taken_and_that_time_is_blind() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(60)
    watched.turn(70)
    assert watched.turn(-HOUR_S, step_s=-HOUR_S - 70) == (0, [], [])
    assert (watched.is_open, watched.intake.closed_by and watched.intake.closed_by.reason) == (False, "clock")
    assert watched.turn(54) == (0, [], [])
    assert watched.turn(900, step_s=840) == (1, [70, 900], [70, 900])
    assert watched.is_open


def test_a_batch_that_gathered_before_the_clock_was_set_back_is_refused() -> None:
    watched = Watched()
    watched.turn(60)
    watched.machine.step(-60 * SECOND)
    refusal = watched.watch.stamp(EventBatch())
    assert refusal is not None
    assert (refusal.reason, watched.is_open) == ("clock", False)


def test_a_start_with_a_clock_that_is_behind_takes_nothing_until_it_is_right() -> None:
    watched = Watched(alive_s=1_800)
    assert (watched.commit(), watched.is_open) == ((0, [], []), False)
    assert watched.turn(1_000) == (0, [], [])
    assert watched.turn(1_830, step_s=829) == (1, [1_800, 1_830], [1_800, 1_830])
    assert watched.is_open


def test_a_clock_that_slowly_catches_up_leaves_no_blind_time_where_no_time_passed() -> None:
    watched = Watched(alive_s=10)
    watched.commit()
    assert watched.turn(5) == (1, [], [])
    assert watched.is_open


def test_accepting_a_clock_that_was_ahead_corrects_since_the_leap() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(10)
    watched.turn(HOUR_S, step_s=HOUR_S - 11)
    watched.turn(HOUR_S + 120)
    watched.turn(140, step_s=-HOUR_S)
    assert not watched.is_open
    assert watched.accept() == [10, 140]
    watched.turn(141)
    assert watched.is_open
    assert seconds(sum(watched.follower.fleet.blind_ns, ())) == [10, 140]


def test_a_clock_that_was_accepted_after_the_snapshot_of_a_wrong_time_stays_accepted() -> None:
    """The service was killed after the acceptance, and before the next checkpoint."""
    watched = Watched(alive_s=-1, snapshot_s=HOUR_S)
    assert watched.is_open
    assert watched.commit() == (1, [-1, 0], [])


def test_accepting_a_right_clock_corrects_nothing() -> None:
    watched = Watched()
    watched.commit()
    assert watched.accept() == [0, 0]
    assert watched.follower.fleet.corrections == []


@pytest.mark.parametrize(
    ("blind", "ahead_since", "now", "since"),
    [
        ([(10, 100)], None, 50, 10),
        ([(10, 50)], None, 50, 50),
        ([(10, 20), (40, 100)], None, 50, 40),
        ([(40, 100)], 30, 50, 30),
        ([], 60, 50, 50),
        ([], None, 50, 50),
    ],
)
def test_a_clock_was_ahead_since_a_span_that_the_present_lies_in(
    blind: list[tuple[int, int]], ahead_since: int | None, now: int, since: int
) -> None:
    assert wrong_since_ns(blind, ahead_since_ns=ahead_since, now_ns=now) == since


def test_nothing_expires_for_an_hour_after_a_leap_and_after_a_restart_meanwhile() -> None:
    watched = Watched()
    watched.commit()
    assert watched.watch.kept_because == ""
    watched.turn(200, step_s=100)
    assert "3600 s more" in watched.watch.kept_because or "3601 s more" in watched.watch.kept_because
    watched.machine.ns += 3_599 * SECOND
    assert watched.watch.kept_because
    restarted = Watch(clock=watched.watch.clock, intake=watched.intake, follower=watched.follower, limits=ClockLimits())
    watched.follower.fleet.alive_at_ns = watched.machine.ns
    restarted.begin()
    assert restarted.kept_because
    watched.machine.ns += SECOND
    assert (watched.watch.kept_because, restarted.kept_because) == ("", "")


@pytest.mark.parametrize(("days", "waits"), [(400, False), (401, True)])
def test_after_a_leap_of_more_than_400_days_nothing_expires_until_the_clock_is_accepted(days: int, waits: bool) -> None:
    watched = Watched(alive_s=-days * 86_400)
    watched.commit()
    watched.machine.ns += 2 * HOUR_S * SECOND
    assert bool(watched.watch.kept_because) is waits
    watched.accept()
    assert watched.watch.kept_because == ""


def test_nothing_expires_while_the_clock_is_behind() -> None:
    assert Watched(alive_s=10_000).watch.kept_because == "the clock is behind the journal"


def test_a_minute_in_which_nothing_could_be_written_is_blind() -> None:
    watched = Watched(alive_s=-1)
    watched.commit()
    for second in (30, 60, 90):
        watched.machine.ns = NOON + second * SECOND
        watched.watch.turn()
        assert watched.watch.stamp(EventBatch()) is None
        watched.watch.take_back()
    watched.machine.ns = NOON + 100 * SECOND
    assert watched.watch.stamp(batch := EventBatch()) is None
    assert seconds(batch.blind_ns) == [30, 100]


def test_an_entry_that_was_not_written_leaves_what_it_was_to_tell_to_the_next() -> None:
    watched = Watched(alive_s=-100)
    first, second = EventBatch(), EventBatch()
    assert watched.watch.stamp(first) is None
    watched.watch.take_back()
    assert watched.watch.clock.mark_ns == NOON - 100 * SECOND
    watched.machine.ns += SECOND
    assert watched.watch.stamp(second) is None
    assert (seconds(first.blind_ns), seconds(second.blind_ns)) == ([-100, 0], [-100, 1])
    assert seconds(second.leap_ns) == [-100, 1]


def test_an_orderly_stop_is_marked() -> None:
    watched = Watched()
    watched.commit()
    watched.turn(5)
    watched.watch.end()
    assert watched.commit() == (1, [], [])


def test_nothing_is_marked_where_nothing_can_be_written() -> None:
    watched = Watched()
    watched.commit()
    watched.intake.close(NotAccepting("read-only", reason="read_only"))
    assert watched.turn(100) == (0, [], [])
    watched.turn(-HOUR_S, step_s=-HOUR_S - 100)
    watched.watch.end()
    assert watched.commit() == (0, [], [])
    assert watched.intake.closed_by is not None
    assert watched.intake.closed_by.reason == "read_only"
