import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.errors import Answerable, Busy, NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics, Report
from fleetpulse.model.events import EventBatch
from stub_transport import intake_of


class Silent:
    """A waiter that needs no answer."""

    def acknowledge(self) -> None:
        """See Waiter."""

    def fail(self, error: Answerable) -> None:
        """See Waiter."""


def bulk(count: int) -> EventBatch:
    batch = EventBatch()
    for number in range(count):
        batch.heartbeat_devices.append(number)
        batch.heartbeat_sent_at_ns.append(1)
    return batch


def accept(intake: Intake, kind: str, count: int) -> None:
    """Check and accept `count` events of a kind, as those who call the intake do."""
    intake.check(count)
    if kind == "bulk":
        intake.add_batch(bulk(count), Silent())
    elif kind == "report":
        intake.add_report(0, report_of(intake, count), Silent())
    else:
        for _ in range(count):
            if kind == "heartbeat":
                intake.add_heartbeat(0, 1, Silent())
            else:
                intake.add_sample(0, 1, 7, Silent())


def report_of(intake: Intake, count: int) -> Report:
    return Report(1, *intake.metrics.read(dict.fromkeys(("cpu", "upload_time")[:count], 1)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["heartbeat", "sample", "report", "bulk", "take", "settle", "mark"]), st.integers(1, 2)
        ),
        max_size=40,
    )
)
def test_room_and_waiting_events_always_add_up(steps: list[tuple[str, int]]) -> None:
    intake = intake_of(events_waiting_max=10)
    taken = 0
    for kind, count in steps:
        if kind == "take" and not taken:
            taken = len(intake.take())
        elif kind == "settle":
            intake.settle()
            taken = 0
        elif kind == "mark":
            intake.add_mark(Silent())
        elif kind != "take":
            try:
                accept(intake, kind, count)
            except Busy:
                assert intake.waiting + count > 10
        assert intake.room + intake.waiting == 10
        assert intake.waiting == taken + len(intake.batch)


def test_a_closed_intake_refuses_with_its_reason_and_an_open_one_has_its_room_again() -> None:
    intake = intake_of(events_waiting_max=3)
    accept(intake, "heartbeat", 2)
    intake.close(NotAccepting("the disk is full", reason="read_only"))
    with pytest.raises(NotAccepting, match="the disk is full"):
        intake.check()
    intake.take()
    intake.settle()
    assert (intake.room, intake.closed_by is None) == (0, False)
    intake.open()
    assert (intake.room, intake.closed_by) == (3, None)


def test_an_intake_is_closed_until_the_journal_is_replayed() -> None:
    intake = Intake(numbers={}, metrics=KnownMetrics(report_metrics_max=1), events_waiting_max=3, wake=lambda: None)
    with pytest.raises(NotAccepting, match="replayed"):
        intake.check()


def test_too_many_events_are_put_off_with_the_limit_and_when_to_come_again() -> None:
    intake = intake_of(events_waiting_max=3)
    accept(intake, "bulk", 3)
    with pytest.raises(Busy, match=r"3 events wait .* at most 3 \(events_waiting_max\)") as raised:
        intake.check()
    assert (raised.value.reason, raised.value.retry_after_s) == ("events_waiting", 1)


def test_the_writer_is_woken_once_when_enough_wait() -> None:
    woken: list[int] = []
    intake = intake_of(wake=lambda: woken.append(len(intake.batch.waiters)))
    intake.wake_at = 2
    for _ in range(4):
        intake.add_heartbeat(0, 1, Silent())
    assert woken == [2]
    intake.take()
    intake.add_mark(Silent())
    intake.add_sample(0, 1, 7, Silent())
    assert woken == [2, 2]
    assert (len(intake.batch), intake.senders) == (1, 4)
    intake.add_correction(Silent())
    assert len(intake.take().correction_ns) == 2


def test_a_batch_has_its_events_in_columns_and_its_waiters() -> None:
    intake = intake_of()
    accept(intake, "heartbeat", 1)
    accept(intake, "report", 2)
    accept(intake, "sample", 1)
    batch = intake.take()
    assert (batch.sample_metrics.tolist(), len(batch.waiters), len(intake.batch)) == ([1, 0, 0], 3, 0)
    assert batch.sample_values.tolist()[1:] == [1, 7]
