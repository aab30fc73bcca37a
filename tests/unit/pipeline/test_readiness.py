"""Whether events are accepted, and why not."""

from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData, NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.pipeline.readiness import Readiness


def make_readiness() -> Readiness:
    metrics = KnownMetrics(report_metrics_max=1)
    return Readiness(Intake(numbers={}, metrics=metrics, events_waiting_max=10, wake=lambda: None))


def reason_of(readiness: Readiness) -> str | None:
    return readiness.refusal and readiness.refusal.reason


def test_a_new_node_is_starting() -> None:
    readiness = make_readiness()
    assert (readiness.is_ready, readiness.stage, reason_of(readiness)) == (False, "opening", "starting")


def test_a_ready_node_refuses_nothing() -> None:
    readiness = make_readiness()
    readiness.intake.open()
    readiness.is_ready = True
    assert readiness.refusal is None


def test_a_read_only_node_is_ready_for_questions_and_says_why_it_takes_no_events() -> None:
    readiness = make_readiness()
    readiness.is_ready = True
    readiness.intake.close(NotAccepting("read-only: the disk failed", reason="read_only"))
    assert reason_of(readiness) == "read_only"


def test_a_node_that_is_no_longer_ready_is_stopping_while_its_intake_still_drains() -> None:
    readiness = make_readiness()
    readiness.intake.open()
    assert reason_of(readiness) == "stopping"


def test_a_node_that_works_although_something_is_wrong_says_what() -> None:
    readiness = make_readiness()
    assert not readiness.troubles
    readiness.history = History(MemoryBlockStore(), Manifest())
    for number in range(7):
        file = BlockFile(f"presence-{number}.parquet", 1, "")
        readiness.history.set_aside.note(file, DamagedData("it is damaged"), at_ns=5)
    readiness.degraded["checkpoint"] = "checkpoints fail"
    assert readiness.troubles == [
        "checkpoints fail",
        (
            "7 blocks set aside, damaged or missing (presence-0.parquet, presence-1.parquet, "
            "presence-2.parquet, presence-3.parquet, presence-4.parquet and others): copy them back under their names"
        ),
    ]
