"""The watch of a node of several: entries say what they need, and nobody declares blind time."""

import asyncio

import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.limits import ClockLimits
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.shared_watch import SharedWatch
from fleetpulse.telemetry.counters import Counters
from memory_service import NOON, SECOND, FakeClock


class Watched:
    """A watch that has begun, the fleet that it looks at, and a catalog of a version."""

    def __init__(self, *, alive_at_ns: int = NOON) -> None:
        self.machine = FakeClock()
        self.version = 0
        self.fleet = Fleet(policy=HeartbeatPolicy(60, 240, 1_500))
        self.fleet.alive_at_ns = alive_at_ns
        metrics = KnownMetrics(report_metrics_max=10)
        self.intake = Intake(numbers={}, metrics=metrics, events_waiting_max=10, wake=lambda: None)
        self.watch = SharedWatch(
            catalog_version=lambda: self.version,
            see_catalog=self.see_catalog,
            database_ns=self.database_ns,
            clock=ServiceClock(self.machine, ClockLimits(), mark_ns=0, earliest_ns=1),
            intake=self.intake,
            follower=Follower(self.fleet, Counters()),
            limits=ClockLimits(),
        )
        self.watch.begin()
        self.watch.open()

    async def database_ns(self) -> int:
        return NOON

    async def see_catalog(self) -> None:
        self.version += 1

    def stamped(self, *devices: int) -> EventBatch:
        batch = self.intake.take()
        for device in devices:
            batch.heartbeat_devices.append(device)
            batch.heartbeat_sent_at_ns.append(NOON)
        assert self.watch.stamp(batch) is None
        return batch


def test_a_node_that_was_away_declares_no_blind_time() -> None:
    watched = Watched(alive_at_ns=NOON - 3_600 * SECOND)
    batch = watched.stamped()
    assert batch.is_shared
    assert not batch.blind_ns
    assert batch.leap_ns.tolist() == [NOON, NOON]  # perhaps its clock leapt meanwhile, so nothing expires


def test_only_a_pause_of_all_nodes_is_blind() -> None:
    fleet = Fleet(policy=HeartbeatPolicy(60, 240, 1_500))
    for at_ns in (NOON, NOON + 20 * SECOND, NOON + 5 * SECOND, NOON + 41 * SECOND):
        fleet.apply([EventColumns.of(EventBatch(received_at_ns=at_ns, is_shared=True))])
    assert fleet.blind_ns == [(NOON + 20 * SECOND, NOON + 41 * SECOND)]


def test_an_entry_names_the_catalog_that_it_needs_once_and_again_if_it_was_not_written() -> None:
    watched = Watched()
    watched.version = 3
    assert watched.stamped().catalog_version.tolist() == [3], "a mark, too, so that policies take effect"
    assert not watched.stamped(0).catalog_version
    watched.version = 4
    assert watched.stamped(0).catalog_version.tolist() == [4]
    watched.watch.take_back()
    assert watched.stamped(0).catalog_version.tolist() == [4]


def test_a_mark_is_written_every_ten_seconds() -> None:
    async def run() -> None:
        watched = Watched()
        watched.stamped()
        watched.machine.ns += 10 * SECOND - 1
        watched.watch.turn()
        assert not watched.watch.is_mark_waiting
        watched.machine.ns += 1
        watched.watch.turn()
        assert watched.watch.is_mark_waiting

    asyncio.run(run())


def test_a_clock_is_behind_what_its_own_node_wrote_and_not_what_others_did() -> None:
    watched = Watched(alive_at_ns=NOON + 30 * SECOND)
    assert not watched.watch.clock.is_behind
    watched.stamped()
    watched.machine.step(-60 * SECOND)
    refusal = watched.watch.stamp(watched.intake.take())
    assert isinstance(refusal, NotAccepting)
    assert watched.watch.plan() is None


@pytest.mark.parametrize(("quiet_s", "is_settled"), [(19, True), (20, False)])
def test_nothing_fires_while_the_stream_is_quiet(quiet_s: int, *, is_settled: bool) -> None:
    watched = Watched()
    watched.stamped()
    watched.machine.ns += quiet_s * SECOND
    assert watched.watch.is_settled is is_settled


@pytest.mark.parametrize(("off_s", "is_warned", "is_refused"), [(1, False, False), (-2, True, False), (5, True, True)])
def test_a_clock_that_is_off_the_database_s_is_said_and_then_refused(
    off_s: int, *, is_warned: bool, is_refused: bool
) -> None:
    watched = Watched()
    watched.machine.step(off_s * SECOND)
    asyncio.run(watched.watch.compare())
    clock = watched.watch.clock
    assert (bool(clock.warning), clock.is_behind) == (is_warned, is_refused)
    if is_refused:
        assert "5.0 s ahead of" in clock.refusal().msg
        watched.machine.step(-off_s * SECOND)
        asyncio.run(watched.watch.compare())
        assert (clock.warning, clock.is_behind) == ("", False)
